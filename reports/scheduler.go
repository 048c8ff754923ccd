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
	"github.com/robfig/cron/v3"
)

// Scheduler sends the reports of the Sender's activities when they are due. Any
// number of processes may run one.
type Scheduler struct {
	*Sender

	mu       sync.Mutex
	finished map[mark]bool // need not be looked at again
	alarmed  map[mark]bool // somebody was told
	looked   map[mark]bool // for late data, at the hour of this day
}

type mark struct {
	activity string
	region   canyu.Region
	day      canyu.Day
}

// Run sends until ctx is done. Timers only say when to look: at each activity's
// hour in its own zone, and every minute for what is to be tried again or was
// missed.
func (s *Scheduler) Run(ctx context.Context) error {
	if len(s.Activities) == 0 {
		return errors.New("reports: Sender.Activities is empty, so no report would ever be sent")
	}
	look := make(chan struct{}, 1)
	nudge := func() {
		select {
		case look <- struct{}{}:
		default: // already told
		}
	}
	timers := cron.New()
	for _, a := range s.Activities {
		hour := fmt.Sprintf("CRON_TZ=%s %d %d * * *", a.Zone, a.Report.Minute, a.Report.Hour)
		if _, err := timers.AddFunc(hour, nudge); err != nil {
			return fmt.Errorf("cannot schedule the reports of %s: %w", a.ID, err)
		}
	}
	if _, err := timers.AddFunc("@every 1m", nudge); err != nil {
		return fmt.Errorf("cannot schedule reports: %w", err)
	}
	timers.Start()
	defer func() { <-timers.Stop().Done() }()
	said := ""
	for {
		if err := s.Tick(ctx, s.now()); err == nil {
			said = ""
		} else if text := err.Error(); ctx.Err() == nil && text != said { // not every minute
			s.log().Error("reports", "error", err)
			said = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look:
		}
	}
}

// regionsAtOnce bounds memory and connections where many counties are due in one
// minute.
const regionsAtOnce = 4

// Tick looks once, at instant now, at what is due, and does it. What goes wrong
// with one region does not keep the others from theirs.
func (s *Scheduler) Tick(ctx context.Context, now time.Time) error {
	errs := []error{s.Calendar.Refresh()}
	for _, a := range s.Activities {
		errs = append(errs, s.tick(ctx, a, now))
	}
	return errors.Join(errs...)
}

func (s *Scheduler) tick(ctx context.Context, a *canyu.Activity, now time.Time) error {
	days, err := hoursPassed(a, s.Calendar, now)
	if err != nil {
		err = s.blind(a, now, err)
	}
	hour, correcting := correctionHour(a, s.Calendar, now)
	var regions []canyu.Region
	for _, region := range slices.Sorted(maps.Keys(a.Report.Recipients)) {
		if len(a.Report.Recipients[region]) == 0 {
			continue
		}
		open := func(d canyu.Day) bool { return !s.is(&s.finished, mark{a.ID, region, d}) }
		if slices.ContainsFunc(days, open) || correcting && !s.is(&s.looked, mark{a.ID, region, hour}) {
			regions = append(regions, region)
		}
	}
	if len(regions) == 0 {
		return err
	}
	deliveries, readErr := s.Archive.Deliveries(ctx, a.ID, 0)
	if readErr != nil {
		return errors.Join(err, fmt.Errorf("cannot read the deliveries of %s: %w", a.ID, readErr))
	}
	roster, readErr := s.Archive.Roster(ctx)
	if readErr != nil {
		return errors.Join(err, fmt.Errorf("cannot read the roster: %w", readErr))
	}
	// Schools, which may be many, come when every bureau has had its turn.
	how := how{due: true, bureaus: true, roster: roster, now: now, front: new(front)}
	err = errors.Join(err, s.regions(ctx, a, regions, days, deliveries, how), how.front.behind(a))
	if len(a.Report.Schools) == 0 {
		return err
	}
	if deliveries, readErr = s.Archive.Deliveries(ctx, a.ID, 0); readErr != nil {
		return errors.Join(err, fmt.Errorf("cannot read the deliveries of %s: %w", a.ID, readErr))
	}
	how.bureaus = false
	return errors.Join(err, s.regions(ctx, a, regions, days, deliveries, how))
}

func (s *Scheduler) regions(ctx context.Context, a *canyu.Activity, regions []canyu.Region, days []canyu.Day, deliveries []canyu.Delivery, how how) error {
	var group sync.WaitGroup
	errs := make([]error, len(regions))
	slots := make(chan struct{}, regionsAtOnce)
	for i, region := range regions {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = s.region(ctx, a, region, days, deliveries, how)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// region sends what one region is owed, day after day: each report counts from
// the one before.
func (s *Scheduler) region(ctx context.Context, a *canyu.Activity, region canyu.Region, days []canyu.Day, deliveries []canyu.Delivery, how how) error {
	now := how.now
	frozen, err := s.Archive.Frozen(ctx, a.ID, region)
	if err != nil {
		return fmt.Errorf("cannot read the reports of %s: %w", region, err)
	}
	// Whatever comes of the correction, the report that is due now is not held up.
	corrected, correctErr := s.correct(ctx, a, region, frozen, deliveries, how)
	for _, day := range days {
		if day == corrected {
			continue // frozen and deliveries are of before
		}
		m := mark{a.ID, region, day}
		p := progressOf(region, day, frozen, deliveries)
		if p.finished() {
			s.set(&s.finished, m, true)
			continue
		}
		if p.waits(now, how.bureaus) {
			var r Result
			if r, err = s.send(ctx, a, region, day, how); err != nil {
				break
			}
			p.frozen = &canyu.Frozen{}
			p.deliveries = r.Deliveries
			if r.Outcome == Busy {
				break
			}
		}
		if !p.finished() {
			s.watch(m, DueAt(a, day), now)
		}
	}
	if err != nil && len(days) > 0 {
		s.watch(mark{a.ID, region, days[len(days)-1]}, DueAt(a, days[len(days)-1]), now)
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

func (s *Scheduler) is(set *map[mark]bool, m mark) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (*set)[m]
}

func (s *Scheduler) set(set *map[mark]bool, m mark, to bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *set == nil {
		*set = make(map[mark]bool)
	}
	(*set)[m] = to
}

// first reports whether it is called with m for the first time.
func (s *Scheduler) first(m mark) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alarmed[m] {
		return false
	}
	if s.alarmed == nil {
		s.alarmed = make(map[mark]bool)
	}
	s.alarmed[m] = true
	return true
}

// watch is the watchdog: a report that was due and did not reach everybody in
// time is said so, once.
func (s *Scheduler) watch(m mark, due, now time.Time) {
	if now.Sub(due) > Deadline && s.first(m) {
		s.log().Error("report overdue", "activity", m.activity, "region", m.region, "day", m.day)
	}
}

// blind tells once a day that the plan cannot be followed for want of a calendar.
func (s *Scheduler) blind(a *canyu.Activity, now time.Time, err error) error {
	if s.first(mark{a.ID, 0, a.DayOf(now)}) {
		return err
	}
	return nil
}
