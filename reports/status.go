package reports

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Standing is where the report of a region and day stands.
type Standing string

// Standings.
const (
	Ahead    Standing = "ahead"    // its hour has not come
	Waiting  Standing = "waiting"  // due, and not delivered to everybody yet
	Overdue  Standing = "overdue"  // the same, and its deadline is over
	Missed   Standing = "missed"   // the same, and too old to be sent by itself
	Complete Standing = "complete" // everybody has it
	Rejected Standing = "rejected" // refused for good for somebody
	Blind    Standing = "blind"    // the year has no calendar: report days cannot be told from here on
	Unplaced Standing = "unplaced" // a school that is to get letters, but that no report has
)

// Alarm reports whether somebody must do something.
func (s Standing) Alarm() bool {
	return s == Overdue || s == Missed || s == Rejected || s == Blind || s == Unplaced
}

// Line is one report in the overview.
type Line struct {
	Activity   string
	Region     canyu.Region     // 0 where it is Blind, or Unplaced and not in the roster
	School     canyu.SchoolCode // that is Unplaced
	Day        canyu.Day
	Due        time.Time
	Standing   Standing
	Revision   int       // 0: not frozen yet
	AsOf       time.Time // of the newest revision
	Deliveries []canyu.Delivery
}

// Status is the overview of an activity's reports, past and next, by day and region.
func (s *Sender) Status(ctx context.Context, a *canyu.Activity) ([]Line, error) {
	return s.status(ctx, a, s.now())
}

func (s *Sender) status(ctx context.Context, a *canyu.Activity, now time.Time) ([]Line, error) {
	days, err := PlannedDays(a, s.Calendar, a.LastDay+canyu.LatestReport)
	blind := errors.Is(err, ErrNoCalendar)
	if err != nil && !blind {
		return nil, err
	}
	deliveries, err := s.Archive.Deliveries(ctx, a.ID, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the deliveries of %s: %w", a.ID, err)
	}
	type key struct {
		region canyu.Region
		day    canyu.Day
	}
	sent := make(map[key][]canyu.Delivery)
	for _, d := range deliveries {
		k := key{d.Region, d.Day}
		sent[k] = append(sent[k], d)
	}
	var lines []Line
	for _, region := range slices.Sorted(maps.Keys(a.Report.Recipients)) {
		frozen, err := s.Archive.Frozen(ctx, a.ID, region)
		if err != nil {
			return nil, fmt.Errorf("cannot read the reports of %s: %w", region, err)
		}
		for _, day := range days {
			l := Line{Activity: a.ID, Region: region, Day: day, Due: DueAt(a, day)}
			p := progressOf(region, day, frozen, sent[key{region, day}])
			l.Standing, l.Deliveries = p.standing(&a.Report, l.Due, now), p.deliveries
			if p.frozen != nil {
				l.Revision, l.AsOf = p.frozen.Revision, p.frozen.AsOf
			}
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return int(a.Day) - int(b.Day) })
	if blind {
		y := blindYear(a, s.Calendar, a.FirstDay)
		day := max(a.FirstDay, canyu.NewDay(y, time.January, 1))
		lines = append(lines, Line{Activity: a.ID, Day: day, Due: DueAt(a, day), Standing: Blind})
	}
	if len(a.Report.Schools) > 0 {
		roster, err := s.Archive.Roster(ctx)
		if err != nil {
			return nil, fmt.Errorf("cannot read the roster: %w", err)
		}
		for _, code := range unplaced(a, roster) {
			l := Line{Activity: a.ID, School: code, Day: a.FirstDay, Due: DueAt(a, a.FirstDay), Standing: Unplaced}
			if s := roster.School(code); s != nil {
				l.Region = s.Region
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func (p progress) standing(plan *canyu.ReportPlan, due, now time.Time) Standing {
	if p.finished() {
		if rejected(plan, p.deliveries) {
			return Rejected
		}
		return Complete
	}
	switch late := now.Sub(due); {
	case late < 0:
		return Ahead
	case late > CatchUp:
		return Missed
	case late > Deadline:
		return Overdue
	}
	return Waiting
}

// Alarms are what somebody must do something about at instant now, over all
// activities: reports that are overdue, missed or refused for somebody, each with its
// region; schools that are in no report; and, without a region, a year without a
// calendar from 30 days ahead. Activities that ended more than a month ago are
// left alone.
func (s *Sender) Alarms(ctx context.Context, now time.Time) ([]Line, error) {
	lines, err := s.overview(ctx, now)
	return slices.DeleteFunc(lines, func(l Line) bool { return !l.alarm(now) }), err
}

func (l *Line) alarm(now time.Time) bool {
	return l.Standing.Alarm() && (l.Standing != Blind || now.After(l.Due.AddDate(0, 0, -30)))
}

// overview is the Status of every activity but those not begun and long over.
func (s *Sender) overview(ctx context.Context, now time.Time) ([]Line, error) {
	var all []Line
	for _, a := range s.Activities {
		today := a.DayOf(now)
		if today < a.FirstDay || today > a.LastDay+canyu.LatestReport {
			continue
		}
		lines, err := s.status(ctx, a, now)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	return all, nil
}
