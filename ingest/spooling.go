package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canyu/canyu"
)

// keep puts a batch into the spool. Those who wait for it are told "accepted", or to
// try again where the spool is full or its disk is.
func (c *committer) keep(b *batch) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.spool.Append(ctx, &b.Batch); err != nil {
		b.err = fmt.Errorf("%w: %w", errAway, err)
		c.log.Error("cannot record", "activity", c.activity, "participations", len(b.Participations), "error", err)
		return
	}
	b.spooled = true
}

// startSpooling sends every batch from now on to the spool.
func (c *committer) startSpooling(why error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.spooling {
		c.log.Warn("the ledger does not take batches: they wait in the spool", "activity", c.activity, "error", why)
		c.spooling, c.doubtful, c.away = true, true, true
	}
	if errors.Is(why, canyu.ErrLost) {
		c.giveBack()
	}
}

// lost is told when the ledger was found to have lost its data, by whoever finds it.
func (c *committer) lost() {
	if c.spool != nil {
		c.startSpooling(canyu.ErrLost)
	}
}

const (
	// drainEvery is how often an away ledger is tried.
	drainEvery = 500 * time.Millisecond
	// drainAtOnce is how many participations of the spool are recorded as one batch:
	// some ten milliseconds of Redis, in which it serves nobody else.
	drainAtOnce = 4096
)

// drain carries the spool into the ledger, in order, whenever the ledger takes it.
func (c *committer) drain(ctx context.Context) {
	for {
		if err := c.drainOnce(ctx); err != nil && ctx.Err() == nil {
			c.log.Debug("the spool waits", "activity", c.activity, "error", err)
		}
		if !pause(ctx, drainEvery) {
			return
		}
	}
}

// drainOnce returns nil when the spool is empty; batches go to the ledger again then.
func (c *committer) drainOnce(ctx context.Context) error {
	c.writing.Lock()
	if c.owing {
		c.giveBack()
	}
	c.writing.Unlock()
	for ctx.Err() == nil {
		e, err := c.spool.Next(ctx, c.activity, drainAtOnce)
		if err != nil {
			return err
		}
		if e == nil {
			c.stopSpooling()
			return nil
		}
		if c.refused() != nil || c.epoch() == "" || c.isSettling() {
			return errAway
		}
		// A ledger may have gone back in time while it was away.
		e.Batch.After = c.recordedBy(e.Batch.Writer)
		err = c.tryOnce(&e.Batch)
		if errors.Is(err, canyu.ErrStale) {
			// Its writer is further on, say after a backup of this file was put
			// back. As a batch of its own it is safe: participants count once.
			e.Batch.Writer, e.Batch.Sequence, e.Batch.After = newWriter(), 1, 0
			err = c.tryOnce(&e.Batch)
		}
		if err != nil {
			c.doubt()
			return err
		}
		if err := c.spool.Remove(ctx, e); err != nil {
			return err // recorded twice at the worst, which counts once
		}
		c.writing.Lock()
		c.remember(&e.Batch)
		c.returned(&e.Batch)
		c.believe()
		c.writing.Unlock()
	}
	return ctx.Err()
}

// recordedBy is the newest batch that the ledger acknowledged to a writer: 0 for one
// of an earlier process, or from before a loss.
func (c *committer) recordedBy(writer string) uint64 {
	c.writing.Lock()
	defer c.writing.Unlock()
	if writer != c.writer {
		return 0
	}
	return c.recorded
}

// stopSpooling sends batches to the ledger again, unless something has come into
// the spool meanwhile. A batch of this writer that still is on its way there is
// older than the next one to the ledger; the new writer keeps them apart.
func (c *committer) stopSpooling() {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.spool.Waiting(c.activity) > 0 || c.owing || time.Now().Before(c.settled) {
		return
	}
	if c.spooling && c.epoch() != "" {
		c.log.Info("the spool is empty: batches go to the ledger again", "activity", c.activity)
		c.spooling, c.recovering, c.inherited = false, false, false
		c.believe()
		c.writer, c.sequence, c.recorded = newWriter(), 0, 0
	}
}

// isRecovering reports whether the ledger may lack what it had acknowledged to this
// process, or to an earlier one of this node: it lost its data, or has been away and has
// not proved yet that it did not.
func (c *committer) isRecovering() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.recovering || c.doubtful || c.inherited || time.Now().Before(c.believed)
}

// believe ends the doubt about a ledger that has what it had acknowledged to this
// node. Where it was away, the others get some time to find out the same: with what one
// of them misses, a count would be lower than that one has shown. The caller holds
// writing.
func (c *committer) believe() {
	if c.doubtful && c.away {
		c.believed = time.Now().Add(settling)
	}
	c.doubtful, c.away = false, false
}

// spooled is how many participations wait in the spool.
func (c *committer) spooled() int {
	if c.spool == nil {
		return 0
	}
	return c.spool.Waiting(c.activity)
}

// doubt keeps live counts back until a ledger that was away has proved that it came
// back with what it had acknowledged.
func (c *committer) doubt() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.doubtful = c.spool != nil
	c.away = c.doubtful
}

// isDoubtful is false where the drain is about to find out.
func (c *committer) isDoubtful() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.doubtful && !c.spooling
}
