// Package ledgertest holds every ledger to the promises of canyu.Ledger.
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
	"time"

	"github.com/canyu/canyu"
)

// Engine makes ledgers of one kind over one store.
type Engine struct {
	// Open opens the store. Called again after Close, it finds what was there.
	Open func(t *testing.T) canyu.Ledger
	// Lose destroys what a closed ledger kept, as a lost disk would.
	Lose func(t *testing.T, activity string)
}

// Test runs the contract. newEngine makes an empty store for one subtest.
func Test(t *testing.T, newEngine func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *kit)
	}{
		{"CountsTheFirst", countsTheFirst},
		{"RepeatsInOneBatch", repeatsInOneBatch},
		{"CountsClassesAndRolesApart", countsApart},
		{"ActivitiesApart", activitiesApart},
		{"SameSequenceOnce", sameSequenceOnce},
		{"SameSequenceAfterReopening", sameSequenceAfterReopening},
		{"OlderSequenceIsStale", olderSequenceIsStale},
		{"SequencesMaySkip", sequencesMaySkip},
		{"OrdinalsAreUnique", ordinalsAreUnique},
		{"ManyWritersAtOnce", manyWritersAtOnce},
		{"LogHasEveryBatchOnce", logHasEveryBatchOnce},
		{"LogKeepsWhatWasRecorded", logKeepsWhatWasRecorded},
		{"AcknowledgedIsForgotten", acknowledgedIsForgotten},
		{"AcknowledgedStaysCounted", acknowledgedStaysCounted},
		{"RefusesWithoutItsMark", refusesWithoutItsMark},
		{"RefusesWhenItWentBack", refusesWhenItWentBack},
		{"UnmarkedRefuses", unmarkedRefuses},
		{"RefusesAnotherKey", refusesAnotherKey},
		{"Restore", restore},
		{"RestoreOfAWholeLedgerIsRefused", restoreRefused},
		{"ClaimIsExclusive", claimIsExclusive},
		{"LargestNumbers", largestNumbers},
		{"EmptyActivity", emptyActivity},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := &kit{Engine: newEngine(t), activity: unique(), t: t}
			k.open()
			c.test(t, k)
		})
	}
}

// kit is one subtest's store and activity.
type kit struct {
	Engine
	canyu.Ledger
	t        *testing.T
	activity string
	epoch    string
	sequence uint64
}

func unique() string { return fmt.Sprintf("t%d-%d", time.Now().UnixNano(), rand.Uint32()) }

func (k *kit) open() {
	k.t.Helper()
	k.Ledger = k.Open(k.t)
	k.t.Cleanup(func() { k.Close() }) // the newest; a second Close is harmless
	k.epoch = k.begin(k.activity)
}

func (k *kit) begin(activity string) string {
	k.t.Helper()
	epoch, err := k.Begin(k.t.Context(), activity, "key-1")
	if err != nil || epoch == "" {
		k.t.Fatalf("Begin: %q, %v", epoch, err)
	}
	return epoch
}

func (k *kit) reopen() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Fatalf("Close: %v", err)
	}
	k.open()
}

func (k *kit) batch(ps ...canyu.Participation) *canyu.Batch {
	k.sequence++
	return &canyu.Batch{Activity: k.activity, Epoch: k.epoch, Writer: "w1", Sequence: k.sequence, Participations: ps}
}

// record records ps as the next batch and returns "101": counted, repeat, counted.
func (k *kit) record(ps ...canyu.Participation) string {
	k.t.Helper()
	return k.recordBatch(k.batch(ps...))
}

func (k *kit) recordBatch(b *canyu.Batch) string {
	k.t.Helper()
	if err := k.Record(k.t.Context(), b); err != nil {
		k.t.Fatalf("Record: %v", err)
	}
	return outcomes(b)
}

func outcomes(b *canyu.Batch) string {
	s := make([]byte, len(b.Outcomes))
	for i, o := range b.Outcomes {
		s[i] = '0'
		if o.Counted {
			s[i] = '1'
		}
	}
	return string(s)
}

func (k *kit) log() []canyu.Recorded {
	k.t.Helper()
	var rs []canyu.Recorded
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", math.MaxInt)
		if err != nil {
			k.t.Fatalf("Log: %v", err)
		}
		for _, e := range entries {
			rs = append(rs, e.Recorded...)
		}
	}
	return rs
}

func (k *kit) counts(classes ...canyu.Class) []canyu.Tally {
	k.t.Helper()
	tallies, err := k.Counts(k.t.Context(), k.activity, classes)
	if err != nil {
		k.t.Fatalf("Counts: %v", err)
	}
	return tallies
}

func (k *kit) total(want int) {
	k.t.Helper()
	if got, err := k.Total(k.t.Context(), k.activity); err != nil || got != want {
		k.t.Fatalf("Total: %d, %v; want %d", got, err, want)
	}
}

func (k *kit) want(what, got, want string) {
	k.t.Helper()
	if got != want {
		k.t.Fatalf("%s: %s, want %s", what, got, want)
	}
}

var class = canyu.Class{School: 3418020001, Grade: 3, Number: 2}

// pupil is a participation of participant n of the class.
func pupil(n uint64) canyu.Participation {
	return canyu.Participation{
		Class: class, Role: canyu.Student, Participant: canyu.Participant(n), ID: n * 7,
		At: time.UnixMilli(1491004800123 + int64(n)).UTC(), Day: 17257, Message: "缅怀先烈",
	}
}

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

func activitiesApart(t *testing.T, k *kit) {
	k.record(pupil(1))
	first := k.activity
	k.activity = unique()
	k.epoch = k.begin(k.activity)
	b := k.batch(pupil(1))
	k.want("another activity", k.recordBatch(b), "1")
	if b.Outcomes[0].Ordinal != 1 {
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

func logHasEveryBatchOnce(t *testing.T, k *kit) {
	for i := range uint64(10) {
		b := k.batch(pupil(2*i), pupil(2*i+1))
		k.recordBatch(b)
		k.recordBatch(b)
	}
	var got []canyu.Participant
	for shard := range k.Shards() {
		after := ""
		for {
			entries, err := k.Log(t.Context(), k.activity, shard, after, 5)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			if n := len(entries); n > 3 {
				t.Fatalf("%d batches of two, although 5 participations were asked for", n)
			}
			for _, e := range entries {
				after = e.Position
				for _, r := range e.Recorded {
					got = append(got, r.Participant)
				}
			}
		}
	}
	slices.Sort(got)
	for i, p := range got {
		if p != canyu.Participant(i) || len(got) != 20 {
			t.Fatalf("log: %v", got)
		}
	}
}

func logKeepsWhatWasRecorded(t *testing.T, k *kit) {
	p := pupil(5)
	p.Message = "=1+1 先烈永垂不朽 🕯️\n"
	parent := pupil(6)
	parent.Role, parent.Message = canyu.Parent, ""
	parent.At, parent.Day = parent.At.Add(-48*time.Hour), parent.Day-2
	b := k.batch(p, parent, p)
	k.recordBatch(b)
	got := k.log()
	if len(got) != 3 {
		t.Fatalf("%d in the log", len(got))
	}
	for i, want := range []canyu.Participation{p, parent, p} {
		if got[i].Participation != want || got[i].Outcome != b.Outcomes[i] {
			t.Fatalf("log has\n%+v, want\n%+v with %+v", got[i], want, b.Outcomes[i])
		}
	}
}

func (k *kit) acknowledge() {
	k.t.Helper()
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", math.MaxInt)
		if err != nil {
			k.t.Fatal(err)
		}
		if len(entries) > 0 {
			if err := k.Acknowledge(k.t.Context(), k.activity, shard, entries[len(entries)-1].Position); err != nil {
				k.t.Fatalf("Acknowledge: %v", err)
			}
		}
	}
}

func acknowledgedIsForgotten(t *testing.T, k *kit) {
	for i := range uint64(5) {
		k.record(pupil(i))
	}
	entries, err := k.Log(t.Context(), k.activity, 0, "", 3)
	if err != nil || len(entries) != 3 {
		t.Fatalf("Log: %d entries, %v", len(entries), err)
	}
	for range 2 { // acknowledging twice changes nothing
		if err := k.Acknowledge(t.Context(), k.activity, 0, entries[2].Position); err != nil {
			t.Fatal(err)
		}
	}
	k.reopen()
	if rest := k.log(); len(rest) != 2 || rest[0].Participant != 3 {
		t.Fatalf("after acknowledging three of five: %v", rest)
	}
	if n, err := k.Backlog(t.Context(), k.activity); err != nil || n != 2 {
		t.Fatalf("Backlog: %d, %v; want 2", n, err)
	}
}

func acknowledgedStaysCounted(t *testing.T, k *kit) {
	b := k.batch(pupil(1), pupil(2))
	k.recordBatch(b)
	k.acknowledge()
	k.record(pupil(3))
	k.reopen()
	b = k.batch(pupil(1), pupil(2), pupil(3), pupil(4))
	k.want("after reopening", k.recordBatch(b), "0001")
	if o := b.Outcomes[3].Ordinal; o != 4 {
		t.Fatalf("ordinal %d, want 4", o)
	}
	k.total(4)
}

func refusesWithoutItsMark(t *testing.T, k *kit) {
	k.record(pupil(1))
	b := k.batch(pupil(2))
	b.Epoch = "another"
	if err := k.Record(t.Context(), b); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("another epoch: %v, want ErrLost", err)
	}
	k.total(1)
	k.lose()
	if epoch, err := k.Epoch(t.Context(), k.activity); err != nil || epoch != "" {
		t.Fatalf("a lost ledger has epoch %q, %v", epoch, err)
	}
	if err := k.Record(t.Context(), k.batch(pupil(1))); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("a lost ledger counts: %v, want ErrLost", err)
	}
}

// lose closes the ledger, destroys its data and opens it without a mark.
func (k *kit) lose() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Fatal(err)
	}
	k.Lose(k.t, k.activity)
	k.Ledger = k.Open(k.t)
}

// A ledger restored from a backup has its mark, but not the newest batches.
func refusesWhenItWentBack(t *testing.T, k *kit) {
	k.record(pupil(1))
	b := k.batch(pupil(2))
	b.After = 1
	k.want("after the batch it knows", k.recordBatch(b), "1")
	b = k.batch(pupil(3))
	b.Sequence, b.After = 9, 8
	if err := k.Record(t.Context(), b); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("after a batch it does not know: %v, want ErrLost", err)
	}
	k.unmarked()
}

func unmarkedRefuses(t *testing.T, k *kit) {
	k.record(pupil(1))
	if err := k.Unmark(t.Context(), k.activity); err != nil {
		t.Fatal(err)
	}
	k.unmarked()
	k.Ledger.Close()
	k.Ledger = k.Open(t)
	k.unmarked()
	if err := k.Restore(t.Context(), k.activity, "e2", "key-1", func(func(canyu.Recorded, error) bool) {}, nil); err != nil {
		t.Fatal(err)
	}
	k.epoch = "e2"
	b := k.batch(pupil(1), pupil(2))
	k.want("restored beside what was left", k.recordBatch(b), "01")
	if o := b.Outcomes[1].Ordinal; o != 2 {
		k.t.Fatalf("ordinal %d, want 2: the first was given before", o)
	}
	k.total(2)
}

// unmarked: nobody counts in this ledger, or counts it.
func (k *kit) unmarked() {
	k.t.Helper()
	if epoch, err := k.Epoch(k.t.Context(), k.activity); err != nil || epoch != "" {
		k.t.Fatalf("Epoch: %q, %v", epoch, err)
	}
	if err := k.Record(k.t.Context(), k.batch(pupil(1))); !errors.Is(err, canyu.ErrLost) {
		k.t.Fatalf("Record: %v, want ErrLost", err)
	}
	if _, err := k.Counts(k.t.Context(), k.activity, []canyu.Class{class}); !errors.Is(err, canyu.ErrLost) {
		k.t.Fatalf("Counts: %v, want ErrLost", err)
	}
}

func refusesAnotherKey(t *testing.T, k *kit) {
	if _, err := k.Begin(t.Context(), k.activity, "key-2"); !errors.Is(err, canyu.ErrKey) {
		t.Fatalf("another key: %v, want ErrKey", err)
	}
	if epoch := k.begin(k.activity); epoch != k.epoch {
		t.Fatalf("begun again: %q, want %q", epoch, k.epoch)
	}
}

func restore(t *testing.T, k *kit) {
	var archived []canyu.Recorded
	for i := range uint64(100) {
		p := pupil(i)
		p.Class.Number = uint16(1 + i%7)
		b := k.batch(p)
		k.recordBatch(b)
		archived = append(archived, canyu.Recorded{Participation: p, Outcome: b.Outcomes[0]})
	}
	k.lose()
	archive := func(fail bool) func(func(canyu.Recorded, error) bool) {
		return func(yield func(canyu.Recorded, error) bool) {
			for i, r := range archived {
				if fail && i == 60 {
					yield(canyu.Recorded{}, errors.New("archive away"))
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	if err := k.Restore(t.Context(), k.activity, "e2", "key-1", archive(true), nil); err == nil {
		t.Fatal("Restore from an archive that went away succeeded")
	}
	b := k.batch(archived[0].Participation)
	b.Epoch = "e2"
	if err := k.Record(t.Context(), b); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("a half restored ledger counts: %v", err)
	}
	last := 0
	if err := k.Restore(t.Context(), k.activity, "e2", "key-1", archive(false), func(n int) { last = n }); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if last != 100 {
		t.Fatalf("progress ended at %d, want 100", last)
	}
	k.reopen()
	k.want("epoch", k.epoch, "e2")
	k.total(100)
	b = k.batch(archived[42].Participation, pupil(1000))
	k.want("after Restore", k.recordBatch(b), "01")
	if b.Outcomes[1].Ordinal <= 100 {
		t.Fatalf("ordinal %d was given before", b.Outcomes[1].Ordinal)
	}
	k.total(101)
}

func restoreRefused(t *testing.T, k *kit) {
	k.record(pupil(1))
	err := k.Restore(t.Context(), k.activity, "e2", "key-1", func(func(canyu.Recorded, error) bool) {}, nil)
	if err == nil {
		t.Fatal("a whole ledger was restored")
	}
	k.want("still counting", k.record(pupil(2)), "1")
}

func claimIsExclusive(t *testing.T, k *kit) {
	claim := func(duty, holder string, want bool) {
		t.Helper()
		if got, err := k.Claim(t.Context(), duty, holder, time.Minute); err != nil || got != want {
			t.Fatalf("Claim by %s: %v, %v; want %v", holder, got, err, want)
		}
	}
	duty := "report/" + k.activity
	claim(duty, "a", true)
	claim(duty, "b", false)
	claim(duty, "a", true)
	claim(duty+"/other", "b", true)
	if err := k.Release(t.Context(), duty, "b"); err != nil {
		t.Fatal(err)
	}
	claim(duty, "b", false)
	if err := k.Release(t.Context(), duty, "a"); err != nil {
		t.Fatal(err)
	}
	claim(duty, "b", true)

	short := duty + "/short"
	if ok, err := k.Claim(t.Context(), short, "a", time.Millisecond); err != nil || !ok {
		t.Fatalf("Claim: %v, %v", ok, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		ok, err := k.Claim(t.Context(), short, "b", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a claim of a millisecond did not end in ten seconds")
		}
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
