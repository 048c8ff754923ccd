package loadtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
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
	Path        string        // where submissions are posted, if not on canyu

	// Retries is how often a request without an answer, or with 429 or 5xx, is sent
	// again, after Pause: the very same body. It is one request in every number but
	// Result.Resent, and its latency ends with the last answer.
	Retries int
	Pause   time.Duration
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
	told  []atomic.Uint64 // a bit for each pupil who was told 201
	twice atomic.Int64    // pupils who were told so again
	again atomic.Int64    // requests sent once more
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
		head:    o.Target.head("POST", cmp.Or(o.Path, participations)),
		rec:     newRecorder(),
		acked:   make([]atomic.Uint32, o.Source.Classes()),
		maybe:   make([]atomic.Uint32, o.Source.Classes()),
		told:    make([]atomic.Uint64, o.Source.Pupils()/64+1),
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
		var who Asked
		if body, who, ok = r.Source.Append(body[:0], r.First+i); !ok {
			return
		}
		if who.Count == 0 {
			continue
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
		r.send(ctx, c, s, body, who, due, now)
	}
}

func (r *runner) send(ctx context.Context, c *conn, s *shard, body []byte, who Asked, due, now time.Duration) {
	if late := now - due; late > r.Timeout { // the pupil has given up
		s.missed(false, late, who.Count)
		return
	}
	sent, unknown := false, false // whether an earlier try may have been counted
	for try := 0; ; try++ {
		status, err := 0, c.open(ctx)
		if err != nil {
			pause(ctx, 100*time.Millisecond) // a server that is away is not asked faster for it
		} else {
			sent = true
			status, err = c.do(r.head, body, r.start.Add(now))
			unknown = unknown || err != nil
		}
		end := time.Since(r.start)
		switch {
		case err != nil:
			r.rec.fail(err)
		case status >= 400:
			r.rec.fail(fmt.Errorf("%d: %.120s", status, c.resp.Body()))
		}
		if bad := err != nil || status == 429 || status >= 500; bad && try < r.Retries && ctx.Err() == nil {
			unknown = unknown || status >= 500
			r.again.Add(1)
			pause(ctx, r.Pause)
			now = time.Since(r.start)
			continue
		}
		if err != nil {
			for i := range who.Count {
				if unknown {
					r.maybe[r.Source.ClassOf(r.Source.PupilOf(who, i))].Add(1)
				}
			}
			s.missed(sent, end-due, who.Count)
			return
		}
		var statuses [MaxArray]int
		r.answered(statuses[:who.Count], c.resp.Body(), who, status, unknown)
		s.answered(status, statuses[:who.Count], end-due, end-now)
		return
	}
}

// answered notes what the answer says to each pupil of the request, and fills
// statuses with it.
func (r *runner) answered(statuses []int, body []byte, who Asked, status int, unknown bool) {
	results := results{body: body}
	for i := range statuses {
		of := status
		if r.Source.array > 1 && status == 200 {
			of = results.next()
		}
		statuses[i] = of
		pupil := r.Source.PupilOf(who, i)
		switch {
		case of == 201:
			r.acked[r.Source.ClassOf(pupil)].Add(1)
			if bit := uint64(1) << (pupil % 64); r.told[pupil/64].Or(bit)&bit != 0 {
				r.twice.Add(1)
			}
		case of == 202 || of >= 500 || unknown: // spooled, or failed no one knows where
			r.maybe[r.Source.ClassOf(pupil)].Add(1)
		}
	}
}

// results are the statuses of an array's items, in order. Within JSON's strings the
// quotes would be escaped, so the name is found nowhere else.
type results struct{ body []byte }

// next is 500 where the answer has too few.
func (r *results) next() int {
	const name = `"status":`
	i := bytes.Index(r.body, []byte(name))
	if i < 0 || len(r.body) < i+len(name)+3 {
		return 500
	}
	digits := r.body[i+len(name):][:3]
	r.body = r.body[i+len(name)+3:]
	status, err := strconv.Atoi(string(digits))
	if err != nil {
		return 500
	}
	return status
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
			P50: quantile(h, 50), P99: quantile(h, 99),
			Failed: failed, latency: h,
		}
		last = at
		line = append(line, sec)
		if r.Every != nil {
			r.Every(sec)
		}
	}
}
