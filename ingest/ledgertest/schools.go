package ledgertest

import (
	"errors"
	"slices"
	"testing"

	"github.com/canyu/canyu"
)

const schools = 12

// of is pupil n of a school: there may be a shard for each of some schools.
func of(school int, n uint64) canyu.Participation {
	p := pupil(n)
	p.Class.School += canyu.SchoolCode(school)
	return p
}

// everySchool is pupils 1 to n of each school, one school after the other for each.
func everySchool(n int) (ps []canyu.Participation) {
	for i := range n {
		for school := range schools {
			ps = append(ps, of(school, uint64(i+1)))
		}
	}
	return ps
}

func (k *kit) everySchoolHas(n int) {
	k.t.Helper()
	var classes []canyu.Class
	for school := range schools {
		classes = append(classes, of(school, 1).Class)
	}
	for i, tally := range k.counts(classes...) {
		if tally != (canyu.Tally{canyu.Student: n}) {
			k.t.Fatalf("school %d has %v, want %d", i, tally, n)
		}
	}
	members, err := k.Members(k.t.Context(), k.activity, classes)
	if err != nil || len(members) != schools {
		k.t.Fatalf("Members: %d, %v", len(members), err)
	}
	for i, m := range members {
		if len(m[canyu.Student]) != n || m[canyu.Student][n-1] != canyu.Participant(n) {
			k.t.Fatalf("members of school %d: %v, want %d", i, m, n)
		}
	}
	k.total(n * schools)
}

// A batch of many schools has its outcomes in its own order, whatever shard each is in,
// and is recorded once.
func manySchools(t *testing.T, k *kit) {
	b := k.batch(append(everySchool(3), of(5, 2), of(7, 4), of(5, 4), of(7, 4))...)
	want := ""
	for range 3 * schools {
		want += "1"
	}
	k.want("first", k.recordBatch(b), want+"0110")
	first := slices.Clone(b.Outcomes)
	seen := make(map[uint64]bool)
	for _, o := range b.Outcomes {
		if o.Counted && (o.Ordinal == 0 || seen[o.Ordinal]) {
			t.Fatalf("ordinal %d, and again", o.Ordinal)
		}
		seen[o.Ordinal] = true
	}
	for range 2 {
		k.want("again", k.recordBatch(b), want+"0110")
		if !slices.Equal(first, b.Outcomes) {
			t.Fatalf("outcomes %v, then %v", first, b.Outcomes)
		}
		k.reopen()
	}
	if n, err := k.Backlog(t.Context(), k.activity); err != nil || n != len(b.Participations) {
		t.Fatalf("Backlog: %d, %v; want %d", n, err, len(b.Participations))
	}
	rs := k.log()
	if len(rs) != len(b.Participations) {
		t.Fatalf("%d in the log, want %d", len(rs), len(b.Participations))
	}
	for _, r := range rs {
		if i := slices.IndexFunc(b.Participations, func(p canyu.Participation) bool { return p == r.Participation }); i < 0 ||
			r.Counted && !slices.Contains(first, r.Outcome) {
			t.Fatalf("log has %+v", r)
		}
	}
	for school := range schools { // everybody has four
		k.record(of(school, 4))
	}
	k.everySchoolHas(4)
	k.acknowledge()
	if gone, err := k.Erase(t.Context(), k.activity, of(3, 1).Class, canyu.Student, 4); err != nil || !gone {
		t.Fatalf("Erase: %v, %v", gone, err)
	}
	k.want("erased, and again", k.record(of(3, 4)), "1")
	k.everySchoolHas(4)
}

// A writer whose newest batch had nothing for most schools finds out of any shard that
// it does not know of it.
func manySchoolsGoBack(t *testing.T, k *kit) {
	k.record(everySchool(2)...)
	k.record(of(0, 9))
	b := k.batch(of(11, 9))
	b.After = 2
	k.want("after the batch all know", k.recordBatch(b), "1")
	old := k.batch(of(4, 9))
	old.Sequence = 2
	if err := k.Record(t.Context(), old); !errors.Is(err, canyu.ErrStale) {
		t.Fatalf("an older batch: %v, want ErrStale", err)
	}
	b = k.batch(of(4, 9))
	b.Sequence, b.After = 9, 8
	if err := k.Record(t.Context(), b); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("after a batch nobody knows: %v, want ErrLost", err)
	}
	k.unmarked()
}

func restoreManySchools(t *testing.T, k *kit) {
	b := k.batch(everySchool(5)...)
	k.recordBatch(b)
	last := uint64(0)
	for _, o := range b.Outcomes {
		last = max(last, o.Ordinal)
	}
	k.lose()
	archive := func(yield func(canyu.Recorded, error) bool) {
		for i, p := range b.Participations {
			if !yield(canyu.Recorded{Participation: p, Outcome: b.Outcomes[i]}, nil) {
				return
			}
		}
	}
	if err := k.Restore(t.Context(), k.activity, "e2", "key-1", archive, nil); err != nil {
		t.Fatal(err)
	}
	k.reopen()
	k.want("epoch", k.epoch, "e2")
	k.everySchoolHas(5)
	k.sequence = 0
	for school := range schools {
		again := k.batch(of(school, 5), of(school, 6))
		k.want("after Restore", k.recordBatch(again), "01")
		if o := again.Outcomes[1].Ordinal; o <= last {
			t.Fatalf("ordinal %d, and %d was given", o, last)
		}
	}
	k.everySchoolHas(6)
}
