package ingest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// isPurged reports whether nobody of the activity is known any more: what is told of it
// comes from the rollups.
func (a *activity) isPurged() bool { return errors.Is(a.state.Load().err, canyu.ErrPurged) }

// forget destroys what this node has of an activity that is purged: what waits in the
// spool, and what it could give back.
func (s *Server) forget(ctx context.Context, a *activity) {
	a.who.Store(nil)
	if err := a.committer.forget(context.WithoutCancel(ctx)); err != nil {
		s.Log.Error("cannot destroy what this node has of a purged activity; trying again", "activity", a.ID, "error", err)
	}
}

// forgetEvery is how often a node looks for what it may forget.
const forgetEvery = time.Minute

// keepForgetting destroys, once an activity is over, this node's copy of the salt, which
// it needs only to take submissions; and what it could give back of messages that are
// purged.
func (s *Server) keepForgetting(ctx context.Context, a *activity) {
	if s.Spool == nil {
		return
	}
	for {
		if errors.Is(a.Open(s.now()), canyu.ErrClosed) {
			if err := s.forgetSome(ctx, a); err != nil && ctx.Err() == nil {
				s.Log.Warn("cannot forget what is not needed any more; trying again", "activity", a.ID, "error", err)
			}
		}
		if !pause(ctx, forgetEvery) {
			return
		}
	}
}

func (s *Server) forgetSome(ctx context.Context, a *activity) error {
	m, err := s.recall(ctx, a)
	if err != nil {
		return err
	}
	if m.Salt != "" {
		m.Salt = ""
		if err := s.keepInMind(ctx, a, m); err != nil {
			return err
		}
		if err := s.Spool.Scrub(ctx); err != nil {
			return err
		}
	}
	p, err := s.Archive.Purged(ctx, a.ID)
	if err == nil && !p.MessagesDone.IsZero() {
		err = a.committer.forgetRecent()
	}
	return err
}

// forgetRecent destroys what was recorded last: it is in the archive.
func (c *committer) forgetRecent() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(c.recent.batches) == 0 {
		return nil
	}
	c.recent.batches, c.recent.bytes = nil, 0
	if c.recent.tail == nil {
		return nil
	}
	return c.recent.tail.Clear()
}

// forget destroys everything that waits or could be given back.
func (c *committer) forget(ctx context.Context) error {
	if c.spool == nil {
		return nil
	}
	if err := c.forgetRecent(); err != nil {
		return err
	}
	c.writing.Lock()
	c.spooling, c.recovering, c.doubtful, c.inherited, c.owing, c.returning = false, false, false, false, false, ""
	c.writing.Unlock()
	return c.spool.Forget(ctx, c.activity)
}

// purgedTallies are what the ledger had when the activity was purged.
func (s *Server) purgedTallies(ctx context.Context, a *activity, classes []canyu.Class) ([]canyu.Tally, error) {
	index := make(map[canyu.Class]int, len(classes))
	var schools []canyu.SchoolCode
	for i, c := range classes {
		index[c] = i
		schools = append(schools, c.School)
	}
	slices.Sort(schools)
	rollups, err := s.Archive.Rollups(ctx, a.ID, slices.Compact(schools), a.FirstDay, a.LastDay)
	if err != nil {
		return nil, err
	}
	tallies := make([]canyu.Tally, len(classes))
	for _, r := range rollups {
		if i, ok := index[r.Class]; ok {
			tallies[i][r.Role] += r.Participants
		}
	}
	return tallies, nil
}
