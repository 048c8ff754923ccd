package embeddedledger

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// writerMemory is how long a writer may be silent and still repeat its newest
// batch: longer than any process keeps a batch whose reply it lost.
const writerMemory = 30 * 24 * time.Hour

// refresh loads the file again where another process records and has changed it.
func (l *Ledger) refresh(ctx context.Context) error {
	if l.Held() {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	var version int64
	if err := l.conn.QueryRowContext(ctx, "pragma data_version").Scan(&version); err != nil {
		return fmt.Errorf("cannot look at the ledger: %w", err)
	}
	if version == l.version {
		return nil
	}
	if err := l.load(ctx); err != nil {
		return fmt.Errorf("cannot load the ledger: %w", err)
	}
	l.version = version
	return nil
}

// load fills the memory from the file: the sets, joined with what the log has
// seen since they were written, read as of one moment.
func (l *Ledger) load(ctx context.Context) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	fresh := &Ledger{activities: make(map[string]*activity)}
	for _, read := range []func(context.Context, *sql.Tx) error{fresh.loadActivities, fresh.loadSets, fresh.loadLog, fresh.loadWriters} {
		if err := read(ctx, tx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.activities = fresh.activities
	l.mu.Unlock()
	return nil
}

// each calls row for every row of a query.
func each(ctx context.Context, tx *sql.Tx, query string, row func(*sql.Rows) error, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (l *Ledger) loadActivities(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, "select activity, epoch, fingerprint, counted, acknowledged from activities", func(rows *sql.Rows) error {
		var id, epoch, fingerprint string
		var counted int64
		var acknowledged int64
		if err := rows.Scan(&id, &epoch, &fingerprint, &counted, &acknowledged); err != nil {
			return err
		}
		a := l.activity(id)
		a.acknowledged = acknowledged
		a.epoch, a.fingerprint, a.counted = epoch, fingerprint, uint64(counted)
		return nil
	})
}

func (l *Ledger) loadSets(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, "select activity, school, grade, class, role, members from sets", func(rows *sql.Rows) error {
		var id string
		var c canyu.Class
		var role canyu.Role
		var blob sql.RawBytes
		if err := rows.Scan(&id, &c.School, &c.Grade, &c.Number, &role, &blob); err != nil {
			return err
		}
		members, err := parseSet(blob)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c, role, err)
		}
		l.activity(id).set(keyOf(c, role)).members = members
		return nil
	})
}

// loadLog joins the log with the sets. A damaged entry is passed over, loudly: a
// ledger that does not open counts nobody. Those of the entry who were not in the
// sets yet (those follow from time to time) are unknown from then on, and may count
// once more, unless the archive has them and shows the ledger to be behind; the entry itself becomes a dead letter, and can be put right
// from there.
func (l *Ledger) loadLog(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, "select activity, position, before, outcomes, payload from log order by position", func(rows *sql.Rows) error {
		var id, outcomes string
		var pos, before int64
		var payload sql.RawBytes
		if err := rows.Scan(&id, &pos, &before, &outcomes, &payload); err != nil {
			return err
		}
		rs, err := ledgerlog.Parse(payload, uint64(before), outcomes, ordinal)
		if err != nil {
			slog.Error("the ledger's log is damaged: the participants of an entry may count once more", "activity", id, "position", pos, "error", err)
			return nil
		}
		a := l.activity(id)
		a.unsaved += len(rs)
		for _, r := range rs {
			if r.Counted {
				a.add(keyOf(r.Class, r.Role), r.Participant)
			}
		}
		return nil
	})
}

func (l *Ledger) loadWriters(ctx context.Context, tx *sql.Tx) error {
	since := time.Now().Add(-writerMemory).Unix()
	return each(ctx, tx, "select activity, writer, sequence, before, outcomes from writers where at > ?", func(rows *sql.Rows) error {
		var id, writer string
		var sequence, before int64
		var r reply
		if err := rows.Scan(&id, &writer, &sequence, &before, &r.outcomes); err != nil {
			return err
		}
		r.sequence, r.before = uint64(sequence), uint64(before)
		l.activity(id).writers[writer] = r
		return nil
	}, since)
}

// Restore implements canyu.Ledger.
func (l *Ledger) Restore(ctx context.Context, id, epoch, fingerprint string, participants iter.Seq2[canyu.Recorded, error], progress func(int)) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	if mark, err := l.Epoch(ctx, id); err != nil || mark != "" {
		if err == nil {
			err = fmt.Errorf("the ledger of %s is whole, in epoch %s: nothing to restore", id, mark)
		}
		return err
	}
	n, counted := 0, uint64(0)
	for r, err := range participants {
		if err != nil {
			return fmt.Errorf("cannot read the archive: %w", err)
		}
		l.mu.Lock()
		l.activity(id).add(keyOf(r.Class, r.Role), r.Participant)
		l.mu.Unlock()
		counted = max(counted, r.Ordinal)
		if n++; progress != nil && n%100_000 == 0 {
			progress(n)
		}
	}
	if err := l.saveSets(ctx, id); err != nil {
		return fmt.Errorf("cannot save the sets: %w", err)
	}
	if err := l.raiseCounted(ctx, id, max(counted, uint64(n))); err != nil {
		return err
	}
	if progress != nil {
		progress(n)
	}
	_, err := l.mark(ctx, id, epoch, fingerprint)
	return err
}

// raiseCounted goes on numbering where the lost ledger was, as far as anybody knows.
func (l *Ledger) raiseCounted(ctx context.Context, id string, counted uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.activity(id)
	counted = max(counted, a.counted)
	_, err := l.conn.ExecContext(ctx, `insert into activities (activity, fingerprint, counted) values (?, '', ?)
		on conflict do update set counted = excluded.counted`, id, int64(counted))
	if err != nil {
		return fmt.Errorf("cannot restore the ordinals: %w", err)
	}
	a.counted = counted
	return nil
}
