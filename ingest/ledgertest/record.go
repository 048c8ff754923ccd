package ledgertest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canyu/canyu"
)

func countsTheFirst(t *testing.T, k *kit) {
	k.want("first", k.record(pupil(1), pupil(2)), "11")
	k.want("again", k.record(pupil(2), pupil(3), pupil(1)), "010")
	if n := k.counts(class)[0][canyu.Student]; n != 3 {
		t.Fatalf("counted %d, want 3", n)
	}
	k.total(3)
}

func repeatsInOneBatch(t *testing.T, k *kit) {
	k.want("double click", k.record(pupil(1), pupil(1), pupil(2), pupil(1)), "1010")
	k.total(2)
}

func countsApart(t *testing.T, k *kit) {
	other, parent := pupil(1), pupil(1)
	other.Class.Number = 3
	parent.Role = canyu.Parent
	k.want("outcomes", k.record(pupil(1), other, parent), "111")
	got := k.counts(class, other.Class, canyu.Class{School: 1, Grade: 1, Number: 1})
	want := []canyu.Tally{{canyu.Student: 1, canyu.Parent: 1}, {canyu.Student: 1}, {}}
	if !slices.Equal(got, want) {
		t.Fatalf("counts %v, want %v", got, want)
	}
}

func participantsOfAClass(t *testing.T, k *kit) {
	other, parent := pupil(7), pupil(8)
	other.Class.Number = 3
	parent.Role = canyu.Parent
	k.record(pupil(3), other, parent, pupil(1), pupil(math.MaxInt64), pupil(3))
	for range 2 {
		for _, c := range []struct {
			class canyu.Class
			role  canyu.Role
			want  []canyu.Participant
		}{
			{class, canyu.Student, []canyu.Participant{1, 3, math.MaxInt64}},
			{other.Class, canyu.Student, []canyu.Participant{7}},
			{class, canyu.Parent, []canyu.Participant{8}},
			{class, canyu.Teacher, nil},
			{canyu.Class{School: 1, Grade: 1, Number: 1}, canyu.Student, nil},
		} {
			got, err := k.Participants(t.Context(), k.activity, c.class, c.role)
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("%s of %s: %v, %v; want %v", c.role, c.class, got, err, c.want)
			}
		}
		var many []canyu.Class // more than any engine reads at once
		for i := range 120 {
			many = append(many, canyu.Class{School: 1, Grade: 1, Number: uint16(i + 1)})
		}
		all, err := k.Members(t.Context(), k.activity, append(many, other.Class, class))
		if err != nil || len(all) != 122 || len(all[119][canyu.Student]) != 0 {
			t.Fatalf("members: %d of 122, %v", len(all), err)
		}
		if got := all[120]; !slices.Equal(got[canyu.Student], []canyu.Participant{7}) || len(got[canyu.Parent]) != 0 {
			t.Fatalf("members of %s: %v", other.Class, got)
		}
		if got := all[121]; !slices.Equal(got[canyu.Student], []canyu.Participant{1, 3, math.MaxInt64}) || !slices.Equal(got[canyu.Parent], []canyu.Participant{8}) {
			t.Fatalf("members of %s: %v", class, got)
		}
		k.reopen()
	}
	if err := k.Unmark(t.Context(), k.activity); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Members(t.Context(), k.activity, []canyu.Class{class}); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("members without its mark: %v, %v; want ErrLost", got, err)
	}
	if got, err := k.Participants(t.Context(), k.activity, class, canyu.Student); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("without its mark: %v, %v; want ErrLost", got, err)
	}
}

func activitiesApart(t *testing.T, k *kit) {
	k.record(pupil(1))
	first := k.activity
	k.activity = unique()
	k.epoch = k.begin(k.activity)
	b := k.batch(pupil(1))
	k.want("another activity", k.recordBatch(b), "1")
	if k.nth(b.Outcomes[0].Ordinal) != 1 {
		t.Fatalf("ordinal %d, want 1", b.Outcomes[0].Ordinal)
	}
	if n := len(k.log()); n != 1 {
		t.Fatalf("%d in the log, want 1", n)
	}
	k.activity = first
	k.total(1)
}

func sameSequenceOnce(t *testing.T, k *kit) {
	k.record(pupil(9))
	b := k.batch(pupil(1), pupil(9), pupil(2))
	k.want("first", k.recordBatch(b), "101")
	first := slices.Clone(b.Outcomes)
	b.Outcomes = nil
	k.want("repeated", k.recordBatch(b), "101")
	if !slices.Equal(first, b.Outcomes) {
		t.Fatalf("outcomes %v, then %v", first, b.Outcomes)
	}
	k.total(3)
	if n := len(k.log()); n != 4 {
		t.Fatalf("%d in the log, want 4", n)
	}
}

func sameSequenceAfterReopening(t *testing.T, k *kit) {
	b := k.batch(pupil(1), pupil(2))
	k.recordBatch(b)
	first := slices.Clone(b.Outcomes)
	k.acknowledge()
	k.reopen()
	k.want("repeated", k.recordBatch(b), "11")
	if !slices.Equal(first, b.Outcomes) {
		t.Fatalf("outcomes %v, then %v", first, b.Outcomes)
	}
	k.total(2)
}

func olderSequenceIsStale(t *testing.T, k *kit) {
	old := k.batch(pupil(1))
	k.record(pupil(2))
	if err := k.Record(t.Context(), old); !errors.Is(err, canyu.ErrStale) {
		t.Fatalf("an older batch: %v, want ErrStale", err)
	}
	k.total(1)
}

func sequencesMaySkip(t *testing.T, k *kit) {
	k.record(pupil(1))
	k.sequence += 1000
	k.want("after a gap", k.record(pupil(2)), "1")
}

func ordinalsAreUnique(t *testing.T, k *kit) {
	seen := make(map[uint64]bool)
	for i := range uint64(20) {
		b := k.batch(pupil(3*i), pupil(3*i+1), pupil(0), pupil(3*i+2))
		k.recordBatch(b)
		for j, o := range b.Outcomes {
			if o.Counted != (o.Ordinal > 0) || seen[o.Ordinal] && o.Counted {
				t.Fatalf("batch %d, participation %d: %+v", i, j, o)
			}
			seen[o.Ordinal] = true
		}
	}
	if k.Shards() == 1 && (!seen[1] || !seen[60] || seen[61]) {
		t.Fatal("ordinals are not 1…60")
	}
}

func manyWritersAtOnce(t *testing.T, k *kit) {
	const writers, batches, pupils = 8, 20, 300
	var wg sync.WaitGroup
	counted := make([]int, writers)
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for s := range batches {
				b := &canyu.Batch{Activity: k.activity, Epoch: k.epoch, Writer: fmt.Sprint("many", w), Sequence: uint64(s + 1)}
				for range 25 {
					b.Participations = append(b.Participations, pupil(rnd.Uint64N(pupils)))
				}
				if err := k.Record(t.Context(), b); err != nil {
					t.Errorf("Record: %v", err)
					return
				}
				counted[w] += strings.Count(outcomes(b), "1")
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range counted {
		sum += n
	}
	if sum != pupils || k.counts(class)[0][canyu.Student] != pupils {
		t.Fatalf("%d told that they counted, %d counted, want %d", sum, k.counts(class)[0][canyu.Student], pupils)
	}
	if n := len(k.log()); n != writers*batches*25 {
		t.Fatalf("%d in the log, want %d", n, writers*batches*25)
	}
}

func largestNumbers(t *testing.T, k *kit) {
	p := pupil(math.MaxInt64)
	p.Class = canyu.Class{School: 9999999999, Grade: canyu.MaxGrade, Number: canyu.MaxClass}
	p.Role, p.ID = canyu.Public, math.MaxUint64
	p.Message = strings.Repeat("念", canyu.MaxMessage)
	k.want("first", k.record(p), "1")
	k.reopen()
	k.want("again", k.record(p), "0")
	if got := k.log()[0].Participation; got != p {
		t.Fatalf("log has %+v", got)
	}
	if n := k.counts(p.Class)[0][canyu.Public]; n != 1 {
		t.Fatalf("counted %d", n)
	}
}

func emptyActivity(t *testing.T, k *kit) {
	k.activity = unique()
	k.total(0)
	if epoch, err := k.Epoch(t.Context(), k.activity); err != nil || epoch != "" {
		t.Fatalf("Epoch: %q, %v", epoch, err)
	}
	if n, err := k.Backlog(t.Context(), k.activity); err != nil || n != 0 {
		t.Fatalf("Backlog: %d, %v", n, err)
	}
	if rs := k.log(); len(rs) != 0 {
		t.Fatalf("log: %v", rs)
	}
	if err := k.Record(t.Context(), k.batch(pupil(1))); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("an activity that was never begun counts: %v", err)
	}
}
