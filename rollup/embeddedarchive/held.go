package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/canyu/canyu"
)

// storeHeld stores what of rs is held apart; the others have been stored elsewhere.
func storeHeld(ctx context.Context, tx *sql.Tx, rs []canyu.Recorded, rows []keyedRow) error {
	for _, row := range rows {
		r := &rs[row.index]
		if r.Held == canyu.Unsuspected {
			continue
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO held (class_role, participant, id, at, day, why, message) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET at = excluded.at, day = excluded.day, why = excluded.why, message = excluded.message WHERE excluded.at < at`,
			row.group, int64(r.Participant), int64(r.ID), r.At.UnixMilli(), int64(r.Day), r.Held, r.Message)
		if err != nil {
			return err
		}
	}
	return nil
}

// Held implements canyu.Archive.
func (a *Archive) Held(ctx context.Context, activity string, schools []canyu.SchoolCode) iter.Seq2[canyu.HeldSubmission, error] {
	where, list := inSchools(schools)
	return stream(ctx, a.read, func(rows *sql.Rows, s *canyu.HeldSubmission) error {
		var participant, id, at int64
		var countedAt, countedOn sql.NullInt64
		err := rows.Scan(&s.Class.School, &s.Class.Grade, &s.Class.Number, &s.Role, &participant, &id, &at, &s.Day, &s.Why, &s.Known, &countedAt, &countedOn)
		s.Participant, s.ID, s.At = canyu.Participant(participant), uint64(id), milli(at)
		if s.Counted = countedAt.Valid; s.Counted {
			s.CountedAt, s.CountedOn = milli(countedAt.Int64), canyu.Day(countedOn.Int64)
		}
		return err
	}, `SELECT g.school, g.grade, g.class, g.role, h.participant, h.id, h.at, h.day, h.why,
			EXISTS (SELECT 1 FROM submissions s WHERE s.class_role = h.class_role AND s.participant = h.participant AND s.id = h.id),
			p.at, p.day
		FROM groups g CROSS JOIN held h ON h.class_role = g.id
			LEFT JOIN participants p ON p.class_role = h.class_role AND p.participant = h.participant
		WHERE g.activity = ?`+where, append([]any{activity}, list...)...)
}

// HeldDecisions implements canyu.Archive.
func (a *Archive) HeldDecisions(ctx context.Context, activity string, schools []canyu.SchoolCode) ([]canyu.HeldDecision, error) {
	where, list := inSchools(schools)
	ds, err := collect(ctx, a.read, func(rows *sql.Rows, d *canyu.HeldDecision) error {
		var until, decided int64
		err := rows.Scan(&d.Class.School, &d.Class.Grade, &d.Class.Number, &d.Day, &d.Why, &d.State, &until, &d.By, &decided)
		d.Until, d.At = milli(until), milli(decided)
		return err
	}, `SELECT g.school, g.grade, g.class, g.day, g.why, g.state, g.until, g.decider, g.decided FROM held_decisions g
		WHERE g.activity = ?`+where+` ORDER BY g.school, g.grade, g.class, g.day, g.why`, append([]any{activity}, list...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read what was decided about held submissions: %w", err)
	}
	return ds, nil
}

// DecideHeld implements canyu.Archive.
func (a *Archive) DecideHeld(ctx context.Context, activity string, ds []canyu.HeldDecision) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, d := range ds {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO held_decisions (activity, school, grade, class, day, why, state, until, decider, decided)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET state = excluded.state, until = excluded.until, decider = excluded.decider, decided = excluded.decided
				WHERE (excluded.decided, excluded.state) > (decided, state)`,
				activity, int64(d.Class.School), d.Class.Grade, d.Class.Number, int64(d.Day), d.Why, d.State, d.Until.UnixMilli(), d.By, d.At.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot store what was decided about held submissions: %w", err)
	}
	return nil
}
