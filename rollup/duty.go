package rollup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// claimFor is for how long a claim outlives the process that was killed under it, and
// so how far the archive may fall behind by that. Renewing it three times must fail
// before the work is given up: two thirds are the longest silence of a ledger that is
// taken for slow.
const claimFor = 10 * time.Second

// duty is a claim that is kept while there is work under it.
type duty struct {
	ledger       canyu.Ledger
	name, holder string
	held         bool
}

// do does the work while nobody else does it, or returns errBusy. The claim is
// renewed meanwhile; the context of the work ends if it is lost.
func (d *duty) do(ctx context.Context, work func(context.Context) error) error {
	held, err := d.ledger.Claim(ctx, d.name, d.holder, claimFor)
	if err != nil {
		return err
	}
	if d.held = held; !held {
		return errBusy
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { d.renew(ctx, cancel) })
	err = work(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	renewing.Wait()
	if err != nil && cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// onDuty does work that only one process may do to an activity's archive, after
// whoever is at it.
func onDuty(ctx context.Context, l canyu.Ledger, activity string, work func(context.Context) error) error {
	d := &duty{ledger: l, name: rollupDuty(activity), holder: rand.Text()}
	for {
		err := d.do(ctx, work)
		if !errors.Is(err, errBusy) {
			return errors.Join(err, d.release(context.WithoutCancel(ctx)))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(idle / 4):
		}
	}
}

func rollupDuty(activity string) string { return "rollup/" + activity }

func (d *duty) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	until := time.Now().Add(claimFor)
	ticker := time.NewTicker(claimFor / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		began := time.Now()
		held, err := d.ledger.Claim(ctx, d.name, d.holder, claimFor)
		switch {
		case err == nil && held:
			until = began.Add(claimFor)
		case err == nil, time.Now().After(until.Add(-claimFor / 3)):
			cancel(errBusy)
			return
		}
	}
}

func (d *duty) release(ctx context.Context) error {
	if !d.held {
		return nil
	}
	d.held = false
	return d.ledger.Release(ctx, d.name, d.holder)
}

// Hold keeps the archive's facts, and the log that they come from, as they are while
// it does something: it takes the duty of every worker. What is recorded meanwhile
// waits in the log.
func Hold(ctx context.Context, l canyu.Ledger, activities []string, do func(context.Context) error) error {
	if len(activities) == 0 {
		return do(ctx)
	}
	return onDuty(ctx, l, activities[0], func(ctx context.Context) error {
		return Hold(ctx, l, activities[1:], do)
	})
}
