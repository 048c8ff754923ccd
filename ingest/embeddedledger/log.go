package embeddedledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// Log implements canyu.Ledger.
func (l *Ledger) Log(ctx context.Context, activity string, shard int, after string, max int) ([]canyu.LogEntry, error) {
	from, err := position(after)
	if err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx,
		`select position, before, outcomes, payload from log where activity = ?1 and position > max(?2,
			coalesce((select acknowledged from activities where activity = ?1), 0)) order by position`, activity, from)
	if err != nil {
		return nil, fmt.Errorf("cannot read the log: %w", err)
	}
	defer rows.Close()
	var entries []canyu.LogEntry
	for n := 0; n < max && rows.Next(); {
		var pos, before int64
		var outcomes string
		var payload sql.RawBytes
		if err := rows.Scan(&pos, &before, &outcomes, &payload); err != nil {
			return nil, fmt.Errorf("cannot read the log: %w", err)
		}
		rs, err := ledgerlog.Parse(payload, uint64(before), outcomes, ordinal)
		e := canyu.LogEntry{Position: strconv.FormatInt(pos, 10), Recorded: rs}
		if err != nil {
			e.Err, e.Raw = err, ledgerlog.Raw(fmt.Sprint(before, " ", outcomes), payload)
		}
		entries = append(entries, e)
		n += e.Size()
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the log: %w", err)
	}
	return entries, nil
}

func position(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("log position %q is none of this ledger's", s)
	}
	return n, nil
}

const (
	// pieceOfWork bounds what is written in one transaction beside recording, so
	// that a batch never waits for long.
	pieceOfWork = 100
	// saveAfter is how many participations may be in log only, so that a class
	// that fills within a lesson is written once and not with every pupil. Reading
	// so many again takes a start less than a second.
	saveAfter = 500_000
)

// Acknowledge implements canyu.Ledger. What is acknowledged is forgotten when the
// sets have been saved: they must know what the log is about to forget.
func (l *Ledger) Acknowledge(ctx context.Context, activity string, shard int, upTo string) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	to, err := position(upTo)
	if err != nil {
		return err
	}
	l.writing.Lock()
	_, err = l.conn.ExecContext(ctx, "update activities set acknowledged = max(acknowledged, ?) where activity = ?", to, activity)
	l.writing.Unlock()
	if err != nil {
		return fmt.Errorf("cannot acknowledge: %w", err)
	}
	l.mu.Lock()
	a := l.activities[activity]
	due := a != nil && a.unsaved >= l.saveAfter
	if a != nil {
		a.acknowledged = max(a.acknowledged, to)
	}
	l.mu.Unlock()
	if !due {
		return nil
	}
	return l.save(ctx, activity, to)
}

// saveAll saves every activity.
func (l *Ledger) saveAll() error {
	acknowledged := make(map[string]int64)
	l.mu.RLock()
	for id, a := range l.activities {
		if a.unsaved > 0 {
			acknowledged[id] = a.acknowledged
		}
	}
	l.mu.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for id, to := range acknowledged {
		errs = append(errs, l.save(ctx, id, to))
	}
	return errors.Join(errs...)
}

// save writes the sets and forgets the log up to position to. The sets may hold
// participants of later batches; joining those once more at the next load changes
// nothing.
func (l *Ledger) save(ctx context.Context, activity string, to int64) error {
	l.mu.Lock()
	if a := l.activities[activity]; a != nil { // it may have been purged just now
		a.unsaved = 0
	}
	l.mu.Unlock()
	if err := l.saveSets(ctx, activity); err != nil {
		return fmt.Errorf("cannot save the sets: %w", err)
	}
	for {
		gone, err := l.forget(ctx, activity, to)
		if err != nil {
			return fmt.Errorf("cannot trim the log: %w", err)
		}
		if gone < pieceOfWork {
			return nil
		}
	}
}

func (l *Ledger) forget(ctx context.Context, activity string, to int64) (gone int64, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	err = l.transaction(ctx, func(ctx context.Context) error {
		r, err := l.conn.ExecContext(ctx, `delete from log where position in
			(select position from log where activity = ? and position <= ? order by position limit ?)`, activity, to, pieceOfWork)
		if err == nil {
			gone, err = r.RowsAffected()
		}
		return err
	})
	return gone, err
}

// saveSets writes the sets that changed since they were last written, as of now: those
// that change meanwhile are the next save's, or under load this one would never end. In
// the order of the table neighbours share its pages.
func (l *Ledger) saveSets(ctx context.Context, activity string) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	keys := l.takeDirty(activity)
	for len(keys) > 0 {
		piece := keys[:min(pieceOfWork, len(keys))]
		if err := l.writeSets(ctx, activity, piece); err != nil {
			l.putBack(activity, keys)
			return err
		}
		keys = keys[len(piece):]
	}
	return nil
}

func (l *Ledger) takeDirty(activity string) (keys []setKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.activities[activity]
	if a == nil {
		return nil
	}
	keys, a.dirty = a.dirty, nil
	for _, k := range keys {
		a.sets[k].dirty = false
	}
	slices.Sort(keys)
	return keys
}

func (l *Ledger) putBack(activity string, keys []setKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.activities[activity]
	if a == nil {
		return
	}
	for _, k := range keys {
		if s := a.sets[k]; s != nil && !s.dirty {
			s.dirty = true
			a.dirty = append(a.dirty, k)
		}
	}
}

// writeSets reads them when nothing else may write: what was purged or erased just now
// does not come back.
func (l *Ledger) writeSets(ctx context.Context, activity string, keys []setKey) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	blobs := l.blobs(activity, keys)
	return l.transaction(ctx, func(ctx context.Context) error {
		for i, blob := range blobs {
			if blob == nil {
				continue
			}
			c := keys[i].class()
			_, err := l.stmts.set.ExecContext(ctx, activity, int64(c.School), c.Grade, c.Number, uint8(keys[i].role()), blob)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// blobs are nil for sets that are not there any more.
func (l *Ledger) blobs(activity string, keys []setKey) [][]byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	blobs := make([][]byte, len(keys))
	if a := l.activities[activity]; a != nil {
		for i, k := range keys {
			if s := a.sets[k]; s != nil {
				blobs[i] = s.bytes()
			}
		}
	}
	return blobs
}

// Backlog implements canyu.Ledger.
func (l *Ledger) Backlog(ctx context.Context, activity string) (n int, err error) {
	err = l.db.QueryRowContext(ctx, `select coalesce(sum(size), 0) from log where activity = ?1 and position >
		coalesce((select acknowledged from activities where activity = ?1), 0)`, activity).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("cannot measure the log: %w", err)
	}
	return n, nil
}
