package clickhousearchive

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

const ofPerson = "activity = ? AND school = ? AND grade = ? AND class = ? AND role = ? AND participant = ?"

func personArgs(activity string, c canyu.Class, r canyu.Role, p canyu.Participant) []any {
	return []any{activity, uint64(c.School), c.Grade, c.Number, uint8(r), uint64(p)}
}

// Person implements canyu.Archive.
func (a *Archive) Person(ctx context.Context, activity string, class canyu.Class, role canyu.Role, participant canyu.Participant) (p canyu.Person, err error) {
	args := personArgs(activity, class, role, participant)
	fail := func(err error) (canyu.Person, error) {
		return canyu.Person{}, fmt.Errorf("cannot read a participant: %w", err)
	}
	rows, err := a.conn.Query(ctx, "SELECT at, toUInt16(day), ordinal FROM participants FINAL WHERE "+ofPerson, args...)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at int64
		var day uint16
		if err := rows.Scan(&at, &day, &p.Ordinal); err != nil {
			return fail(err)
		}
		p.Counted, p.At, p.Day = true, time.UnixMilli(at).UTC(), canyu.Day(day)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	if p.Submissions, err = a.submissionsOf(ctx, "submissions", "toUInt8(0)", class, role, participant, args); err != nil {
		return fail(err)
	}
	if p.Held, err = a.submissionsOf(ctx, "held", "why", class, role, participant, args); err != nil {
		return fail(err)
	}
	if keys := wallKeys(&p); keys != "" {
		p.Wall, err = a.appendWall(ctx, nil, `SELECT school, grade, class, role, at, message, key, state, reason, decider, decided
			FROM wall FINAL WHERE activity = ? AND school = ? AND key IN (`+keys+`) ORDER BY at, key`, activity, uint64(class.School))
		if err != nil {
			return fail(err)
		}
	}
	return p, nil
}

func (a *Archive) submissionsOf(ctx context.Context, table, why string, class canyu.Class, role canyu.Role, participant canyu.Participant, args []any) (all []canyu.Participation, err error) {
	rows, err := a.conn.Query(ctx, "SELECT id, at, toUInt16(day), message, "+why+" FROM "+table+" FINAL WHERE "+ofPerson+" ORDER BY at, id", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s := canyu.Participation{Class: class, Role: role, Participant: participant}
		var at int64
		var day uint16
		var held uint8
		if err := rows.Scan(&s.ID, &at, &day, &s.Message, &held); err != nil {
			return nil, err
		}
		s.Held = canyu.Suspicion(held)
		s.At, s.Day = time.UnixMilli(at).UTC(), canyu.Day(day)
		all = append(all, s)
	}
	return all, rows.Err()
}

// wallKeys are those of all submissions, as a list of numbers.
func wallKeys(p *canyu.Person) string {
	keys := make([]string, len(p.Submissions))
	for i := range p.Submissions {
		keys[i] = fmt.Sprint(uint64(p.Submissions[i].Key()))
	}
	return strings.Join(keys, ",")
}

// Erase implements canyu.Archive.
func (a *Archive) Erase(ctx context.Context, activity string, class canyu.Class, role canyu.Role, participant canyu.Participant) error {
	p, err := a.Person(ctx, activity, class, role, participant)
	if err != nil {
		return err
	}
	args := personArgs(activity, class, role, participant)
	if keys := wallKeys(&p); keys != "" {
		err = a.mutate(ctx, "wall", "DELETE WHERE activity = ? AND school = ? AND key IN ("+keys+")", activity, uint64(class.School))
	}
	for _, table := range []string{"participants", "submissions", "held"} {
		if err == nil {
			err = a.mutate(ctx, table, "DELETE WHERE "+ofPerson, args...)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot erase a participant: %w", err)
	}
	return nil
}
