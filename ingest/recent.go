package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
	"github.com/canyu/canyu/ingest/spool"
)

// recentBytes is how much of what was recorded last is remembered (see recent): about a
// million participations in large batches, 300,000 each in its own.
const recentBytes = 64 << 20

// recentEach is what a batch takes besides its payload: its entry, and room that the
// allocator leaves. Without it an hour of a few submissions a second took 300 MB.
const recentEach = int(unsafe.Sizeof(spool.Taken{})) + 32

// recent is what was recorded last, in the form of the log. It is no promise: the
// ledger has it, durably. But a ledger that loses its data loses with it what the
// archive has not read yet, and this node can give that back; also after it was
// killed, for the spool has a tail of it.
type recent struct {
	batches []spool.Taken
	bytes   int
	tail    *spool.Tail // nil: none
}

func (r *recent) add(b spool.Taken) {
	r.batches = append(r.batches, b)
	r.bytes += len(b.Payload) + recentEach
	drop := 0
	for ; r.bytes > recentBytes; drop++ {
		r.bytes -= len(r.batches[drop].Payload) + recentEach
		r.batches[drop] = spool.Taken{} // the array may live on for a while
	}
	r.batches = r.batches[drop:]
}

// remember adds a batch that the ledger took. The caller holds writing.
func (c *committer) remember(b *canyu.Batch) {
	payload := b.Payload
	if payload == nil {
		payload = ledgerlog.Append(nil, b.Participations)
	}
	taken := spool.Taken{Epoch: b.Epoch, At: time.Now(),
		Kept: spool.Kept{Writer: b.Writer, Sequence: b.Sequence, Size: len(b.Participations), Payload: payload}}
	c.recent.add(taken)
	if c.recent.tail == nil {
		return
	}
	if err := c.recent.tail.Add(&taken); err != nil && !c.blunt {
		c.log.Warn("what is recorded cannot be given back should this process be killed", "activity", c.activity, "error", err)
		c.blunt = true
	}
}

// reopen reads what an earlier process of this node recorded last.
func (c *committer) reopen() error {
	if c.spool == nil {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.doubtful = true // until the ledger has been attached and proved itself
	tail, taken, err := c.spool.Tail(c.activity, recentBytes)
	if err != nil {
		return err
	}
	c.recent.tail = tail
	c.inherited = c.spool.Waiting(c.activity) > 0
	c.spooling = c.inherited // what waits goes first
	for _, b := range taken {
		c.recent.add(b)
	}
	return nil
}

// close lets go of the tail.
func (c *committer) close() {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.recent.tail != nil {
		_ = c.recent.tail.Close() // nothing in it is a promise
		c.recent.tail = nil
	}
}

// prove holds a ledger that is being attached against what it had acknowledged to
// this node, also to an earlier process. Where it was restored without this node, it
// gets that back out of the spool; where it has gone back in time it is ErrLost.
// false: there was nothing to hold against it.
func (c *committer) prove(ctx context.Context, epoch string) (proved bool, err error) {
	// Looked at under the lock: add empties the oldest in place.
	var last spool.Taken
	c.writing.Lock()
	n := len(c.recent.batches)
	other := slices.ContainsFunc(c.recent.batches, func(b spool.Taken) bool { return b.Epoch != epoch })
	if n > 0 {
		last = c.recent.batches[n-1]
	}
	c.writing.Unlock()
	defer func() {
		if err == nil {
			c.writing.Lock()
			if !c.spooling {
				c.believe()
			}
			c.writing.Unlock()
		}
	}()
	if c.spool == nil || n == 0 {
		return false, nil
	}
	if other {
		c.lost()
		return true, nil
	}
	rs, unreadable := ledgerlog.Parse(last.Payload, 0, strings.Repeat("0", last.Size), func(n uint64) uint64 { return n })
	if unreadable != nil || time.Since(last.At) > writerIdle {
		return false, nil // as if nothing had been kept
	}
	// A batch after its own sequence is known, or older than the writer's newest,
	// or refused: it is never recorded.
	b := canyu.Batch{Activity: c.activity, Epoch: epoch, Writer: last.Writer, Sequence: last.Sequence, After: last.Sequence}
	for i := range rs {
		b.Participations = append(b.Participations, rs[i].Participation)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if err := c.ledger.Record(ctx, &b); err != nil && !errors.Is(err, canyu.ErrStale) {
		return false, fmt.Errorf("activity %s: %w", c.activity, err)
	}
	return true, nil
}

// giveBack puts what was recorded last into the spool again, under a new writer: to
// those that the archive has, or the ledger after all, it changes nothing. The
// caller holds writing.
func (c *committer) giveBack() {
	c.recovering, c.owing = true, true
	c.writer, c.sequence, c.recorded = newWriter(), 0, 0
	writer, n := newWriter(), 0
	again := make([]spool.Kept, 0, len(c.recent.batches))
	for i, b := range c.recent.batches {
		b.Kept.Writer, b.Kept.Sequence = writer, uint64(i+1)
		again = append(again, b.Kept)
		n += b.Size
	}
	if n > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
		defer cancel()
		if err := c.spool.AppendAll(ctx, c.activity, again); err != nil {
			c.log.Error("cannot keep what the ledger may have lost; trying again", "activity", c.activity, "participations", n, "error", err)
			return
		}
		c.returning, c.returnings = writer, uint64(len(again))
		c.log.Warn("what was recorded last waits in the spool to be recorded again", "activity", c.activity, "participations", n)
	}
	c.owing = false
	c.recent.batches, c.recent.bytes = nil, 0
	if c.recent.tail != nil {
		if err := c.recent.tail.Clear(); err != nil { // given back twice at the worst
			c.log.Warn("cannot forget what was given back", "activity", c.activity, "error", err)
		}
	}
}

// settling is how long after a loss the nodes only give back: each what was
// acknowledged to it. Whoever is new is counted after that, by no number that another
// node has told already; and live counts do not show what would have to rise again.
const settling = 5 * time.Second

// settle begins that time, where the ledger that was attached had lost its data: as
// this process has seen, or an earlier one that knew it by another epoch.
func (c *committer) settle(restored bool) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if restored && c.spool != nil {
		c.spooling, c.recovering = true, true
	}
	if c.recovering {
		c.settled = time.Now().Add(settling)
	}
}

// isSettling reports whether the drain must wait: this node has given back, and the
// others may not have.
func (c *committer) isSettling() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.returning == "" && time.Now().Before(c.settled)
}

// returned notes that a batch of the spool is recorded.
func (c *committer) returned(b *canyu.Batch) {
	if b.Writer == c.returning && b.Sequence >= c.returnings {
		c.returning = ""
	}
}
