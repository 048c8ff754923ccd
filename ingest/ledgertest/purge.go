package ledgertest

import (
	"errors"
	"testing"

	"github.com/canyu/canyu"
)

// What is acknowledged and what is not: nothing is left of either, and other activities
// have everything.
func purge(t *testing.T, k *kit) {
	k.record(pupil(1), pupil(2))
	k.acknowledgeAll()
	k.record(pupil(3))
	other := &kit{Ledger: k.Ledger, t: t, activity: unique()}
	other.epoch = other.begin(other.activity)
	other.record(pupil(1))
	for range 2 { // it may be repeated
		if err := k.Purge(t.Context(), k.activity); err != nil {
			t.Fatal(err)
		}
	}
	gone := func() {
		t.Helper()
		if epoch, err := k.Epoch(t.Context(), k.activity); err != nil || epoch != "" {
			t.Fatalf("Epoch: %q, %v", epoch, err)
		}
		k.total(0)
		if rs := k.log(); len(rs) != 0 {
			t.Fatalf("the log has %d", len(rs))
		}
		if err := k.Record(t.Context(), k.batch(pupil(1))); !errors.Is(err, canyu.ErrLost) {
			t.Fatalf("Record: %v, want ErrLost", err)
		}
		if _, err := k.Participants(t.Context(), k.activity, class, canyu.Student); !errors.Is(err, canyu.ErrLost) {
			t.Fatalf("Participants: %v, want ErrLost", err)
		}
	}
	gone()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k.Ledger = k.Open(t)
	gone()
	other.Ledger = k.Ledger
	other.total(1)
	k.want("another activity", other.record(pupil(1), pupil(2)), "01")
}

func (k *kit) acknowledgeAll() {
	k.t.Helper()
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", 1<<30)
		if err == nil && len(entries) > 0 {
			err = k.Acknowledge(k.t.Context(), k.activity, shard, entries[len(entries)-1].Position)
		}
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

func scrub(t *testing.T, k *kit) {
	k.record(pupil(1), pupil(2))
	k.acknowledgeAll()
	k.record(pupil(3))
	if err := k.Scrub(t.Context(), k.activity); err != nil {
		t.Fatal(err)
	}
	if err := k.Scrub(t.Context(), unique()); err != nil {
		t.Fatalf("of an activity that has not begun: %v", err)
	}
	k.total(3)
	if rs := k.log(); len(rs) != 1 {
		t.Fatalf("the log has %d, want the one that is not acknowledged", len(rs))
	}
	k.reopen()
	k.total(3)
	k.want("after it", k.record(pupil(1), pupil(3), pupil(4)), "001")
}

func erase(t *testing.T, k *kit) {
	k.record(pupil(1), pupil(2))
	parent := pupil(1)
	parent.Role = canyu.Parent
	k.record(parent)
	k.acknowledgeAll()
	out := func(p canyu.Participant, want bool) {
		t.Helper()
		got, err := k.Erase(t.Context(), k.activity, class, canyu.Student, p)
		if err != nil || got != want {
			t.Fatalf("Erase: %v, %v; want %v", got, err, want)
		}
	}
	out(1, true)
	out(1, false)
	out(9, false)
	left := func() {
		t.Helper()
		k.total(2)
		if got := k.counts(class)[0]; got[canyu.Student] != 1 || got[canyu.Parent] != 1 {
			t.Fatalf("counts %v", got)
		}
	}
	left()
	k.reopen()
	left()
	b := k.batch(pupil(1), pupil(2))
	k.want("who was erased comes again", k.recordBatch(b), "10")
	if k.nth(b.Outcomes[0].Ordinal) != 4 {
		t.Fatalf("ordinal %d, want 4: 1–3 were given", b.Outcomes[0].Ordinal)
	}
	k.total(3)
	if err := k.Unmark(t.Context(), k.activity); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Erase(t.Context(), k.activity, class, canyu.Student, 2); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("in a lost ledger: %v, want ErrLost", err)
	}
}

// What the log still has would come back with it.
func eraseWaits(t *testing.T, k *kit) {
	k.record(pupil(1))
	k.acknowledgeAll()
	k.record(pupil(1), pupil(2)) // a repeat
	if _, err := k.Erase(t.Context(), k.activity, class, canyu.Student, 1); !errors.Is(err, canyu.ErrPending) {
		t.Fatalf("Erase: %v, want ErrPending", err)
	}
	k.total(2)
	k.acknowledgeAll()
	if in, err := k.Erase(t.Context(), k.activity, class, canyu.Student, 1); err != nil || !in {
		t.Fatalf("Erase: %v, %v", in, err)
	}
	k.total(1)
}
