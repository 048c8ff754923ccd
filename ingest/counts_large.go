package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// largeCounts bounds what counts of large regions cost a ledger, whoever asks and
// however often: one is read at a time, for a third of the time at most, and all who
// ask for a region before its reading has begun are told by that one. So nobody is told
// less than what was acknowledged before he asked.
type largeCounts struct {
	turn chan struct{} // who holds it reads

	mu   sync.Mutex
	next map[watchKey]*largeReading // not begun
}

const (
	largePatience = 10 * time.Second // of those who wait
	largeAttempt  = 10 * time.Second // bounds one reading
)

type largeReading struct {
	done chan struct{} // closed when the rest is there

	at      time.Time // by the server's clock
	schools []*canyu.School
	tallies []canyu.Tally
	err     error
}

func newLargeCounts() *largeCounts {
	return &largeCounts{turn: make(chan struct{}, 1), next: make(map[watchKey]*largeReading)}
}

// get waits for the region's next reading; errBusy where that takes too long.
func (c *largeCounts) get(s *Server, a *activity, where scope, schools []*canyu.School) *largeReading {
	key := watchKey{a.ID, where}
	c.mu.Lock()
	r := c.next[key]
	if r == nil {
		r = &largeReading{done: make(chan struct{}), schools: schools}
		c.next[key] = r
		go c.read(s, a, key, r)
	}
	c.mu.Unlock()
	patience := time.NewTimer(largePatience)
	defer patience.Stop()
	select {
	case <-r.done:
		return r
	case <-patience.C:
		return &largeReading{err: errBusy}
	}
}

func (c *largeCounts) read(s *Server, a *activity, key watchKey, r *largeReading) {
	c.turn <- struct{}{}
	c.mu.Lock()
	delete(c.next, key)
	c.mu.Unlock()
	began := time.Now()
	r.at = s.now()
	ctx, cancel := context.WithTimeout(context.Background(), largeAttempt)
	defer cancel()
	r.tallies, r.err = s.tallies(ctx, a, classesOf(r.schools))
	close(r.done)
	time.AfterFunc(2*time.Since(began), func() { <-c.turn })
}
