package embeddedarchive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/canyu/canyu"
)

const ofClass = ` WHERE class_role = (SELECT id FROM groups WHERE activity = ? AND school = ? AND grade = ? AND class = ? AND role = ?) AND participant = ?`

func personArgs(activity string, c canyu.Class, r canyu.Role, p canyu.Participant) []any {
	return []any{activity, int64(c.School), c.Grade, c.Number, r, int64(p)}
}

// Person implements canyu.Archive.
func (a *Archive) Person(ctx context.Context, activity string, class canyu.Class, role canyu.Role, participant canyu.Participant) (p canyu.Person, err error) {
	args := personArgs(activity, class, role, participant)
	tx, err := a.read.BeginTx(ctx, nil)
	if err != nil {
		return p, fmt.Errorf("cannot read a participant: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	var at, ordinal int64
	err = tx.QueryRowContext(ctx, `SELECT at, day, ordinal FROM participants`+ofClass, args...).Scan(&at, &p.Day, &ordinal)
	switch {
	case err == nil:
		p.Counted, p.At, p.Ordinal = true, milli(at), uint64(ordinal)
	case !errors.Is(err, sql.ErrNoRows):
		return p, fmt.Errorf("cannot read a participant: %w", err)
	}
	p.Submissions, err = collect(ctx, tx, func(rows *sql.Rows, s *canyu.Participation) error {
		var id, at int64
		err := rows.Scan(&id, &at, &s.Day, &s.Message)
		s.Class, s.Role, s.Participant, s.ID, s.At = class, role, participant, uint64(id), milli(at)
		return err
	}, `SELECT id, at, day, message FROM submissions`+ofClass+` ORDER BY at, id`, args...)
	if err != nil {
		return p, fmt.Errorf("cannot read a participant's submissions: %w", err)
	}
	p.Held, err = collect(ctx, tx, func(rows *sql.Rows, s *canyu.Participation) error {
		var id, at int64
		err := rows.Scan(&id, &at, &s.Day, &s.Held, &s.Message)
		s.Class, s.Role, s.Participant, s.ID, s.At = class, role, participant, uint64(id), milli(at)
		return err
	}, `SELECT id, at, day, why, message FROM held`+ofClass+` ORDER BY at, id`, args...)
	if err != nil {
		return p, fmt.Errorf("cannot read a participant's held submissions: %w", err)
	}
	for i := range p.Submissions {
		ms, err := collect(ctx, tx, scanWall, `SELECT school, grade, class, role, at, message, state, reason, decider, decided, key
			FROM wall WHERE activity = ? AND key = ?`, activity, int64(p.Submissions[i].Key()))
		if err != nil {
			return p, fmt.Errorf("cannot read a participant's messages: %w", err)
		}
		p.Wall = append(p.Wall, ms...)
	}
	return p, nil
}

// Erase implements canyu.Archive.
func (a *Archive) Erase(ctx context.Context, activity string, class canyu.Class, role canyu.Role, participant canyu.Participant) error {
	p, err := a.Person(ctx, activity, class, role, participant)
	if err != nil {
		return err
	}
	args := personArgs(activity, class, role, participant)
	statements := []statement{
		{`DELETE FROM participants` + ofClass, args},
		{`DELETE FROM submissions` + ofClass, args},
		{`DELETE FROM held` + ofClass, args},
	}
	for i := range p.Submissions {
		statements = append(statements, statement{`DELETE FROM wall WHERE activity = ? AND key = ?`, []any{activity, int64(p.Submissions[i].Key())}})
	}
	return a.destroy(ctx, statements...)
}
