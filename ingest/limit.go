package ingest

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// What is limited is never what a pupil, a class or a school does at a bell: two
// thousand pupils behind one address, each of whom tries five times, are 10,000
// requests at once. A limit keeps a machine that has gone wild from taking the place
// of others. Who is over it is told when to come back, and nothing is lost: browsers
// keep what they could not send.
var (
	// of a page of ours: one at which a class takes turns sends one request for each
	// pupil at the most, and all that has piled up in some few.
	pageLimit = limit{every: time.Second / 20, burst: 400}
	// of an address, for those without a page of ours: as many as the largest of
	// schools sends at a bell and goes on to send, several times.
	placeLimit = limit{every: time.Second / 100, burst: 10_000}
)

// A participant needs one message, and may think again; a whole class writing at one
// seat by mistake is more. Of the week of 2017 nobody sent two on one day, and no child
// had two parents on one.
const (
	messagesUsual = 5  // a day; those beyond it are held
	messagesMost  = 60 // a day; those beyond it are refused
	parentsUsual  = 12 // submissions of one child's parents a day; those beyond it are held
)

// errTooOften: this participant has left too many messages today.
var errTooOften = errors.New("too many messages of this participant today")

// limit is how often something may happen: as often as burst says at once, and then
// once every so often.
type limit struct {
	every time.Duration
	burst int
}

// slots are numbers that are remembered under a key for as long as no other key needs
// their place: bounded, without a lock, and allowed to forget. Two that write at the
// same moment may lose one step, which makes a limit wider and never tighter.
type slots []atomic.Uint64

func newSlots(bits int) slots { return make(slots, 1<<bits) }

func (s slots) at(key uint64) *atomic.Uint64 { return &s[key&uint64(len(s)-1)] }

// buckets remember for each key when its next request would be on time (a generic
// cell rate): 24 bits of the key, 40 of milliseconds.
type buckets struct{ slots }

const (
	bucketTime = 1<<40 - 1
	bucketOld  = int64(time.Hour / time.Millisecond)
)

// take is 0 where the key may do it once more now, else how long it has to wait.
func (b buckets) take(key uint64, l limit, now time.Time) time.Duration {
	slot, at := b.at(key), now.UnixMilli()&bucketTime
	due, old := at, slot.Load()
	if old>>40 == key>>40 {
		due = max(due, int64(old&bucketTime))
	}
	every := l.every.Milliseconds()
	ahead := due - at - every*int64(l.burst)
	switch {
	case ahead > bucketOld: // the clock was put back
		due = at
	case ahead > 0:
		return time.Duration(ahead) * time.Millisecond
	}
	slot.Store(key>>40<<40 | uint64((due+every)&bucketTime))
	return 0
}

// floods count for each key what it did today: 32 bits of the key, 16 of the day, 16
// of the count.
type floods struct{ slots }

func (f floods) add(key uint64, day canyu.Day) int {
	slot := f.at(key)
	today, old := key>>32<<32|uint64(uint16(day))<<16, slot.Load()
	n := uint64(1)
	if old>>16 == today>>16 {
		n = min(old&0xffff+1, 0xffff)
	}
	slot.Store(today | n)
	return int(n)
}

// limited is why a request has to wait, or nil.
func (s *Server) limited(v *visitor, now time.Time) *problem {
	if s.watch == nil {
		return nil
	}
	var wait time.Duration
	of := "page"
	if v.page.session != 0 {
		wait = s.watch.buckets.take(mix(v.page.session, 1), pageLimit, now)
	} else if v.place != 0 {
		of, wait = "address", s.watch.buckets.take(mix(v.place, 1), placeLimit, now)
	}
	if wait == 0 {
		return nil
	}
	s.watch.limits.WithLabelValues(of).Inc()
	return tooMany("too many requests from one "+of+": please wait and send it again, it counts once", wait)
}

func tooMany(detail string, wait time.Duration) *problem {
	p := newProblem(429, "too_many", "Too many requests", detail)
	p.retryAfter = strconv.Itoa(int((wait + time.Second - 1) / time.Second))
	return p
}
