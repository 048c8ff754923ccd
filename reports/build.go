package reports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// ErrNoSchools: the roster has no school in the region.
var ErrNoSchools = errors.New("the roster has no school in this region")

// maxMessages is how many of a day's messages a workbook takes.
const maxMessages = 10_000

// Build is the report of a region and day: the newest revision that was frozen,
// or, where none was, the numbers as they are at instant now.
func Build(ctx context.Context, archive canyu.Archive, a *canyu.Activity, c *Calendar, region canyu.Region, day canyu.Day, now time.Time) (*Report, error) {
	roster, err := archive.Roster(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read the roster: %w", err)
	}
	b := builder{archive: archive, activity: a, calendar: c, roster: roster, region: region, day: day, now: now}
	r, err := b.report(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot build the report of %s for %s: %w", region, day, err)
	}
	return r, nil
}

type builder struct {
	archive  canyu.Archive
	activity *canyu.Activity
	calendar *Calendar
	roster   *canyu.Roster
	region   canyu.Region
	day      canyu.Day
	now      time.Time
}

func (b *builder) report(ctx context.Context) (*Report, error) {
	frozen, err := b.archive.Frozen(ctx, b.activity.ID, b.region)
	if err != nil {
		return nil, err
	}
	var r *Report
	if newest := newestOf(frozen, b.day); newest != nil {
		r, err = thawSigned(ctx, b.archive, b.activity, *newest)
	} else {
		r, err = b.next(ctx, frozen)
	}
	if err != nil {
		return nil, err
	}
	return r, b.addMessages(ctx, r)
}

// next is the next revision of the report, from what the archive says now.
func (b *builder) next(ctx context.Context, frozen []canyu.Frozen) (*Report, error) {
	rollups, err := b.archive.Rollups(ctx, b.activity.ID, b.schoolCodes(), b.activity.FirstDay, b.day)
	if err != nil {
		return nil, err
	}
	r, err := b.compute(frozen, rollups)
	if err != nil {
		return nil, err
	}
	return r, b.addQuality(ctx, r)
}

// newestOf is the newest revision of the day, or nil.
func newestOf(frozen []canyu.Frozen, day canyu.Day) *canyu.Frozen {
	var newest *canyu.Frozen
	for i := range frozen {
		if f := &frozen[i]; f.Day == day && (newest == nil || f.Revision > newest.Revision) {
			newest = f
		}
	}
	return newest
}

// addMessages adds the messages that were there when the report was made.
func (b *builder) addMessages(ctx context.Context, r *Report) error {
	ms, err := b.archive.Messages(ctx, b.activity.ID, b.schoolCodes(), r.Day, maxMessages)
	if err != nil {
		return err
	}
	ms = slices.DeleteFunc(ms, func(m canyu.Message) bool { return m.At.After(r.AsOf) })
	r.messages, err = b.unhidden(ctx, ms)
	return err
}

// schoolCodes for the archive: nil, which means all, where the region has them all.
func (b *builder) schoolCodes() []canyu.SchoolCode {
	schools := b.roster.Schools(b.region)
	if len(schools) == len(b.roster.Schools(0)) {
		return nil
	}
	codes := make([]canyu.SchoolCode, len(schools))
	for i, s := range schools {
		codes[i] = s.Code
	}
	return codes
}

func (b *builder) compute(frozen []canyu.Frozen, rollups []canyu.Rollup) (*Report, error) {
	a := b.activity
	today := a.DayOf(b.now)
	if b.day > today {
		return nil, errors.New("the day has not come yet")
	}
	schools := b.roster.Schools(b.region)
	if len(schools) == 0 {
		return nil, ErrNoSchools
	}
	r := &Report{Activity: a.ID, Region: b.region, Day: b.day, Revision: 1, AsOf: b.now, activity: a}
	if today > b.day {
		r.AsOf = b.day.End(a.Zone)
	}
	last := newestOf(frozen, b.day)
	if last != nil { // a correction is made from what is known now, not from what the day knew
		r.Revision, r.AsOf = last.Revision+1, b.now
	}
	r.AsOf = r.AsOf.In(a.Zone).Truncate(time.Second)
	working, err := b.calendar.Working(b.day)
	if err == nil {
		r.WorkingDay = &working
	} else if a.Report.Days == canyu.WorkingDays {
		return nil, err
	}
	base, err := b.baseline(frozen)
	if err != nil {
		return nil, err
	}
	count(r, schools, rollups, base)
	r.Notes = append(notes(r), r.schoolNotes(base.told)...)
	if year := blindYear(a, b.calendar, b.day); year != 0 {
		r.Notes = append(r.Notes, Note{NoCalendar, year})
	}
	if last != nil {
		before, err := Thaw(a, *last)
		if err != nil {
			return nil, err
		}
		r.compare(before)
	}
	return r, nil
}

// baseline is what since_last_report counts from: the totals of the newest report
// of an earlier day, as they were told; or, where none was frozen, the end of the
// last report day; or nothing, for the first report.
type baseline struct {
	told map[canyu.SchoolCode]*Numbers
	day  canyu.Day // counted are the days after it, if told is nil
}

func (b *builder) baseline(frozen []canyu.Frozen) (baseline, error) {
	var newest *canyu.Frozen
	for i := range frozen {
		f := &frozen[i]
		if f.Day < b.day && (newest == nil || cmp.Or(cmp.Compare(f.Day, newest.Day), cmp.Compare(f.Revision, newest.Revision)) > 0) {
			newest = f
		}
	}
	if newest != nil {
		r, err := Thaw(b.activity, *newest)
		if err != nil {
			return baseline{}, err
		}
		told := make(map[canyu.SchoolCode]*Numbers, len(r.Schools))
		for i := range r.Schools {
			told[r.Schools[i].School] = &r.Schools[i].Numbers
		}
		return baseline{told: told}, nil
	}
	day, ok, err := previous(b.activity, b.calendar, b.day)
	if !ok {
		day = b.activity.FirstDay - 1
	}
	return baseline{day: day}, err
}
