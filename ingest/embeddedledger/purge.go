package embeddedledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// Purge implements canyu.Ledger.
func (l *Ledger) Purge(ctx context.Context, activity string) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	delete(l.activities, activity) // so that nothing is saved again
	l.mu.Unlock()
	err := l.transaction(ctx, func(ctx context.Context) error {
		for _, table := range []string{"activities", "sets", "log", "writers"} {
			if _, err := l.conn.ExecContext(ctx, "delete from "+table+" where activity = ?", activity); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = l.vacuum(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot purge the ledger: %w", err)
	}
	return nil
}

// Scrub implements canyu.Ledger.
func (l *Ledger) Scrub(ctx context.Context, activity string) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	if err := l.saveAcknowledged(ctx, activity); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.vacuum(ctx); err != nil {
		return fmt.Errorf("cannot scrub the ledger: %w", err)
	}
	return nil
}

// saveAcknowledged forgets the log as far as it is acknowledged, now.
func (l *Ledger) saveAcknowledged(ctx context.Context, activity string) error {
	l.mu.RLock()
	a := l.activities[activity]
	to := int64(0)
	if a != nil {
		to = a.acknowledged
	}
	l.mu.RUnlock()
	if a == nil {
		return nil
	}
	return l.save(ctx, activity, to)
}

// vacuum leaves nothing in the file of what was removed or overwritten: SQLite keeps it
// in free pages and in the write-ahead log. The caller holds writing.
func (l *Ledger) vacuum(ctx context.Context) error {
	if _, err := l.conn.ExecContext(ctx, "vacuum"); err != nil {
		return err
	}
	var busy, pages, moved int // busy: somebody reads; the next checkpoint does it
	return l.conn.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &pages, &moved)
}

// Erase implements canyu.Ledger. The log goes first as far as it is acknowledged: a
// load would join it with the sets again.
func (l *Ledger) Erase(ctx context.Context, activity string, class canyu.Class, role canyu.Role, p canyu.Participant) (bool, error) {
	if !l.Held() {
		return false, canyu.ErrHeld
	}
	if err := l.saveAcknowledged(ctx, activity); err != nil {
		return false, err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.RLock()
	a := l.activities[activity]
	l.mu.RUnlock()
	if a == nil || a.epoch == "" {
		return false, canyu.ErrLost
	}
	if err := l.pending(ctx, activity, class, role, p); err != nil {
		return false, err
	}
	l.mu.RLock()
	s := a.sets[keyOf(class, role)]
	found := s != nil && s.has(p)
	var rest set
	if found {
		rest.members = slices.DeleteFunc(slices.Clone(s.members), func(m canyu.Participant) bool { return m == p })
	}
	l.mu.RUnlock()
	if !found {
		return false, nil
	}
	err := l.transaction(ctx, func(ctx context.Context) error {
		_, err := l.stmts.set.ExecContext(ctx, activity, int64(class.School), class.Grade, class.Number, uint8(role), rest.bytes())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("cannot erase a participant: %w", err)
	}
	l.mu.Lock()
	s.members = rest.members
	l.mu.Unlock()
	if err := l.vacuum(ctx); err != nil {
		return true, fmt.Errorf("cannot scrub the ledger: %w", err)
	}
	return true, nil
}

// pending is ErrPending where the log still has the participant.
func (l *Ledger) pending(ctx context.Context, activity string, class canyu.Class, role canyu.Role, p canyu.Participant) error {
	rows, err := l.db.QueryContext(ctx, "select before, outcomes, payload from log where activity = ?", activity)
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var before int64
		var outcomes string
		var payload sql.RawBytes
		if err := rows.Scan(&before, &outcomes, &payload); err != nil {
			return fmt.Errorf("cannot read the log: %w", err)
		}
		rs, err := ledgerlog.Parse(payload, uint64(before), outcomes, ordinal)
		if err != nil {
			continue // it becomes a dead letter, and is joined with nothing
		}
		for i := range rs {
			if rs[i].Class == class && rs[i].Role == role && rs[i].Participant == p {
				return canyu.ErrPending
			}
		}
	}
	return rows.Err()
}
