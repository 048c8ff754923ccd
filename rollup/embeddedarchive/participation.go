package embeddedarchive

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/canyu/canyu"
)

// group is a class of an activity in one role.
type group struct {
	activity string
	class    canyu.Class
	role     canyu.Role
}

// Rows go into SQLite many to a statement, which costs less for each.
const rowsPerStatement = 128

const (
	insertParticipants = `INSERT OR FAIL INTO participants (class_role, participant, at, day, ordinal) VALUES `
	keepEarlier        = ` ON CONFLICT DO UPDATE SET at = excluded.at, day = excluded.day, ordinal = excluded.ordinal WHERE excluded.at < at`
	participantColumns = 5

	insertSubmissions     = `INSERT OR FAIL INTO submissions (class_role, participant, id, at, day, message) VALUES `
	keepEarlierSubmission = ` ON CONFLICT DO UPDATE SET at = excluded.at, day = excluded.day, message = excluded.message WHERE excluded.at < at`
	submissionColumns     = 6
)

func insertText(insert, conflict string, columns, rows int) string {
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	return insert + row + strings.Repeat(","+row, rows-1) + conflict
}

// inserter fills statements of rowsPerStatement rows, and what is left over into
// statements of one row.
type inserter struct {
	many, one *sql.Stmt
	columns   int
	args      []any
}

func (s *inserter) flush(ctx context.Context) error {
	if len(s.args) == s.columns*rowsPerStatement {
		_, err := s.many.ExecContext(ctx, s.args...)
		s.args = s.args[:0]
		return err
	}
	for row := range slices.Chunk(s.args, s.columns) {
		if _, err := s.one.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	s.args = s.args[:0]
	return nil
}

func (s *inserter) add(ctx context.Context, values ...any) error {
	s.args = append(s.args, values...)
	if len(s.args) == s.columns*rowsPerStatement {
		return s.flush(ctx)
	}
	return nil
}

// storeStatements are prepared once, on the connection that writes.
type storeStatements struct {
	participants, participant, submissions, submission, group *sql.Stmt
}

func prepareStore(ctx context.Context, db *sql.DB) (*storeStatements, error) {
	s := &storeStatements{}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.participants, insertText(insertParticipants, keepEarlier, participantColumns, rowsPerStatement)},
		{&s.participant, insertText(insertParticipants, keepEarlier, participantColumns, 1)},
		{&s.submissions, insertText(insertSubmissions, keepEarlierSubmission, submissionColumns, rowsPerStatement)},
		{&s.submission, insertText(insertSubmissions, keepEarlierSubmission, submissionColumns, 1)},
		// The update that changes nothing is what makes RETURNING answer for a group that is there.
		{&s.group, `INSERT INTO groups (activity, school, grade, class, role) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET role = role RETURNING id`},
	} {
		var err error
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *storeStatements) Close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{s.participants, s.participant, s.submissions, s.submission, s.group} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// Store implements canyu.Archive: one transaction, in the order of the tables'
// keys, so that the pages of a class are visited once.
func (a *Archive) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	if len(rs) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	found := make(map[group]int64) // becomes common knowledge once it is committed
	err := a.transact(ctx, func(tx *sql.Tx) error {
		rs, err := takesBare(ctx, tx, activity, rs)
		if err != nil {
			return err
		}
		rows, err := a.sorted(ctx, tx, activity, rs, found)
		if err != nil {
			return err
		}
		participants := inserter{tx.StmtContext(ctx, a.store.participants), tx.StmtContext(ctx, a.store.participant), participantColumns, nil}
		submissions := inserter{tx.StmtContext(ctx, a.store.submissions), tx.StmtContext(ctx, a.store.submission), submissionColumns, nil}
		for _, row := range rows {
			r := &rs[row.index]
			if r.Held != canyu.Unsuspected {
				continue
			}
			at, day := r.At.UnixMilli(), int64(r.Day)
			if r.Counted {
				if err := participants.add(ctx, row.group, int64(r.Participant), at, day, int64(r.Ordinal)); err != nil {
					return err
				}
			}
			if err := submissions.add(ctx, row.group, int64(r.Participant), int64(r.ID), at, day, r.Message); err != nil {
				return err
			}
		}
		return errors.Join(participants.flush(ctx), submissions.flush(ctx), storeHeld(ctx, tx, rs, rows))
	})
	if err != nil {
		return fmt.Errorf("cannot store participations: %w", err)
	}
	for g, id := range found {
		a.groups[g] = id
	}
	return nil
}

type keyedRow struct {
	group       int64
	participant canyu.Participant
	index       int
}

func (a *Archive) sorted(ctx context.Context, tx *sql.Tx, activity string, rs []canyu.Recorded, found map[group]int64) ([]keyedRow, error) {
	rows := make([]keyedRow, len(rs))
	insert := tx.StmtContext(ctx, a.store.group)
	for i := range rs {
		g := group{activity, rs[i].Class, rs[i].Role}
		id, ok := a.groups[g]
		if !ok {
			id, ok = found[g]
		}
		if !ok {
			c := g.class
			if err := insert.QueryRowContext(ctx, activity, int64(c.School), c.Grade, c.Number, g.role).Scan(&id); err != nil {
				return nil, err
			}
			found[g] = id
		}
		rows[i] = keyedRow{id, rs[i].Participant, i}
	}
	slices.SortFunc(rows, func(x, y keyedRow) int {
		return cmp.Or(cmp.Compare(x.group, y.group), cmp.Compare(int64(x.participant), int64(y.participant)), cmp.Compare(x.index, y.index))
	})
	return rows, nil
}
