package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/canyu/canyu"
)

// OddHours implements canyu.Archive.
func (a *Archive) OddHours(ctx context.Context, activity string, schools []canyu.SchoolCode, hours []canyu.Hours) ([]canyu.OddHours, error) {
	outside := []string{"0"}
	for _, h := range hours {
		outside = append(outside, fmt.Sprintf("s.day BETWEEN %d AND %d AND (s.at - s.day * 86400000 < %d OR s.at - s.day * 86400000 >= %d)",
			h.First, h.Last, h.Opens.Milliseconds(), h.Closes.Milliseconds()))
	}
	where, list := inSchools(schools)
	odd, err := collect(ctx, a.read, func(rows *sql.Rows, o *canyu.OddHours) error { return rows.Scan(&o.School, &o.Day, &o.Submissions) },
		`SELECT g.school, s.day, count(*) FROM groups g CROSS JOIN submissions s ON s.class_role = g.id
		WHERE g.activity = ?`+where+` AND (`+strings.Join(outside, " OR ")+`) GROUP BY g.school, s.day`, append([]any{activity}, list...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot count odd hours: %w", err)
	}
	return odd, nil
}

// SetRefusals implements canyu.Archive.
func (a *Archive) SetRefusals(ctx context.Context, activity, writer string, rs []canyu.Refusal) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, r := range rs {
			_, err := tx.ExecContext(ctx, `INSERT INTO refusals (activity, school, day, reason, writer, refused) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET refused = max(refused, excluded.refused)`, activity, int64(r.School), int64(r.Day), r.Reason, writer, r.Count)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot store refusals: %w", err)
	}
	return nil
}

// Refusals implements canyu.Archive.
func (a *Archive) Refusals(ctx context.Context, activity string, schools []canyu.SchoolCode, to canyu.Day) ([]canyu.Refusal, error) {
	where, list := inSchools(schools)
	refusals, err := collect(ctx, a.read, func(rows *sql.Rows, r *canyu.Refusal) error {
		return rows.Scan(&r.School, &r.Day, &r.Reason, &r.Count)
	}, `SELECT g.school, g.day, g.reason, sum(g.refused) FROM refusals g
		WHERE g.activity = ? AND g.day <= ?`+where+` GROUP BY g.school, g.day, g.reason`, append([]any{activity, int64(to)}, list...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read refusals: %w", err)
	}
	return refusals, nil
}
