package ingest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// runs remember for each class and sender how many seats in a row came one after the
// other: 20 bits of the key, 10 of the seat, 1 of the direction, 5 of the length, 28
// of milliseconds.
type runs struct{ slots }

const runTime = 1<<28 - 1

// step is how many steps the run has with this seat; one that comes sooner than least
// goes on with it and is no step.
func (r runs) step(key uint64, seat int, at time.Time, least, gap time.Duration) int {
	slot, now := r.at(key), uint64(at.UnixMilli())&runTime
	old := slot.Load()
	n, up := uint64(0), uint64(1)
	if old>>44 == key>>44 && (now-old)&runTime <= uint64(gap.Milliseconds()) {
		n, up = old>>28&31, old>>33&1
		by, went := seat-int(old>>34&1023), uint64(1)
		if by < 0 {
			by, went = -by, 0
		}
		switch {
		case by == 0: // a double click
		case by <= paceStep && (now-old)&runTime < uint64(least.Milliseconds()):
		case by > paceStep:
			n = 0
		case went == up || n == 0:
			n, up = min(n+1, 31), went
		default:
			n, up = 1, went
		}
	}
	slot.Store(key>>44<<44 | uint64(seat&1023)<<34 | up<<33 | n<<28 | now)
	return int(n)
}

// suspects are those about whom there is something to remember; mostly nobody is.
type suspects struct {
	n      atomic.Int32
	swept  atomic.Int64
	shards [16]struct {
		mu sync.Mutex
		of map[uint64]*suspected
	}
}

const suspectsMost = 4096 // in a shard

type suspected struct {
	since     time.Time // of bad and good
	bad, good int
	classes   int // run through
	why       canyu.Suspicion
	until     time.Time
	seen      time.Time
}

// any reports whether there is anybody, and once a minute forgets who has been quiet.
func (s *suspects) any(at time.Time) bool {
	if s.n.Load() == 0 {
		return false
	}
	if minute, swept := at.Unix()/60, s.swept.Load(); minute != swept && s.swept.CompareAndSwap(swept, minute) {
		for i := range s.shards {
			s.shards[i].mu.Lock()
			s.forget(uint64(i), at)
			s.shards[i].mu.Unlock()
		}
	}
	return true
}

// with calls do for what is remembered under a key, and remembers it where fresh says so.
func (s *suspects) with(key uint64, at time.Time, fresh bool, do func(*suspected)) {
	shard := &s.shards[key>>60]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	e := shard.of[key]
	if e == nil {
		if !fresh {
			return
		}
		s.room(key>>60, at)
		e = &suspected{since: at}
		shard.of[key] = e
		s.n.Add(1)
	}
	e.seen = at
	do(e)
}

// room makes a place in a shard: it forgets the quiet, or all if too many are left.
func (s *suspects) room(shard uint64, at time.Time) {
	of := &s.shards[shard].of
	if len(*of) >= suspectsMost {
		s.forget(shard, at)
	}
	if len(*of) >= suspectsMost {
		s.n.Add(-int32(len(*of)))
		clear(*of)
	}
	if *of == nil {
		*of = make(map[uint64]*suspected)
	}
}

// forget takes out who is not held and has been quiet for as long as it matters.
func (s *suspects) forget(shard uint64, at time.Time) {
	of := s.shards[shard].of
	for key, e := range of {
		if !at.Before(e.until) && (at.Sub(e.seen) > inventedWithinOf || at.Before(e.seen)) {
			delete(of, key)
			s.n.Add(-1)
		}
	}
}

// held is why what comes under the key is held.
func (s *suspects) held(key uint64, at time.Time) (why canyu.Suspicion) {
	s.with(key, at, false, func(e *suspected) {
		if at.Before(e.until) {
			why = e.why
		}
	})
	return why
}

// hold holds what comes under the key from now on, and reports whether it was not.
func (s *suspects) hold(key uint64, why canyu.Suspicion, at time.Time) (fresh bool) {
	s.with(key, at, true, func(e *suspected) {
		fresh = !at.Before(e.until)
		e.why, e.until = why, at.Add(heldFor)
	})
	return fresh
}

// again is how many classes the sender has run through by now.
func (s *suspects) again(key uint64, at time.Time) (n int) {
	s.with(key, at, true, func(e *suspected) {
		e.classes++
		n = e.classes
	})
	return n
}

// good counts what was accepted of one who also sent what was not.
func (s *suspects) good(v *visitor, client uint64, at time.Time) {
	count := func(e *suspected) { e.good++ }
	s.with(client, at, false, count)
	if client == v.fine && v.place != 0 {
		s.with(v.place, at, false, count)
	}
}

// bad counts what was refused, and reports whether with that the sender is held from
// now on.
func (s *suspects) bad(key uint64, most, share int, within time.Duration, at time.Time) (flagged bool) {
	s.with(key, at, true, func(e *suspected) {
		if at.Sub(e.since) > within || at.Before(e.since) {
			e.since, e.bad, e.good = at, 0, 0
		}
		e.bad++
		if e.bad < most || 100*e.bad < share*(e.bad+e.good) {
			return
		}
		flagged = !at.Before(e.until)
		e.why, e.until = canyu.Invented, at.Add(heldFor)
	})
	return flagged
}
