package reports

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// regionsAtOnce bounds memory and connections where many counties are due in one
// minute.
const regionsAtOnce = 4

// turn is a tick's work for one activity.
type turn struct {
	*Scheduler
	activity   *canyu.Activity
	now        time.Time
	owed       []owed
	deliveries []canyu.Delivery
	roster     *canyu.Roster
}

// owed are the days of a region whose report is not with everybody, the earliest first.
type owed struct {
	region canyu.Region
	days   []canyu.Day
}

// turn is nil where nothing is owed.
func (s *Scheduler) turn(ctx context.Context, a *canyu.Activity, now time.Time) (*turn, error) {
	days, err := hoursPassed(a, s.Calendar, now)
	if err != nil {
		err = s.blind(a, now, err)
	}
	if len(days) > 0 {
		err = errors.Join(err, s.review(ctx, a, now))
	}
	hour, correcting := correctionHour(a, s.Calendar, now)
	t := &turn{Scheduler: s, activity: a, now: now}
	for _, region := range slices.Sorted(maps.Keys(a.Report.Recipients)) {
		if len(a.Report.Recipients[region]) == 0 {
			continue
		}
		open := slices.DeleteFunc(slices.Clone(days), func(d canyu.Day) bool { return s.is(&s.finished, mark{a.ID, region, d}) })
		if len(open) > 0 || correcting && !s.is(&s.looked, mark{a.ID, region, hour}) {
			t.owed = append(t.owed, owed{region, open})
		}
	}
	if len(t.owed) == 0 {
		return nil, err
	}
	readErr := t.read(ctx)
	if readErr != nil {
		return nil, errors.Join(err, readErr)
	}
	if t.roster, readErr = s.Archive.Roster(ctx); readErr != nil {
		return nil, errors.Join(err, fmt.Errorf("cannot read the roster: %w", readErr))
	}
	return t, err
}

// read reads what became of the mails so far.
func (t *turn) read(ctx context.Context) (err error) {
	if t.deliveries, err = t.Archive.Deliveries(ctx, t.activity.ID, 0); err != nil {
		return fmt.Errorf("cannot read the deliveries of %s: %w", t.activity.ID, err)
	}
	return nil
}

// each does something for every region that is owed something.
func (t *turn) each(do func(*owed) error) error {
	var group sync.WaitGroup
	errs := make([]error, len(t.owed))
	slots := make(chan struct{}, regionsAtOnce)
	for i := range t.owed {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(&t.owed[i])
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// freeze makes the reports that are due.
func (t *turn) freeze(ctx context.Context) error {
	front := new(front)
	err := t.each(func(o *owed) error { return t.freezeRegion(ctx, o, how{freeze: true, roster: t.roster, front: front}) })
	return errors.Join(err, front.behind(t.activity))
}

// freezeRegion goes day after day: each report counts from the one before.
func (t *turn) freezeRegion(ctx context.Context, o *owed, how how) error {
	frozen, err := t.Archive.Frozen(ctx, t.activity.ID, o.region)
	if err != nil {
		return fmt.Errorf("cannot read the reports of %s: %w", o.region, err)
	}
	// Whatever comes of the correction, the report that is due now is not held up.
	corrected, correctErr := t.correct(ctx, o.region, frozen, how)
	o.days = slices.DeleteFunc(o.days, func(d canyu.Day) bool {
		finished := d != corrected && progressOf(o.region, d, frozen, t.deliveries).finished()
		if finished {
			t.set(&t.finished, mark{t.activity.ID, o.region, d}, true)
		}
		return finished
	})
	for i, day := range o.days {
		if newestOf(frozen, day) != nil {
			continue
		}
		var result Result
		if result, err = t.send(ctx, t.activity, o.region, day, how); err != nil {
			break
		}
		if result.Outcome == Busy { // another process is at the region
			o.days = o.days[:i]
			break
		}
	}
	if corrected != 0 && !slices.Contains(o.days, corrected) {
		o.days = append([]canyu.Day{corrected}, o.days...)
	}
	return errors.Join(own(correctErr), own(err))
}

// own is err, but for what is said of all regions at once.
func own(err error) error {
	if errors.Is(err, ErrBehind) {
		return nil
	}
	return err
}

// mail delivers what is frozen and waits, to bureaus or to schools.
func (t *turn) mail(ctx context.Context, bureaus bool) error {
	waiting := make(map[mark]bool)
	for _, d := range t.deliveries {
		if (d.School == 0) == bureaus && !done(d) && ready(d, t.now) {
			waiting[mark{d.Activity, d.Region, d.Day}] = true
		}
	}
	return t.each(func(o *owed) error {
		for _, day := range slices.Clone(o.days) {
			if !waiting[mark{t.activity.ID, o.region, day}] {
				continue
			}
			result, err := t.send(ctx, t.activity, o.region, day, how{due: true, mail: true, bureaus: bureaus, roster: t.roster, began: t.now})
			if err != nil {
				return err
			}
			if result.Outcome == Busy || !slices.ContainsFunc(result.Deliveries, func(d canyu.Delivery) bool { return !done(d) }) {
				o.days = slices.DeleteFunc(o.days, func(d canyu.Day) bool { return d == day })
			}
		}
		return nil
	})
}

// watch is the watchdog: a report that was due and did not reach everybody in
// time is said so, once.
func (t *turn) watch() {
	for _, o := range t.owed {
		for _, day := range o.days {
			if t.now.Sub(DueAt(t.activity, day)) > Deadline && t.first(mark{t.activity.ID, o.region, day}) {
				t.log().Error("report overdue", "activity", t.activity.ID, "region", o.region, "day", day)
			}
		}
	}
}
