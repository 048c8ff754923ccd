package loadtest

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms hold 1 µs … 10 minutes in three significant figures.
const longest = 10 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

// recorder takes down what happened. It is split into a few shards: one for each
// worker would be 40 MB of histograms, one for all a lock to queue for.
type recorder struct {
	shards [4]shard
	mu     sync.Mutex
	errors map[string]int64
}

type shard struct {
	mu       sync.Mutex
	latency  *hdrhistogram.Histogram // from the intended start
	service  *hdrhistogram.Histogram // from the actual start
	interval *hdrhistogram.Histogram // latency since the last second
	statuses [600]int64              // of answers
	items    [600]int64              // of the submissions in them
	silent   int64                   // submissions sent and not answered
	unsent   int64                   // due, and no connection became free in time
	_        [64]byte
}

func newRecorder() *recorder {
	r := &recorder{errors: make(map[string]int64)}
	for i := range r.shards {
		r.shards[i] = shard{latency: newHistogram(), service: newHistogram(), interval: newHistogram()}
	}
	return r
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d, 0), longest).Microseconds()) // cannot fail: it is in range
}

// answered notes a reply, what it says of each submission, and how long it took
// from the intended and from the actual start.
func (s *shard) answered(status int, items []int, latency, service time.Duration) {
	s.mu.Lock()
	for _, of := range items {
		if of >= 0 && of < len(s.items) {
			s.items[of]++
		}
	}
	if status >= 0 && status < len(s.statuses) {
		s.statuses[status]++
	}
	record(s.latency, latency)
	record(s.interval, latency)
	record(s.service, service)
	s.mu.Unlock()
}

// missed notes a request without a reply: its latency is how long it has waited.
func (s *shard) missed(sent bool, latency time.Duration, submissions int) {
	s.mu.Lock()
	if sent {
		s.silent += int64(submissions)
	} else {
		s.unsent += int64(submissions)
	}
	record(s.latency, latency)
	record(s.interval, latency)
	s.mu.Unlock()
}

// fail counts a reason. Reasons name ports and bytes: only so many are kept.
func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	if _, known := r.errors[text]; !known && len(r.errors) >= 20 {
		text = "other"
	}
	r.errors[text]++
}

// second takes the interval since the last call.
func (r *recorder) second() (h *hdrhistogram.Histogram, failed int64) {
	h = newHistogram()
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		h.Merge(s.interval)
		s.interval.Reset()
		failed += s.silent + s.unsent
		for status, n := range s.items {
			if status >= 400 {
				failed += n
			}
		}
		s.mu.Unlock()
	}
	return h, failed
}

// sum adds the shards up, once nobody writes any more.
func (r *recorder) sum() *shard {
	all := shard{latency: newHistogram(), service: newHistogram()}
	for i := range r.shards {
		s := &r.shards[i]
		all.latency.Merge(s.latency)
		all.service.Merge(s.service)
		for status, n := range s.statuses {
			all.statuses[status] += n
			all.items[status] += s.items[status]
		}
		all.silent += s.silent
		all.unsent += s.unsent
	}
	return &all
}
