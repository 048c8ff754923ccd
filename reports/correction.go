package reports

import (
	"context"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// correctionHour is the newest day, by now, at whose hour corrections leave by
// themselves: those of the reports, and working days (or every day, as the plan
// is) after the last one, as late data comes then too.
func correctionHour(a *canyu.Activity, c *Calendar, now time.Time) (_ canyu.Day, ok bool) {
	today := a.DayOf(now)
	if !a.Report.Correct || today > a.LastDay+canyu.LatestReport {
		return 0, false
	}
	for d := today; d > a.FirstDay; d-- {
		if now.Before(DueAt(a, d)) {
			continue
		}
		switch a.Report.Days {
		case canyu.WorkingDays:
			if working, err := c.Working(d); err == nil && working {
				return d, true
			}
		case canyu.ListedDays:
			if slices.Contains(a.Report.List, d) || d > slices.Max(a.Report.List) {
				return d, true
			}
		default:
			return d, true
		}
	}
	return 0, false
}

// correct looks, once at each hour, whether the region's newest report, if
// everybody has it, is to be corrected, and freezes the correction. It returns the
// day of a report that has one now.
func (t *turn) correct(ctx context.Context, region canyu.Region, frozen []canyu.Frozen, how how) (day canyu.Day, err error) {
	a := t.activity
	hour, ok := correctionHour(a, t.Calendar, t.now)
	if !ok || t.is(&t.looked, mark{a.ID, region, hour}) {
		return 0, nil
	}
	if len(frozen) > 0 {
		newest := frozen[len(frozen)-1]
		if p := progressOf(region, newest.Day, frozen, t.deliveries); p.finished() && newest.Day < hour && newest.AsOf.Before(DueAt(a, hour)) {
			how.correct, how.late = true, true
			result, err := t.send(ctx, a, region, newest.Day, how)
			if err != nil || result.Outcome == Busy {
				return 0, err // looked at again in a minute
			}
			if result.Outcome != Unchanged {
				day = newest.Day
				t.set(&t.finished, mark{a.ID, region, day}, false) // it may have to be tried again
			}
		}
	}
	t.set(&t.looked, mark{a.ID, region, hour}, true)
	return day, nil
}

// lateData reports whether a day that was over when the report was made has other
// participants now. Where the roster has moved schools, the days do not tell: a
// correction is made by hand. What came in on the report's own day after its hour is no late
// data, and cannot be told from it: the next report has both.
func lateData(before, now *Report) bool {
	if !sameSchools(before, now) {
		return false
	}
	for i, d := range before.Days {
		if d.Day.End(before.activity.Zone).After(before.AsOf) || i >= len(now.Days) {
			break
		}
		n := now.Days[i]
		n.Submissions = d.Submissions
		if n != d {
			return true
		}
	}
	return false
}
