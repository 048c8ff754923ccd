package reports

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// ErrBehind: what was acknowledged is not all in the archive yet, so a report would
// tell too little.
var ErrBehind = errors.New("the archive is behind the ledger")

const (
	looks     = 50 // at the log before a report waits for the next tick:
	lookAgain = 200 * time.Millisecond
	hopeless  = 1_000_000       // participations that are not carried over meanwhile
	fresh     = 5 * time.Second // for so long a moment will do for other regions
)

// front is a moment up to which the archive has all that was acknowledged. The regions
// of a tick share one, so that they wait together.
type front struct {
	mu     sync.Mutex
	moment time.Time
	err    error
}

// reach waits until the archive has come up to now, or to a moment shortly before.
func (f *front) reach(ctx context.Context, s *Sender, a *canyu.Activity) (time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && (f.moment.IsZero() || s.now().Sub(f.moment) > fresh) {
		f.moment, f.err = s.caughtUp(ctx, a)
	}
	return f.moment, f.err
}

// behind is what is wrong for all regions alike, if anything is.
func (f *front) behind(a *canyu.Activity) error {
	if errors.Is(f.err, ErrBehind) {
		return fmt.Errorf("the reports of %s wait: %w", a.ID, f.err)
	}
	return nil
}

// caughtUp waits until what the ledger's logs have now is acknowledged by rollup, and
// returns the moment of now. What comes in meanwhile is not waited for.
func (s *Sender) caughtUp(ctx context.Context, a *canyu.Activity) (time.Time, error) {
	moment := s.now()
	waiting, err := s.Ledger.Backlog(ctx, a.ID)
	if err != nil {
		return moment, err
	}
	if waiting > hopeless {
		return moment, s.behind(ctx, a)
	}
	ends, err := canyu.LogEnds(ctx, s.Ledger, a.ID)
	if err != nil {
		return moment, err
	}
	for look := 0; ; look++ {
		if ends, err = canyu.StillInLog(ctx, s.Ledger, a.ID, ends); err != nil || len(ends) == 0 {
			return moment, err
		}
		if look == looks {
			return moment, s.behind(ctx, a)
		}
		if err := s.pause(ctx, lookAgain); err != nil {
			return moment, err
		}
	}
}

// behind is ErrBehind, and since when.
func (s *Sender) behind(ctx context.Context, a *canyu.Activity) error {
	var first time.Time
	for shard := range s.Ledger.Shards() {
		entries, err := s.Ledger.Log(ctx, a.ID, shard, "", 1)
		if err != nil {
			return err
		}
		for _, e := range entries {
			for _, r := range e.Recorded {
				if first.IsZero() || r.At.Before(first) {
					first = r.At
				}
			}
		}
	}
	if first.IsZero() { // nothing of it can be read, or it has just gone
		return ErrBehind
	}
	return fmt.Errorf("%w: what was recorded from %s on is not in it yet", ErrBehind, first.In(a.Zone).Format(time.DateTime))
}

func (s *Sender) pause(ctx context.Context, d time.Duration) error {
	if s.Pause != nil {
		return s.Pause(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
