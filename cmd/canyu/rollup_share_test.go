package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

// meeting holds up whoever stores until another worker stores too, or for a while.
type meeting struct {
	mu   sync.Mutex
	in   map[string]int // stores by worker
	both chan struct{}  // closed when two workers have met
}

func (m *meeting) enter(worker string, by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in[worker] += by; m.in[worker] == 0 {
		delete(m.in, worker)
	}
	if len(m.in) > 1 && !m.met() {
		close(m.both)
	}
}

func (m *meeting) met() bool {
	select {
	case <-m.both:
		return true
	default:
		return false
	}
}

func (m *meeting) busy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.in) > 0
}

// alone is how long somebody waits for the other.
const alone = 5 * time.Second

type meetingArchive struct {
	canyu.Archive
	*meeting
	worker string
}

func (a meetingArchive) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	a.enter(a.worker, 1)
	defer a.enter(a.worker, -1)
	select {
	case <-a.both:
	case <-time.After(alone):
	}
	return a.Archive.Store(ctx, activity, rs)
}

// another begins a second activity beside the shelf's, and records into it.
func (s *shelf) another() (activity *canyu.Activity, record func(from, to int)) {
	other := &shelf{t: s.t, ledger: s.ledger, archive: s.archive, activity: &canyu.Activity{ID: s.activity.ID + "-2"}, writer: s.writer}
	other.attach()
	return other.activity, other.record
}

// Two activities, two processes: while one is busy with one, the other gets the other.
// On a machine that is too busy it may come too late for that once, but not always.
func TestRollupShared(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		other, record := s.another()
		recorded := 0
		shared := func() bool {
			s.record(recorded, recorded+100)
			record(recorded, recorded+100)
			recorded += 100
			m := &meeting{in: make(map[string]int), both: make(chan struct{})}
			start := func(name string) (stop func()) {
				w := s.worker()
				w.Activities = []*canyu.Activity{s.activity, other}
				w.Archive = meetingArchive{s.archive, m, name}
				return startWorker(t, w)
			}
			defer start("one")()
			eventually(t, "one is busy", m.busy)
			defer start("two")()
			select {
			case <-m.both:
				return true
			case <-time.After(alone):
				return false
			}
		}
		if !shared() && !shared() && !shared() {
			t.Error("one process has both activities, and the other waits")
		}
		s.expect(recorded, recorded)
	})
}

// What a process had under way when it was killed, another one has within the ten
// seconds that its claims outlive it.
func TestRollupTakenOver(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		other, record := s.another()
		s.record(0, 100)
		record(0, 100)
		const claimFor = 10 * time.Second
		for _, id := range []string{s.activity.ID, other.ID} {
			held, err := s.ledger.Claim(t.Context(), "rollup/"+id, "somebody who was killed", claimFor)
			if check(t, err); !held {
				t.Fatal("not held")
			}
		}
		killed := time.Now()
		w := s.worker()
		w.Activities = []*canyu.Activity{s.activity, other}
		defer startWorker(t, w)()
		carried := func(st rollup.Status) bool { return st.Participations == 100 && !st.Done.IsZero() }
		eventually(t, "everything with the other process", func() bool {
			all := w.Status()
			return carried(all[0]) && carried(all[1])
		})
		t.Logf("taken over after %v", time.Since(killed).Round(time.Millisecond))
		if took := time.Since(killed); took < claimFor-time.Second || took > claimFor+20*time.Second {
			t.Errorf("taken over after %v, want some %v", took, claimFor)
		}
		s.expect(100, 100)
	})
}
