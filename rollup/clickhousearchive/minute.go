package clickhousearchive

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Minutes implements canyu.Archive. The day is looked at after FINAL has chosen
// the row that stays.
func (a *Archive) Minutes(ctx context.Context, activity string, schools []canyu.SchoolCode, day canyu.Day) ([]canyu.Minute, error) {
	type key struct {
		minute int64
		role   uint8
	}
	counts := make(map[key]int)
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT role, intDiv(at, 60000) AS minute, count() FROM (
				SELECT role, at, day FROM participants FINAL WHERE activity = ? AND `+condition+`)
			WHERE toUInt16(day) = ? GROUP BY role, minute`, activity, uint16(day))
		if err != nil {
			return nil, fmt.Errorf("cannot read the minutes of %s: %w", day, err)
		}
		for rows.Next() {
			var k key
			var n uint64
			if err := rows.Scan(&k.role, &k.minute, &n); err != nil {
				return nil, fmt.Errorf("cannot read the minutes of %s: %w", day, err)
			}
			counts[k] += int(n)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot read the minutes of %s: %w", day, err)
		}
	}
	minutes := make([]canyu.Minute, 0, len(counts))
	for k, n := range counts {
		minutes = append(minutes, canyu.Minute{Role: canyu.Role(k.role), At: time.UnixMilli(k.minute * 60_000).UTC(), Participants: n})
	}
	slices.SortFunc(minutes, func(x, y canyu.Minute) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Role, y.Role)) })
	minutes, err := canyu.AddAdmittedMinutes(ctx, a, activity, schools, day, minutes)
	if err != nil {
		return nil, fmt.Errorf("cannot read the minutes of %s: %w", day, err)
	}
	return minutes, nil
}

// Days implements canyu.Archive.
func (a *Archive) Days(ctx context.Context, activity string, schools []canyu.SchoolCode, from, to canyu.Day) ([]canyu.DaySum, error) {
	type key struct {
		day  canyu.Day
		role uint8
	}
	sums := make(map[key]canyu.DaySum)
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT toUInt16(day), role, sum(p), sum(s) FROM (
				SELECT school, grade, class, role, day, argMax(participants, version) AS p, argMax(submissions, version) AS s
				FROM rollups WHERE activity = ? AND toInt64(day) BETWEEN ? AND ? AND `+condition+`
				GROUP BY school, grade, class, role, day)
			GROUP BY day, role HAVING sum(p) > 0 OR sum(s) > 0`, activity, int64(from), int64(to))
		if err != nil {
			return nil, fmt.Errorf("cannot add up the days: %w", err)
		}
		for rows.Next() {
			var day uint16
			var role uint8
			var participants, submissions uint64
			if err := rows.Scan(&day, &role, &participants, &submissions); err != nil {
				return nil, fmt.Errorf("cannot add up the days: %w", err)
			}
			k := key{canyu.Day(day), role}
			d := sums[k]
			d.Day, d.Role = k.day, canyu.Role(role)
			d.Participants += int(participants)
			d.Submissions += int(submissions)
			sums[k] = d
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot add up the days: %w", err)
		}
	}
	all := slices.SortedFunc(maps.Values(sums), func(x, y canyu.DaySum) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Role, y.Role))
	})
	all, err := canyu.AddAdmittedDays(ctx, a, activity, schools, from, to, all)
	if err != nil {
		return nil, fmt.Errorf("cannot add up the days: %w", err)
	}
	return all, nil
}

// Latest implements canyu.Archive.
func (a *Archive) Latest(ctx context.Context, activity string, school canyu.SchoolCode) ([]canyu.Latest, error) {
	rows, err := a.conn.Query(ctx, `SELECT grade, class, role, max(at) FROM submissions FINAL
		WHERE activity = ? AND school = ? GROUP BY grade, class, role ORDER BY grade, class, role`, activity, uint64(school))
	if err != nil {
		return nil, fmt.Errorf("cannot read the newest submissions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []canyu.Latest
	for rows.Next() {
		g := groupRow{school: uint64(school)}
		var at int64
		if err := rows.Scan(&g.grade, &g.class, &g.role, &at); err != nil {
			return nil, fmt.Errorf("cannot read the newest submissions: %w", err)
		}
		l := canyu.Latest{At: time.UnixMilli(at).UTC()}
		l.Class, l.Role = g.get()
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the newest submissions: %w", err)
	}
	return all, nil
}
