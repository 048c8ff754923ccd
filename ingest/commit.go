package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// Bounds of the committer.
const (
	// batchSize is as much as one batch takes. Batches grow to some hundred under
	// full load; a larger one would only keep the ledger busy for too long.
	batchSize = 1024
	// queueSize is how many participations may wait. Beyond it a submission is
	// refused at once: the client tries again later rather than time out.
	queueSize = 64 * batchSize
	// patience is how long a batch is tried before those that wait for it are told
	// that the ledger is away.
	patience = 3 * time.Second
	// attempt bounds one try.
	attempt = 2 * time.Second
)

// errAway is the reply to those whose batch could not be recorded. It may have been
// recorded all the same, with its reply lost: trying again is safe and exact.
var errAway = errors.New("the ledger is away")

// errBusy: more is waiting than can be recorded in good time.
var errBusy = errors.New("too much is waiting to be recorded")

// committer groups the participations of one activity into batches: while one is
// being recorded, the next one fills. Under load batches grow by themselves, and
// with none the wait is one round trip; there is no timer.
type committer struct {
	ledger   canyu.Ledger
	activity string
	writer   string
	epoch    func() string
	log      *slog.Logger
	observe  func(size int, took time.Duration, err error)

	mu      sync.Mutex
	waiting []*batch // the last one is filling
	queued  int
	closed  bool
	wake    chan struct{} // one token: there is something to do

	sequence uint64
}

// batch is what those who wait for it hold.
type batch struct {
	canyu.Batch
	since time.Time
	done  chan struct{} // closed when Outcomes and err are final
	err   error
}

func newCommitter(l canyu.Ledger, activity string, writer uint64, epoch func() string) *committer {
	return &committer{
		ledger:   l,
		activity: activity,
		writer:   strconv.FormatUint(writer, 36),
		epoch:    epoch,
		log:      slog.Default(),
		observe:  func(int, time.Duration, error) {},
		wake:     make(chan struct{}, 1),
	}
}

// commit records ps and returns their outcomes when they are durable. It waits for
// as long as that takes, at most a little over patience: what ps borrows must stay
// valid until it returns.
func (c *committer) commit(ps ...canyu.Participation) ([]canyu.Outcome, error) {
	b, at, err := c.join(ps)
	if err != nil {
		return nil, err
	}
	<-b.done
	if b.err != nil {
		return nil, b.err
	}
	return b.Outcomes[at : at+len(ps)], nil
}

// join adds ps to the batch that is filling.
func (c *committer) join(ps []canyu.Participation) (*batch, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, errAway
	}
	if c.queued+len(ps) > queueSize {
		return nil, 0, errBusy
	}
	var b *batch
	if n := len(c.waiting); n > 0 && len(c.waiting[n-1].Participations)+len(ps) <= batchSize {
		b = c.waiting[n-1]
	} else {
		b = &batch{since: time.Now(), done: make(chan struct{})}
		c.waiting = append(c.waiting, b)
	}
	at := len(b.Participations)
	b.Participations = append(b.Participations, ps...)
	c.queued += len(ps)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return b, at, nil
}

// next is the oldest batch that waits, or nil.
func (c *committer) next() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	b := c.waiting[0]
	c.waiting = append(c.waiting[:0], c.waiting[1:]...)
	c.queued -= len(b.Participations)
	return b
}

// run records batches until ctx ends and nothing is waiting any more.
func (c *committer) run(ctx context.Context) {
	for {
		for b := c.next(); b != nil; b = c.next() {
			c.record(b)
			close(b.done)
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			c.mu.Lock()
			c.closed = len(c.waiting) == 0
			closed := c.closed
			c.mu.Unlock()
			if closed {
				return
			}
		}
	}
}

// record tries until the batch is recorded or patience is over, at least once. What
// stopped the server must not stop a batch that somebody waits for, so it has its
// own deadlines.
func (c *committer) record(b *batch) {
	c.sequence++
	b.Activity, b.Writer, b.Sequence = c.activity, c.writer, c.sequence
	started := time.Now()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		// The epoch may change between tries: a rebuild gives a new one.
		b.Epoch = c.epoch()
		ctx, cancel := context.WithTimeout(context.Background(), attempt)
		err := c.ledger.Record(ctx, &b.Batch)
		cancel()
		if err == nil {
			b.err = nil
			break
		}
		b.err = fmt.Errorf("%w: %w", errAway, err)
		final := errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrHeld) || errors.Is(err, canyu.ErrStale)
		if final || time.Since(b.since)+pause > patience {
			c.log.Error("cannot record", "activity", c.activity, "participations", len(b.Participations), "error", err)
			break
		}
		time.Sleep(pause)
	}
	c.observe(len(b.Participations), time.Since(started), b.err)
}
