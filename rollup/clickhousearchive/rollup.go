package clickhousearchive

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Restate implements canyu.Archive, school by school: ClickHouse reads in blocks
// of some thousand rows anyway. The groups that the rollups have already stand in
// the union with zeros, so that one whose facts are gone becomes zero.
func (a *Archive) Restate(ctx context.Context, activity string, classes []canyu.Class) error {
	if err := a.takes(ctx, activity); err != nil {
		return fmt.Errorf("cannot restate rollups: %w", err)
	}
	schools := make([]canyu.SchoolCode, 0, len(classes))
	for _, c := range classes {
		schools = append(schools, c.School)
	}
	slices.Sort(schools)
	servers, err := a.exact(ctx, "participants", "submissions", "rollups")
	if err != nil {
		return fmt.Errorf("cannot restate rollups: %w", err)
	}
	for _, condition := range inSchools(slices.Compact(schools)) {
		if err := a.restate(ctx, servers, activity, condition); err != nil {
			return fmt.Errorf("cannot restate rollups: %w", err)
		}
	}
	a.copied(ctx, "rollups")
	return nil
}

func (a *Archive) restate(ctx context.Context, servers []driver.Conn, activity, condition string) error {
	where := " WHERE activity = ? AND " + condition
	participants, submissions, rollups := a.local("participants"), a.local("submissions"), a.local("rollups")
	for _, server := range servers {
		// The activity stays out of the inner query: a key of numbers alone groups faster.
		err := server.Exec(ctx, `
			INSERT INTO `+rollups+` (activity, school, grade, class, role, day, participants, submissions, version)
			SELECT ?, school, grade, class, role, day, sum(p), sum(s), greatest(max(v) + 1, `+fmt.Sprintf("toUInt64(%d)", a.version(0))+`) FROM (
				SELECT school, grade, class, role, day, toUInt64(1) AS p, toUInt64(0) AS s, toUInt64(0) AS v FROM `+participants+` FINAL`+where+`
				UNION ALL
				SELECT school, grade, class, role, day, toUInt64(0) AS p, toUInt64(1) AS s, toUInt64(0) AS v FROM `+submissions+` FINAL`+where+`
				UNION ALL
				SELECT school, grade, class, role, day, toUInt64(0) AS p, toUInt64(0) AS s, version AS v FROM `+rollups+where+`)
			GROUP BY school, grade, class, role, day`, activity, activity, activity, activity)
		if err != nil {
			return err
		}
	}
	return nil
}

// Rollups implements canyu.Archive.
func (a *Archive) Rollups(ctx context.Context, activity string, schools []canyu.SchoolCode, from, to canyu.Day) ([]canyu.Rollup, error) {
	var all []canyu.Rollup
	for _, condition := range inSchools(schools) {
		var err error
		all, err = appendRollups(ctx, a.conn, all, `SELECT school, grade, class, role, toUInt16(day), argMax(participants, version) AS p, argMax(submissions, version) AS s
			FROM rollups WHERE activity = ? AND toInt64(day) BETWEEN ? AND ? AND `+condition+`
			GROUP BY school, grade, class, role, day HAVING p > 0 OR s > 0`, activity, int64(from), int64(to))
		if err != nil {
			return nil, fmt.Errorf("cannot read rollups: %w", err)
		}
	}
	all, err := canyu.AddAdmitted(ctx, a, activity, schools, from, to, all)
	if err != nil {
		return nil, fmt.Errorf("cannot read rollups: %w", err)
	}
	return all, nil
}

// Tallies implements canyu.Archive.
func (a *Archive) Tallies(ctx context.Context, activity string, schools []canyu.SchoolCode) ([]canyu.Rollup, error) {
	servers, err := a.exact(ctx, "participants", "submissions")
	if err != nil {
		return nil, fmt.Errorf("cannot count facts: %w", err)
	}
	var all []canyu.Rollup
	for _, condition := range inSchools(schools) {
		where := " FINAL WHERE activity = ? AND " + condition
		for _, server := range servers {
			all, err = appendRollups(ctx, server, all, `SELECT school, grade, class, role, toUInt16(day), sum(p), sum(s) FROM (
				SELECT school, grade, class, role, day, toUInt64(1) AS p, toUInt64(0) AS s FROM `+a.local("participants")+where+`
				UNION ALL
				SELECT school, grade, class, role, day, toUInt64(0) AS p, toUInt64(1) AS s FROM `+a.local("submissions")+where+`)
			GROUP BY school, grade, class, role, day`, activity, activity)
			if err != nil {
				return nil, fmt.Errorf("cannot count facts: %w", err)
			}
		}
	}
	all, err = canyu.AddAdmitted(ctx, a, activity, schools, math.MinInt32, math.MaxInt32, all)
	if err != nil {
		return nil, fmt.Errorf("cannot count facts: %w", err)
	}
	slices.SortFunc(all, func(x, y canyu.Rollup) int {
		return cmp.Or(x.Class.Compare(y.Class), cmp.Compare(x.Role, y.Role), cmp.Compare(x.Day, y.Day))
	})
	return all, nil
}

func appendRollups(ctx context.Context, conn driver.Conn, all []canyu.Rollup, query string, args ...any) ([]canyu.Rollup, error) {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var g groupRow
		var day uint16
		var participants, submissions uint64
		if err := rows.Scan(&g.school, &g.grade, &g.class, &g.role, &day, &participants, &submissions); err != nil {
			return nil, err
		}
		r := canyu.Rollup{Day: canyu.Day(day), Participants: int(participants), Submissions: int(submissions)}
		r.Class, r.Role = g.get()
		all = append(all, r)
	}
	return all, rows.Err()
}
