package rollup

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"

	"github.com/canyu/canyu"
)

// ErrWhole: the ledger is the one that the archive belongs to; there is nothing
// to rebuild.
var ErrWhole = errors.New("the ledger is whole")

// Rebuild fills the ledger of an activity that lost its data, or came back with old
// data, with the participants of the archive, and gives both a new epoch: a batch or
// a ledger of the old one is recognised should it come back. What is whole is what
// [canyu.Attach] takes for whole. progress, if not nil, is
// told now and then how many participants are in.
//
// It may be repeated after an error or a crash. The new epoch is first written
// down as the intended one, so that a ledger that was restored but whose archive
// did not learn of it is told from a stranger's. ErrWhole if there is nothing to
// do, also for an activity that has not begun.
func Rebuild(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity, fingerprint string, progress func(int)) error {
	d := &duty{ledger: l, name: "rebuild/" + activity, holder: rand.Text()}
	err := d.do(ctx, func(ctx context.Context) error { return rebuild(ctx, l, a, activity, fingerprint, progress) })
	if released := d.release(context.WithoutCancel(ctx)); err == nil {
		err = released
	}
	if err != nil && !errors.Is(err, ErrWhole) {
		return fmt.Errorf("cannot rebuild the ledger of %s: %w", activity, err)
	}
	return err
}

func rebuild(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity, fingerprint string, progress func(int)) error {
	remembered, err := a.Epoch(ctx, activity)
	if err != nil {
		return err
	}
	if p, err := a.Purged(ctx, activity); err != nil || !p.Participants.IsZero() {
		return cmp.Or(err, canyu.ErrPurged)
	}
	intended, err := a.Epoch(ctx, intention(activity))
	if err != nil {
		return err
	}
	mark, err := l.Epoch(ctx, activity)
	if err != nil {
		return err
	}
	switch {
	case remembered == "":
		return ErrWhole
	case mark == remembered:
		_, err := canyu.Attach(ctx, l, a, activity, fingerprint)
		if !errors.Is(err, canyu.ErrLost) {
			return cmp.Or(err, ErrWhole)
		}
		// It is older than the archive, and its mark has been taken away.
	case mark != "" && mark == intended:
		return agree(ctx, a, activity, remembered, intended)
	case mark != "":
		past, err := a.Epoch(ctx, past(activity, mark))
		if err != nil {
			return err
		}
		if past == "" {
			return fmt.Errorf("it has epoch %q, which was never the archive's (%q): it belongs to another archive, empty it first", mark, remembered)
		}
		if err := l.Unmark(ctx, activity); err != nil {
			return err
		}
	}
	intended = rand.Text()
	if err := a.SetEpoch(ctx, intention(activity), intended); err != nil {
		return err
	}
	tallies, err := a.Tallies(ctx, activity, nil)
	if err != nil {
		return err
	}
	expected := 0
	for _, t := range tallies {
		expected += t.Participants - t.Admitted
	}
	if err := l.Restore(ctx, activity, intended, fingerprint, atLeast(expected, a.Participants(ctx, activity)), progress); err != nil {
		return err
	}
	return agree(ctx, a, activity, remembered, intended)
}

// agree tells the archive what the ledger has been marked with, and that it was
// marked otherwise before: a ledger with that mark is an old copy of ours.
func agree(ctx context.Context, a canyu.Archive, activity, before, epoch string) error {
	if err := a.SetEpoch(ctx, past(activity, before), "past"); err != nil {
		return err
	}
	if err := a.SetEpoch(ctx, activity, epoch); err != nil {
		return err
	}
	return a.SetEpoch(ctx, intention(activity), "")
}

// intention is where the intended epoch is written down: no activity's name, for
// those have no slash.
func intention(activity string) string { return activity + "/rebuild" }

// past is where it is written down that the activity once had an epoch.
func past(activity, epoch string) string { return activity + "/past/" + epoch }

// atLeast makes an error of participants that end too soon: a connection that
// broke must not look like the end, or the rest would be counted from zero.
func atLeast(n int, rs iter.Seq2[canyu.Recorded, error]) iter.Seq2[canyu.Recorded, error] {
	return func(yield func(canyu.Recorded, error) bool) {
		got := 0
		for r, err := range rs {
			if got++; !yield(r, err) || err != nil {
				return
			}
		}
		if got < n {
			yield(canyu.Recorded{}, fmt.Errorf("the archive gave %d participants of %d", got, n))
		}
	}
}
