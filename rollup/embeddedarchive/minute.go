package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/canyu/canyu"
)

// Minutes implements canyu.Archive.
func (a *Archive) Minutes(ctx context.Context, activity string, schools []canyu.SchoolCode, day canyu.Day) ([]canyu.Minute, error) {
	where, list := inSchools(schools)
	minutes, err := collect(ctx, a.read, func(rows *sql.Rows, m *canyu.Minute) error {
		var minute int64
		err := rows.Scan(&m.Role, &minute, &m.Participants)
		m.At = milli(minute * 60_000)
		return err
	}, `SELECT g.role, p.at / 60000 AS minute, count(*)
		FROM groups g CROSS JOIN participants p ON p.class_role = g.id
		WHERE g.activity = ? AND p.day = ?`+where+` GROUP BY g.role, minute ORDER BY minute, g.role`,
		append([]any{activity, int64(day)}, list...)...)
	if err == nil {
		minutes, err = canyu.AddAdmittedMinutes(ctx, a, activity, schools, day, minutes)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the minutes of %s: %w", day, err)
	}
	return minutes, nil
}

// Days implements canyu.Archive.
func (a *Archive) Days(ctx context.Context, activity string, schools []canyu.SchoolCode, from, to canyu.Day) ([]canyu.DaySum, error) {
	where, list := inSchools(schools)
	days, err := collect(ctx, a.read, func(rows *sql.Rows, d *canyu.DaySum) error {
		return rows.Scan(&d.Day, &d.Role, &d.Participants, &d.Submissions)
	}, `SELECT r.day, g.role, sum(r.participants), sum(r.submissions)
		FROM groups g CROSS JOIN rollups r ON r.class_role = g.id
		WHERE g.activity = ? AND r.day BETWEEN ? AND ?`+where+` GROUP BY r.day, g.role ORDER BY r.day, g.role`,
		append([]any{activity, int64(from), int64(to)}, list...)...)
	if err == nil {
		days, err = canyu.AddAdmittedDays(ctx, a, activity, schools, from, to, days)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot add up the days: %w", err)
	}
	return days, nil
}

// Latest implements canyu.Archive.
func (a *Archive) Latest(ctx context.Context, activity string, school canyu.SchoolCode) ([]canyu.Latest, error) {
	latest, err := collect(ctx, a.read, func(rows *sql.Rows, l *canyu.Latest) error {
		var at int64
		err := rows.Scan(&l.Class.Grade, &l.Class.Number, &l.Role, &at)
		l.Class.School, l.At = school, milli(at)
		return err
	}, `SELECT g.grade, g.class, g.role, max(s.at)
		FROM groups g CROSS JOIN submissions s ON s.class_role = g.id
		WHERE g.activity = ? AND g.school = ? GROUP BY g.id ORDER BY g.grade, g.class, g.role`, activity, int64(school))
	if err != nil {
		return nil, fmt.Errorf("cannot read the newest submissions: %w", err)
	}
	return latest, nil
}
