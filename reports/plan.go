package reports

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// PlannedDays are the days up to until on which the activity's report is due, the
// earliest first: the working days from its first day to its last (or every day,
// if that is the plan) and, for the report over the whole activity, the first
// such day after it; or the days that it lists, and no others. Where the plan reaches a year without a calendar the days
// before it come with ErrNoCalendar.
func PlannedDays(a *canyu.Activity, c *Calendar, until canyu.Day) ([]canyu.Day, error) {
	var days []canyu.Day
	if a.Report.Days == canyu.ListedDays {
		days = slices.DeleteFunc(slices.Clone(a.Report.List), func(d canyu.Day) bool { return d > until })
		slices.Sort(days)
		return days, nil
	}
	for d := a.FirstDay; d <= until; d++ {
		due := true
		if a.Report.Days != canyu.EveryDay {
			var err error
			if due, err = c.Working(d); err != nil {
				y, _, _ := d.Date()
				return days, fmt.Errorf("activity %s: report.days: %w: put %d.json into the folder of calendar, or let days be daily or a list", a.ID, err, y)
			}
		}
		if due {
			days = append(days, d)
			if d > a.LastDay {
				break
			}
		}
	}
	return days, nil
}

// Planned reports whether a report is due on the day.
func Planned(a *canyu.Activity, c *Calendar, day canyu.Day) (bool, error) {
	days, err := PlannedDays(a, c, day)
	if err != nil {
		return false, err
	}
	return len(days) > 0 && days[len(days)-1] == day, nil
}

// DueAt is the instant at which the report of the day is due.
func DueAt(a *canyu.Activity, day canyu.Day) time.Time {
	y, m, d := day.Date()
	return time.Date(y, m, d, a.Report.Hour, a.Report.Minute, 0, 0, a.Zone)
}

// previous is the newest report day before day; ok is false for the first.
func previous(a *canyu.Activity, c *Calendar, day canyu.Day) (_ canyu.Day, ok bool, err error) {
	days, err := PlannedDays(a, c, day-1)
	if err != nil || len(days) == 0 {
		return 0, false, err
	}
	return days[len(days)-1], true, nil
}

// blindYear is the year without a calendar that the plan runs into after day, or
// 0: somebody must be told before the reports stop.
func blindYear(a *canyu.Activity, c *Calendar, day canyu.Day) int {
	if _, err := PlannedDays(a, c, a.LastDay+canyu.LatestReport); !errors.Is(err, ErrNoCalendar) {
		return 0
	}
	for d := max(day, a.FirstDay); d <= a.LastDay+canyu.LatestReport; d++ {
		if _, err := c.Working(d); err != nil {
			y, _, _ := d.Date()
			return y
		}
	}
	return 0
}
