package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a run does. Target, Source and Schedule must be set, and the
// run must end: by Duration, by Count or by its schedule or source.
type Options struct {
	Target      *Target
	Source      *Source
	Schedule    Schedule
	Connections int           // default 256
	Duration    time.Duration // 0: no limit
	Count       int64         // 0: no limit
	First       int64         // the source's first request: a later run goes on at Result.Next
	Timeout     time.Duration // of one request, from its intended start too; default 10 s
	Every       func(Second)  // told each second, where set
}

// Second is one second of a run.
type Second struct {
	At     time.Duration // since the start, at its end
	Rate   float64       // requests answered per second
	P50    time.Duration // from the intended start
	P99    time.Duration
	Failed int64 // since the start: refused, failed, unanswered, unsent
}

// participations is where submissions are posted.
const participations = "/v1/participations"

// runner is a run under way.
type runner struct {
	Options
	head  []byte
	rec   *recorder
	next  atomic.Int64
	acked []atomic.Uint32 // by class of the source: replies 201
	maybe []atomic.Uint32 // requests that may have been counted: nobody knows
	start time.Time
}

// Run sends the requests and waits for the answers. It returns early, with what
// there is, when ctx ends; what is under way is still answered. An error means
// that there was no run.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Connections == 0 {
		o.Connections = 256
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Connections < 1 || o.Connections > 20000 {
		return nil, fmt.Errorf("connections %d: want 1–20000", o.Connections)
	}
	if o.First >= o.Source.Requests() {
		return nil, errors.New("the roster has no pupil left who has not taken part")
	}
	r := &runner{
		Options: o,
		head:    o.Target.head("POST", participations),
		rec:     newRecorder(),
		acked:   make([]atomic.Uint32, o.Source.Classes()),
		maybe:   make([]atomic.Uint32, o.Source.Classes()),
	}
	conns, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	timeline := make(chan []Second)
	done := make(chan struct{})
	r.start = time.Now()
	go func() { timeline <- r.watch(done) }()
	var workers sync.WaitGroup
	for i, c := range conns {
		workers.Go(func() { r.work(ctx, c, &r.rec.shards[i%len(r.rec.shards)]) })
	}
	workers.Wait()
	elapsed := time.Since(r.start)
	close(done)
	return r.result(elapsed, <-timeline), nil
}

// connect opens all connections before the clock starts.
func (r *runner) connect(ctx context.Context) ([]*conn, error) {
	conns := make([]*conn, r.Connections)
	errs := make([]error, r.Connections)
	var dialling sync.WaitGroup
	slots := make(chan struct{}, 64) // no more at once than a listen queue holds
	for i := range conns {
		conns[i] = newConn(r.Target, r.Timeout)
		dialling.Go(func() {
			slots <- struct{}{}
			errs[i] = conns[i].open(ctx)
			<-slots
		})
	}
	dialling.Wait()
	for _, err := range errs {
		if err != nil {
			for _, c := range conns {
				c.close()
			}
			return nil, fmt.Errorf("cannot connect to %s: %w", r.Target.URL.Host, err)
		}
	}
	return conns, nil
}

// work takes one request after the other, waits until it is due, and sends it.
func (r *runner) work(ctx context.Context, c *conn, s *shard) {
	defer c.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var body []byte
	for ctx.Err() == nil {
		i := r.next.Add(1) - 1
		due, ok := r.Schedule.Due(i)
		if !ok || r.Count > 0 && i >= r.Count || r.Duration > 0 && due >= r.Duration {
			return
		}
		now := time.Since(r.start)
		if due == Whenever {
			if r.Duration > 0 && now >= r.Duration {
				return
			}
			due = now
		}
		var class int
		if body, class, ok = r.Source.Append(body[:0], r.First+i); !ok {
			return
		}
		if due > now {
			timer.Reset(due - now)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			now = time.Since(r.start)
		}
		r.send(ctx, c, s, body, class, due, now)
	}
}

func (r *runner) send(ctx context.Context, c *conn, s *shard, body []byte, class int, due, now time.Duration) {
	if late := now - due; late > r.Timeout { // the pupil has given up
		s.missed(false, late)
		return
	}
	if err := c.open(ctx); err != nil {
		r.rec.fail(err)
		s.missed(false, time.Since(r.start)-due)
		pause(ctx, 100*time.Millisecond) // a server that is away is not asked faster for it
		return
	}
	status, err := c.do(r.head, body, r.start.Add(now))
	end := time.Since(r.start)
	switch {
	case err != nil:
		r.maybe[class].Add(1)
		r.rec.fail(err)
		s.missed(true, end-due)
		return
	case status == 201:
		r.acked[class].Add(1)
	case status == 202 || status >= 500: // spooled, or failed no one knows where
		r.maybe[class].Add(1)
	}
	if status >= 400 {
		r.rec.fail(fmt.Errorf("%d: %.120s", status, c.resp.Body()))
	}
	s.answered(status, end-due, end-now)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// watch takes the timeline, second by second, until done is closed.
func (r *runner) watch(done <-chan struct{}) []Second {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var line []Second
	last := time.Duration(0)
	for {
		select {
		case <-done:
			return line
		case <-tick.C:
		}
		h, failed := r.rec.second()
		at := time.Since(r.start)
		sec := Second{
			At: at, Rate: float64(h.TotalCount()) / (at - last).Seconds(),
			P50:    time.Duration(h.ValueAtQuantile(50)) * time.Microsecond,
			P99:    time.Duration(h.ValueAtQuantile(99)) * time.Microsecond,
			Failed: failed,
		}
		last = at
		line = append(line, sec)
		if r.Every != nil {
			r.Every(sec)
		}
	}
}
