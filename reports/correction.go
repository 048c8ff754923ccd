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
// everybody has it, is to be corrected, and does it. It returns the report's day.
func (s *Scheduler) correct(ctx context.Context, a *canyu.Activity, region canyu.Region, frozen []canyu.Frozen, deliveries []canyu.Delivery, how how) (day canyu.Day, err error) {
	now := how.now
	hour, ok := correctionHour(a, s.Calendar, now)
	if !ok || s.is(&s.looked, mark{a.ID, region, hour}) {
		return 0, nil
	}
	if len(frozen) > 0 {
		newest := frozen[len(frozen)-1]
		if p := progressOf(region, newest.Day, frozen, deliveries); p.finished() && newest.Day < hour && newest.AsOf.Before(DueAt(a, hour)) {
			how.due, how.correct, how.late = false, true, true
			r, err := s.send(ctx, a, region, newest.Day, how)
			if err != nil || r.Outcome == Busy {
				return newest.Day, err // looked at again in a minute
			}
			day = newest.Day
			s.set(&s.finished, mark{a.ID, region, newest.Day}, false) // it may have to be tried again
		}
	}
	s.set(&s.looked, mark{a.ID, region, hour}, true)
	return day, nil
}

// lateData reports whether a day that was over when the report was made has other
// participants now. What came in on the report's own day after its hour is no late
// data, and cannot be told from it: the next report has both.
func lateData(before, now *Report) bool {
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
