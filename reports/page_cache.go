package reports

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// place is whose numbers they are: a school's, a region's, or all.
type place struct {
	activity string
	school   canyu.SchoolCode // 0: a region's
	region   canyu.Region     // 0: all
	day      canyu.Day        // where it matters
}

// cache keeps what was read last, so that it is read once however many look at it.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]*cached[V]
}

type cached[V any] struct {
	value V
	err   error
	at    time.Time
	took  time.Duration
	ready bool          // value was read at least once
	busy  chan struct{} // closed when the read that is under way is done
}

// mostCached places; a province has some 3,000 schools.
const mostCached = 10_000

// A read that takes long is not repeated at once: it gets this share of the time.
const cacheShare = 10

var errLater = errors.New("it is still being read")

// get is what read returned at most keep ago, or what it returns now. A read goes
// on in the background when patience ends: then what is known from before is
// returned with its time, or errLater if there is nothing.
func (c *cache[K, V]) get(ctx context.Context, p *Pages, key K, keep, patience time.Duration, read func(context.Context) (V, error)) (V, time.Time, error) {
	c.mu.Lock()
	if c.entries == nil || len(c.entries) >= mostCached {
		c.entries = make(map[K]*cached[V])
	}
	e := c.entries[key]
	if e == nil {
		e = &cached[V]{}
		c.entries[key] = e
	}
	age := p.now().Sub(e.at)
	if e.ready && age >= 0 && age < max(keep, cacheShare*e.took) {
		defer c.mu.Unlock()
		return e.value, e.at, nil
	}
	busy := e.busy
	if busy == nil {
		busy = make(chan struct{})
		e.busy = busy
		go c.read(p, e, read)
	}
	c.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	late := false
	select {
	case <-busy:
	case <-timer.C:
		late = true
	case <-ctx.Done():
		late = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case late && e.ready:
		return e.value, e.at, nil
	case late:
		return e.value, e.at, errLater
	}
	return e.value, e.at, e.err
}

func (c *cache[K, V]) read(p *Pages, e *cached[V], read func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at, began := p.now(), time.Now()
	value, err := read(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.err = err; err == nil {
		e.value, e.at, e.took, e.ready = value, at, time.Since(began), true
	}
	close(e.busy)
	e.busy = nil
}
