package embeddedarchive

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"

	"github.com/canyu/canyu"
)

// Other writers get their turn between so many classes.
const classesPerTransaction = 2000

// Restate implements canyu.Archive.
func (a *Archive) Restate(ctx context.Context, activity string, classes []canyu.Class) error {
	for chunk := range slices.Chunk(classes, classesPerTransaction) {
		err := a.transact(ctx, func(tx *sql.Tx) error {
			if err := takes(ctx, tx, activity); err != nil {
				return err
			}
			return restate(ctx, tx, activity, chunk)
		})
		if err != nil {
			return fmt.Errorf("cannot restate rollups: %w", err)
		}
	}
	return nil
}

func restate(ctx context.Context, tx *sql.Tx, activity string, classes []canyu.Class) error {
	groups, err := tx.PrepareContext(ctx, `SELECT id FROM groups WHERE activity = ? AND school = ? AND grade = ? AND class = ?`)
	if err != nil {
		return err
	}
	remove, err := tx.PrepareContext(ctx, `DELETE FROM rollups WHERE class_role = ?`)
	if err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, `
		INSERT INTO rollups (class_role, day, participants, submissions)
		SELECT ?1, day, sum(participants), sum(submissions) FROM (
			SELECT day, count(*) AS participants, 0 AS submissions FROM participants WHERE class_role = ?1 GROUP BY day
			UNION ALL
			SELECT day, 0, count(*) FROM submissions WHERE class_role = ?1 GROUP BY day)
		GROUP BY day`)
	if err != nil {
		return err
	}
	for _, c := range classes {
		rows, err := groups.QueryContext(ctx, activity, int64(c.School), c.Grade, c.Number)
		if err != nil {
			return err
		}
		var ids []int64
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := remove.ExecContext(ctx, id); err != nil {
				return err
			}
			if _, err := insert.ExecContext(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Rollups implements canyu.Archive.
func (a *Archive) Rollups(ctx context.Context, activity string, schools []canyu.SchoolCode, from, to canyu.Day) ([]canyu.Rollup, error) {
	where, list := inSchools(schools)
	rollups, err := collect(ctx, a.read, func(rows *sql.Rows, r *canyu.Rollup) error {
		return rows.Scan(&r.Class.School, &r.Class.Grade, &r.Class.Number, &r.Role, &r.Day, &r.Participants, &r.Submissions)
	}, `SELECT g.school, g.grade, g.class, g.role, r.day, r.participants, r.submissions
		FROM groups g JOIN rollups r ON r.class_role = g.id
		WHERE g.activity = ? AND r.day BETWEEN ? AND ?`+where, append([]any{activity, int64(from), int64(to)}, list...)...)
	if err == nil {
		rollups, err = canyu.AddAdmitted(ctx, a, activity, schools, from, to, rollups)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read rollups: %w", err)
	}
	return rollups, nil
}

// Tallies implements canyu.Archive.
func (a *Archive) Tallies(ctx context.Context, activity string, schools []canyu.SchoolCode) ([]canyu.Rollup, error) {
	// One transaction: participants and submissions of the same moment.
	tx, err := a.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot count facts: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	tallies := make(map[canyu.Rollup]canyu.Rollup) // by what they have in common: no numbers
	for _, fact := range []struct {
		table string
		count func(*canyu.Rollup) *int
	}{
		{"participants", func(r *canyu.Rollup) *int { return &r.Participants }},
		{"submissions", func(r *canyu.Rollup) *int { return &r.Submissions }},
	} {
		where, list := inSchools(schools)
		type counted struct {
			of canyu.Rollup
			n  int
		}
		groups := stream(ctx, tx, func(rows *sql.Rows, c *counted) error {
			return rows.Scan(&c.of.Class.School, &c.of.Class.Grade, &c.of.Class.Number, &c.of.Role, &c.of.Day, &c.n)
		}, `SELECT g.school, g.grade, g.class, g.role, f.day, count(*)
			FROM groups g CROSS JOIN `+fact.table+` f ON f.class_role = g.id
			WHERE g.activity = ?`+where+` GROUP BY g.id, f.day`, append([]any{activity}, list...)...)
		for c, err := range groups {
			if err != nil {
				return nil, fmt.Errorf("cannot count facts: %w", err)
			}
			t, ok := tallies[c.of]
			if !ok {
				t = c.of
			}
			*fact.count(&t) = c.n
			tallies[c.of] = t
		}
	}
	all := make([]canyu.Rollup, 0, len(tallies))
	for _, t := range tallies {
		all = append(all, t)
	}
	all, err = canyu.AddAdmitted(ctx, a, activity, schools, canyu.MinDay, canyu.MaxDay, all)
	if err != nil {
		return nil, fmt.Errorf("cannot count facts: %w", err)
	}
	slices.SortFunc(all, func(x, y canyu.Rollup) int {
		return cmp.Or(x.Class.Compare(y.Class), cmp.Compare(x.Role, y.Role), cmp.Compare(x.Day, y.Day))
	})
	return all, nil
}

// Participants implements canyu.Archive. The rows have no submission ID and no
// message.
func (a *Archive) Participants(ctx context.Context, activity string) iter.Seq2[canyu.Recorded, error] {
	return stream(ctx, a.read, func(rows *sql.Rows, r *canyu.Recorded) error {
		var participant, at int64
		err := rows.Scan(&r.Class.School, &r.Class.Grade, &r.Class.Number, &r.Role, &participant, &at, &r.Day, &r.Ordinal)
		r.Participant, r.At, r.Counted = canyu.Participant(participant), milli(at), true
		return err
	}, `SELECT g.school, g.grade, g.class, g.role, p.participant, p.at, p.day, p.ordinal
		FROM groups g CROSS JOIN participants p ON p.class_role = g.id WHERE g.activity = ?`, activity)
}

// Messages implements canyu.Archive.
func (a *Archive) Messages(ctx context.Context, activity string, schools []canyu.SchoolCode, day canyu.Day, limit int) ([]canyu.Message, error) {
	where, list := inSchools(schools)
	args := append(append([]any{activity, int64(day)}, list...), max(limit, 0))
	messages, err := collect(ctx, a.read, func(rows *sql.Rows, m *canyu.Message) error {
		var at int64
		err := rows.Scan(&m.Class.School, &m.Class.Grade, &m.Class.Number, &m.Role, &at, &m.Text)
		m.At = milli(at)
		return err
	}, `SELECT g.school, g.grade, g.class, g.role, s.at, s.message
		FROM groups g JOIN submissions s ON s.class_role = g.id
		WHERE g.activity = ? AND s.day = ? AND s.message <> ''`+where+`
		ORDER BY s.at, g.school, g.grade, g.class, g.role, s.participant, s.id LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read messages: %w", err)
	}
	return messages, nil
}
