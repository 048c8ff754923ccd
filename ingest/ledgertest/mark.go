package ledgertest

import (
	"errors"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

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
	if o := k.nth(b.Outcomes[1].Ordinal); o != 2 {
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
	if _, err := k.Begin(k.t.Context(), k.activity, k.epoch, "key-1"); !errors.Is(err, canyu.ErrLost) {
		k.t.Fatalf("Begin with the epoch that was lost: %v, want ErrLost", err)
	}
	if _, err := k.Counts(k.t.Context(), k.activity, []canyu.Class{class}); !errors.Is(err, canyu.ErrLost) {
		k.t.Fatalf("Counts: %v, want ErrLost", err)
	}
}

func refusesAnotherKey(t *testing.T, k *kit) {
	if _, err := k.Begin(t.Context(), k.activity, "", "key-2"); !errors.Is(err, canyu.ErrKey) {
		t.Fatalf("another key: %v, want ErrKey", err)
	}
	for remembered, want := range map[string]error{k.epoch: nil, "another": canyu.ErrLost} {
		if _, err := k.Begin(t.Context(), k.activity, remembered, "key-1"); !errors.Is(err, want) {
			t.Fatalf("remembered as %q: %v, want %v", remembered, err, want)
		}
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
	if b.Outcomes[1].Ordinal <= archived[99].Ordinal {
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
