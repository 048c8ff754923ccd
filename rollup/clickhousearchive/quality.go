package clickhousearchive

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// OddHours implements canyu.Archive. The hour is looked at after FINAL has chosen
// the row that stays.
func (a *Archive) OddHours(ctx context.Context, activity string, schools []canyu.SchoolCode, hours []canyu.Hours) ([]canyu.OddHours, error) {
	outside := []string{"0"}
	for _, h := range hours {
		outside = append(outside, fmt.Sprintf("n BETWEEN %d AND %d AND (clock < %d OR clock >= %d)",
			clamp(h.First), clamp(h.Last), h.Opens.Milliseconds(), h.Closes.Milliseconds()))
	}
	var all []canyu.OddHours
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT school, n, count() FROM (
				SELECT school, toUInt16(day) AS n, at - toInt64(n) * 86400000 AS clock FROM (
					SELECT school, grade, class, role, participant, id, day, at FROM submissions FINAL WHERE activity = ? AND `+condition+`))
			WHERE `+strings.Join(outside, " OR ")+` GROUP BY school, n`, activity)
		if err != nil {
			return nil, fmt.Errorf("cannot count odd hours: %w", err)
		}
		for rows.Next() {
			var school, n uint64
			var day uint16
			if err := rows.Scan(&school, &day, &n); err != nil {
				return nil, fmt.Errorf("cannot count odd hours: %w", err)
			}
			all = append(all, canyu.OddHours{School: canyu.SchoolCode(school), Day: canyu.Day(day), Submissions: int(n)})
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot count odd hours: %w", err)
		}
	}
	return all, nil
}

// clamp brings a day into what a Date can be.
func clamp(d canyu.Day) canyu.Day { return min(max(d, 0), math.MaxUint16) }

// SetRefusals implements canyu.Archive.
func (a *Archive) SetRefusals(ctx context.Context, activity, writer string, rs []canyu.Refusal) error {
	if len(rs) == 0 {
		return nil
	}
	var activities, writers, reasons []string
	var schools, refused []uint64
	var days []time.Time
	for _, r := range rs {
		activities, writers, reasons = append(activities, activity), append(writers, writer), append(reasons, r.Reason)
		schools, days, refused = append(schools, uint64(r.School)), append(days, date(r.Day)), append(refused, uint64(r.Count))
	}
	if err := a.insert(ctx, "refusals", "activity, school, day, reason, writer, refused", activities, schools, days, reasons, writers, refused); err != nil {
		return fmt.Errorf("cannot store refusals: %w", err)
	}
	return nil
}

// Refusals implements canyu.Archive.
func (a *Archive) Refusals(ctx context.Context, activity string, schools []canyu.SchoolCode, to canyu.Day) ([]canyu.Refusal, error) {
	var all []canyu.Refusal
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT school, n, reason, sum(most) FROM (
				SELECT school, toUInt16(day) AS n, reason, writer, max(refused) AS most FROM refusals
				WHERE activity = ? AND toInt64(day) <= ? AND `+condition+` GROUP BY school, n, reason, writer)
			GROUP BY school, n, reason`, activity, int64(to))
		if err != nil {
			return nil, fmt.Errorf("cannot read refusals: %w", err)
		}
		for rows.Next() {
			var school, n uint64
			var day uint16
			var r canyu.Refusal
			if err := rows.Scan(&school, &day, &r.Reason, &n); err != nil {
				return nil, fmt.Errorf("cannot read refusals: %w", err)
			}
			r.School, r.Day, r.Count = canyu.SchoolCode(school), canyu.Day(day), int(n)
			all = append(all, r)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot read refusals: %w", err)
		}
	}
	return all, nil
}
