package main

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

func verify(t *testing.T, s *shelf) []rollup.Difference {
	t.Helper()
	var classes []canyu.Class
	for i := range 10 { // the others are known to the archive alone
		classes = append(classes, shelfClass(i))
	}
	ds, err := rollup.Verify(t.Context(), s.ledger, s.archive, s.activity.ID, classes, nil)
	check(t, err)
	return ds
}

func TestVerify(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		agree := func(when string) {
			t.Helper()
			if ds := verify(t, s); len(ds) > 0 {
				t.Errorf("%s: %v", when, ds)
			}
		}
		agree("nothing recorded")
		s.record(0, 200)
		agree("all in the log")
		entries, err := s.ledger.Log(t.Context(), s.activity.ID, 0, "", 1)
		check(t, err)
		check(t, s.archive.Store(t.Context(), s.activity.ID, entries[0].Recorded))
		agree("stored, not restated, not acknowledged")
		check(t, s.worker().Drain(t.Context()))
		agree("all in the archive")
		s.record(100, 300)
		agree("some in the log")
		check(t, s.worker().Drain(t.Context()))

		// A participant that the ledger never saw, and rollups that do not know it.
		planted := entries[0].Recorded[3]
		planted.Participant, planted.Counted = 4711, true
		check(t, s.archive.Store(t.Context(), s.activity.ID, []canyu.Recorded{planted}))
		ds := verify(t, s)
		if len(ds) != 1 || ds[0].Class != planted.Class || ds[0].Role != planted.Role || ds[0].Facts != ds[0].Ledger+1 || ds[0].Rollups != ds[0].Ledger {
			t.Fatalf("planted in the archive: %v", ds)
		}
		check(t, rollup.Repair(t.Context(), s.ledger, s.archive, s.activity.ID, ds))
		if ds := verify(t, s); len(ds) != 1 || ds[0].Rollups != ds[0].Facts || ds[0].Facts != ds[0].Ledger+1 {
			t.Errorf("after Repair: %v", ds)
		}
	})
}

// TestVerifyRollups: rollups that lag behind facts are told and mended.
func TestVerifyRollups(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 50)
		check(t, s.worker().Drain(t.Context()))
		again := canyu.Recorded{Participation: canyu.Participation{Class: shelfClass(0), Role: canyu.Student, Participant: 1, ID: 99, At: shelfStart, Day: shelfDay}}
		check(t, s.archive.Store(t.Context(), s.activity.ID, []canyu.Recorded{again}))
		ds := verify(t, s)
		if len(ds) != 1 || !ds[0].Days || ds[0].Facts != ds[0].Ledger {
			t.Fatalf("a submission that no rollup has: %v", ds)
		}
		check(t, rollup.Repair(t.Context(), s.ledger, s.archive, s.activity.ID, ds))
		if ds := verify(t, s); len(ds) > 0 {
			t.Errorf("after Repair: %v", ds)
		}
	})
}

// TestVerifyWhileRunning: what is under way is no difference.
func TestVerifyWhileRunning(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		stop := startWorker(t, s.worker())
		done := make(chan struct{})
		var recording sync.WaitGroup
		recording.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					s.record(i*20, i*20+25)
				}
			}
		})
		for i := range 3 {
			eventually(t, "more recorded", func() bool {
				n, err := s.ledger.Total(t.Context(), s.activity.ID)
				check(t, err)
				return n > 400*(i+1)
			})
			if ds := verify(t, s); len(ds) > 0 {
				t.Errorf("while running: %v", ds)
			}
		}
		close(done)
		recording.Wait()
		stop()
		if ds := verify(t, s); len(ds) > 0 {
			t.Errorf("in the end: %v", ds)
		}
	})
}

func TestRebuild(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		rebuild := func(a canyu.Archive) error {
			return rollup.Rebuild(t.Context(), s.ledger, a, s.activity.ID, "fingerprint", nil)
		}
		s.record(0, 500)
		check(t, s.worker().Drain(t.Context()))
		if err := rebuild(s.archive); !errors.Is(err, rollup.ErrWhole) {
			t.Errorf("of a whole ledger: %v", err)
		}
		before := s.epoch
		s.lose()
		if _, err := canyu.Attach(t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint"); !errors.Is(err, canyu.ErrLost) {
			t.Fatalf("the loss is not noticed: %v", err)
		}
		if err := rebuild(cutShort{s.archive}); err == nil {
			t.Error("rebuilt from an archive that broke off")
		}
		if mark, err := s.ledger.Epoch(t.Context(), s.activity.ID); err != nil || mark != "" {
			t.Fatalf("the half-restored ledger is marked %q, %v", mark, err)
		}
		// The ledger is restored, and the program dies before the archive is told.
		if err := rebuild(noEpoch{s.archive, s.activity.ID}); !errors.Is(err, errFault) {
			t.Errorf("the archive did not take the epoch: %v", err)
		}
		if _, err := canyu.Attach(t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint"); !errors.Is(err, canyu.ErrLost) {
			t.Errorf("half rebuilt, and attached: %v", err)
		}
		check(t, rebuild(s.archive))
		if err := rebuild(s.archive); !errors.Is(err, rollup.ErrWhole) {
			t.Errorf("once more: %v", err)
		}
		if s.attach(); s.epoch == before {
			t.Error("the epoch is the old one")
		}
		s.record(250, 750)
		if n, err := s.ledger.Total(t.Context(), s.activity.ID); err != nil || n != 750 {
			t.Errorf("total %d, %v", n, err)
		}
		check(t, s.worker().Drain(t.Context()))
		s.expect(750, 1000)
		if ds := verify(t, s); len(ds) > 0 {
			t.Error(ds)
		}
		// A ledger of somebody else's.
		check(t, s.archive.SetEpoch(t.Context(), s.activity.ID, "another"))
		if err := rebuild(s.archive); err == nil || errors.Is(err, rollup.ErrWhole) {
			t.Errorf("over a stranger's ledger: %v", err)
		}
	})
}

// A ledger with the right mark and too few participants is an old one, also for those
// who never attached it.
func TestRebuildOlder(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 500)
		check(t, s.worker().Drain(t.Context()))
		s.lose()
		nobody := func(func(canyu.Recorded, error) bool) {}
		check(t, s.ledger.Restore(t.Context(), s.activity.ID, s.epoch, "fingerprint", nobody, nil))
		check(t, rollup.Rebuild(t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint", nil))
		before := s.epoch
		if s.attach(); s.epoch == before {
			t.Error("the epoch is the old one")
		}
		if n, err := s.ledger.Total(t.Context(), s.activity.ID); err != nil || n != 500 {
			t.Errorf("total %d, %v", n, err)
		}
	})
}

// cutShort is an archive whose participants end too soon, without an error.
type cutShort struct{ canyu.Archive }

func (c cutShort) Participants(ctx context.Context, activity string) iter.Seq2[canyu.Recorded, error] {
	return func(yield func(canyu.Recorded, error) bool) {
		n := 0
		for r, err := range c.Archive.Participants(ctx, activity) {
			if n++; n > 100 || !yield(r, err) {
				return
			}
		}
	}
}

// noEpoch is an archive that cannot be told the activity's epoch.
type noEpoch struct {
	canyu.Archive
	activity string
}

func (n noEpoch) SetEpoch(ctx context.Context, activity, epoch string) error {
	if activity == n.activity {
		return errFault
	}
	return n.Archive.SetEpoch(ctx, activity, epoch)
}
