package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// largeCounts bounds what counts of large regions cost a ledger, whoever asks and
// however often: one is read at a time, for a tenth of the time at most; those who ask
// for the same region meanwhile are told the same, and soon after it too (see
// watch.run, which does so for those who watch).
type largeCounts struct {
	turn chan struct{} // who holds it reads

	mu   sync.Mutex
	kept map[watchKey]*largeReading
}

type largeReading struct {
	done chan struct{} // closed when the rest is there

	began   time.Time
	took    time.Duration
	at      time.Time // by the server's clock
	schools []*canyu.School
	tallies []canyu.Tally
	err     error
}

func newLargeCounts() *largeCounts {
	return &largeCounts{turn: make(chan struct{}, 1), kept: make(map[watchKey]*largeReading)}
}

// over reports whether it is to be read again.
func (r *largeReading) over() bool {
	select {
	case <-r.done:
		return r.err != nil || time.Since(r.began) >= 20*r.took
	default:
		return false
	}
}

// get waits for the one that reads the same region, or reads it; errBusy where the
// turn does not come before ctx ends.
func (c *largeCounts) get(ctx context.Context, s *Server, a *activity, where scope, schools []*canyu.School) *largeReading {
	key := watchKey{a.ID, where}
	c.mu.Lock()
	r := c.kept[key]
	mine := r == nil || r.over()
	if mine {
		r = &largeReading{done: make(chan struct{}), schools: schools}
		c.kept[key] = r
	}
	c.mu.Unlock()
	if mine {
		c.read(ctx, s, a, r)
		close(r.done)
		return r
	}
	select {
	case <-r.done:
		return r
	case <-ctx.Done():
		return &largeReading{err: errBusy}
	}
}

func (c *largeCounts) read(ctx context.Context, s *Server, a *activity, r *largeReading) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		r.err = errBusy
		return
	}
	r.began, r.at = time.Now(), s.now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attempt)
	defer cancel()
	r.tallies, r.err = s.tallies(ctx, a, classesOf(r.schools))
	r.took = time.Since(r.began)
	time.AfterFunc(9*r.took, func() { <-c.turn })
}
