package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/spool"
)

// Bounds of the committer.
const (
	// batchSize is as much as one batch takes. Batches grow to some hundred under
	// full load; a larger one would only keep the ledger busy for too long.
	batchSize = 1024
	// queueSize is how many participations may wait. Beyond it a submission is
	// refused at once: the client tries again later rather than time out.
	queueSize = 64 * batchSize
	// patience is how long a batch is tried where there is no spool, before those
	// that wait for it are told that the ledger is away.
	patience = 3 * time.Second
	// attempt bounds one try.
	attempt = 2 * time.Second
	// writerIdle is after how long without a batch a writer takes a new name: long
	// before a ledger forgets the old one.
	writerIdle = 24 * time.Hour
)

// errAway is the reply to those whose batch could not be recorded. It may have been
// recorded all the same, with its reply lost: trying again is safe and exact.
var errAway = errors.New("the ledger is away")

// errBusy: more is waiting than can be recorded in good time.
var errBusy = errors.New("too much is waiting to be recorded")

// committer groups the participations of one activity into batches: while one is
// being recorded, the next one fills. Under load batches grow by themselves, and
// with none the wait is one round trip; there is no timer.
//
// Where there is a spool, a batch that the ledger does not take goes there, and so
// does every one after it until the spool is empty again (see spooling.go).
type committer struct {
	ledger   canyu.Ledger
	name     string       // of this committer, in claims
	spool    *spool.Spool // nil: none
	activity string
	epoch    func() string
	refused  func() error // why nothing may be recorded, not even in the spool
	log      *slog.Logger
	observe  func(size int, took time.Duration, err error)

	mu      sync.Mutex
	waiting []*batch              // the last one is filling
	room    []canyu.Participation // of a batch that is done, for one that begins
	queued  int
	closed  bool
	wake    chan struct{} // one token: there is something to do

	writing  sync.Mutex // guards the rest
	writer   string
	sequence uint64
	recorded uint64    // newest sequence that the ledger acknowledged
	at       time.Time // of the newest batch
	failure  error     // why the newest batch was not recorded, nor kept in a spool
	recent   recent

	// With a spool, live counts are shown only in the first and the fifth of these states,
	// and in the fifth not before believed (isRecovering):
	//
	//	                                spooling  doubtful  away  recovering  until
	//	the ledger takes batches
	//	begun, and nothing waits                  ×                           prove
	//	begun, and the spool waits      ×         ×                           drained; inherited too
	//	away                            ×         ×         ×                 drained
	//	back with all it acknowledged                                         believed has passed
	//	looked at in vain, no batch yet           ×         ×                 prove
	//	lost its data                   ×         ×         ×     ×           restored, settled, drained
	//
	// The drain waits while settled is to come, but for what this node gives back (returning).
	spooling   bool      // batches go to the spool
	recovering bool      // what was recorded last is among them
	doubtful   bool      // the ledger was away, and has not taken a batch since
	inherited  bool      // an earlier process left batches in the spool, perhaps given back ones
	owing      bool      // what was recorded last is to go into the spool, and did not yet
	blunt      bool      // it was said that the tail cannot be written
	returning  string    // writer of what is given back and waits in the spool, "" for none
	returnings uint64    // its newest sequence
	settled    time.Time // when those that are new are counted again
	away       bool      // doubtful, because the ledger was away
	believed   time.Time // when live counts are shown again, after it was
}

// batch is what those who wait for it hold.
type batch struct {
	canyu.Batch
	since   time.Time
	done    chan struct{} // closed when Outcomes, spooled and err are final
	spooled bool          // durable in the spool; there are no outcomes yet
	err     error
}

func newCommitter(l canyu.Ledger, sp *spool.Spool, activity string, epoch func() string) *committer {
	return &committer{
		ledger:   l,
		name:     newWriter(),
		spool:    sp,
		activity: activity,
		writer:   newWriter(),
		epoch:    epoch,
		refused:  func() error { return nil },
		log:      slog.Default(),
		observe:  func(int, time.Duration, error) {},
		wake:     make(chan struct{}, 1),
	}
}

func newWriter() string { return strconv.FormatUint(rand.Uint64(), 36) }

// commit records ps and returns their outcomes when they are durable; none where
// they are durable in the spool. It waits for as long as that takes, at most a
// little over patience: what ps borrows must stay valid until it returns.
func (c *committer) commit(ps ...canyu.Participation) ([]canyu.Outcome, error) {
	b, at, err := c.join(ps)
	if err != nil {
		return nil, err
	}
	<-b.done
	if b.err != nil || b.spooled {
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
		b.Participations, c.room = c.room, nil
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

// reuse keeps the room of a batch: growing another to some hundred participations copies
// each of them once more and leaves as much garbage.
func (c *committer) reuse(b *batch) {
	clear(b.Participations) // they borrow from requests that are answered now
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room, b.Participations = b.Participations[:0], nil
}

// run records batches until ctx ends and nothing is waiting any more.
func (c *committer) run(ctx context.Context) {
	for {
		for b := c.next(); b != nil; b = c.next() {
			c.record(b)
			close(b.done)
			c.reuse(b)
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

// record records a batch in the ledger or, failing that, in the spool. What stopped
// the server must not stop a batch that somebody waits for, so it has its own
// deadlines.
func (c *committer) record(b *batch) {
	started := time.Now()
	defer func() { c.observe(len(b.Participations), time.Since(started), b.err) }()
	if err := c.refused(); err != nil {
		b.err = fmt.Errorf("%w: %w", errAway, err)
		return
	}
	if c.sign(b) {
		c.keep(b)
		return
	}
	err := c.tryLedger(b)
	switch {
	case err == nil:
		c.recordedNow(b)
	case c.spool == nil || errors.Is(err, canyu.ErrHeld):
		c.failed(err)
		b.err = fmt.Errorf("%w: %w", errAway, err)
		c.log.Error("cannot record", "activity", c.activity, "participations", len(b.Participations), "error", err)
	default:
		c.startSpooling(err)
		c.keep(b)
	}
}

// sign gives the batch its writer and sequence, and reports whether it goes to the
// spool.
func (c *committer) sign(b *batch) (spooling bool) {
	c.writing.Lock()
	defer c.writing.Unlock()
	now := time.Now()
	if now.Sub(c.at) > writerIdle {
		c.writer, c.sequence, c.recorded = newWriter(), 0, 0
	}
	c.at = now
	c.sequence++
	b.Activity, b.Writer, b.Sequence, b.After = c.activity, c.writer, c.sequence, c.recorded
	return c.spooling
}

// tryLedger tries once where there is a spool, else until patience is over.
func (c *committer) tryLedger(b *batch) error {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err := c.tryOnce(&b.Batch)
		final := errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrHeld) || errors.Is(err, canyu.ErrStale)
		if err == nil || final || c.spool != nil || time.Since(b.since)+pause > patience {
			return err
		}
		time.Sleep(pause)
	}
}

func (c *committer) tryOnce(b *canyu.Batch) error {
	// The epoch may change between tries: a rebuild gives a new one.
	b.Epoch = c.epoch()
	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	return c.ledger.Record(ctx, b)
}

func (c *committer) recordedNow(b *batch) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if b.Writer == c.writer {
		c.recorded = max(c.recorded, b.Sequence)
	}
	c.failure = nil
	if c.spool != nil {
		c.remember(&b.Batch)
	}
}

// failed keeps why a batch was not recorded, for readiness, until one is.
func (c *committer) failed(err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.failure = err
}

// failing is why submissions are not taken at the moment, nil where they are.
func (c *committer) failing() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.failure
}

// probe finds out whether a ledger that did not take a batch writes again: whoever asks
// for readiness may send nothing before.
func (c *committer) probe(ctx context.Context) {
	if c.failing() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	duty := "probe/" + c.activity + "/" + c.name
	if _, err := c.ledger.Claim(ctx, duty, c.name, attempt); err == nil {
		c.failed(nil)
		_ = c.ledger.Release(ctx, duty, c.name) // it runs out
	}
}
