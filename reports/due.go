package reports

import (
	"time"

	"github.com/canyu/canyu"
)

// CatchUp is how old a report may be that is still sent by itself: a program that
// comes back after a fortnight, or is given last year's activity, does not flood
// anybody. Older ones are sent by hand, and Status shows them.
const CatchUp = 14 * 24 * time.Hour

// Deadline is how long after its hour a report that is not delivered is an alarm.
const Deadline = time.Hour

// Due are the days, the earliest first, for which the region's report is to be
// worked on at instant now: its hour is over, and it is not frozen or a delivery
// waits to be tried. It is decided by what the archive has, not by what a timer
// did. Where the plan runs into a year without a calendar, the days before it
// come with ErrNoCalendar.
func Due(a *canyu.Activity, c *Calendar, region canyu.Region, frozen []canyu.Frozen, deliveries []canyu.Delivery, now time.Time) ([]canyu.Day, error) {
	days, err := hoursPassed(a, c, now)
	var due []canyu.Day
	for _, day := range days {
		if p := progressOf(region, day, frozen, deliveries); p.waits(now, false) {
			due = append(due, day)
		}
	}
	return due, err
}

// hoursPassed are the report days whose hour is over, but not for longer than CatchUp.
func hoursPassed(a *canyu.Activity, c *Calendar, now time.Time) ([]canyu.Day, error) {
	days, err := PlannedDays(a, c, a.DayOf(now))
	var passed []canyu.Day
	for _, day := range days {
		if at := DueAt(a, day); !now.Before(at) && now.Sub(at) <= CatchUp {
			passed = append(passed, day)
		}
	}
	return passed, err
}

// progress is how far the report of one region and day has come.
type progress struct {
	frozen     *canyu.Frozen    // the newest revision, or nil
	deliveries []canyu.Delivery // of that revision
}

func progressOf(region canyu.Region, day canyu.Day, frozen []canyu.Frozen, deliveries []canyu.Delivery) progress {
	var p progress
	for i := range frozen {
		if f := &frozen[i]; f.Region == region && f.Day == day && (p.frozen == nil || f.Revision > p.frozen.Revision) {
			p.frozen = f
		}
	}
	if p.frozen == nil {
		return p
	}
	for _, d := range deliveries {
		if d.Region == region && d.Day == day && d.Revision == p.frozen.Revision {
			p.deliveries = append(p.deliveries, d)
		}
	}
	return p
}

// finished reports whether every recipient has an answer.
func (p progress) finished() bool {
	for _, d := range p.deliveries {
		if !done(d) {
			return false
		}
	}
	return p.frozen != nil
}

// waits reports whether there is something to do now, for schools too or for bureaus alone.
func (p progress) waits(now time.Time, bureaus bool) bool {
	for _, d := range p.deliveries {
		if !done(d) && ready(d, now) && (!bureaus || d.School == 0) {
			return true
		}
	}
	return p.frozen == nil
}
