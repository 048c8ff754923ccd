package reports

import (
	"context"
	"errors"
	"fmt"
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
	finished map[mark]bool        // need not be looked at again
	alarmed  map[mark]bool        // somebody was told
	looked   map[mark]bool        // for late data, at the hour of this day
	reviewed map[string]time.Time // activities: when review last looked
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

// Tick looks once, at instant now, at what is due, and does it. What goes wrong
// with one region does not keep the others from theirs. All numbers are frozen before
// the first mail leaves, for mails may take their time; and schools, which may be
// many, come when every bureau has had its turn.
func (s *Scheduler) Tick(ctx context.Context, now time.Time) error {
	errs := []error{s.Calendar.Refresh()}
	var turns []*turn
	for _, a := range s.Activities {
		t, err := s.turn(ctx, a, now)
		errs = append(errs, err)
		if t != nil {
			turns = append(turns, t)
			errs = append(errs, t.freeze(ctx), t.read(ctx))
		}
	}
	for _, bureaus := range []bool{true, false} {
		for _, t := range turns {
			errs = append(errs, t.mail(ctx, bureaus))
		}
	}
	for _, t := range turns {
		t.watch()
	}
	return errors.Join(errs...)
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

// review looks now and then for mails that wait of a report that was finished: somebody
// else has made a correction of it.
func (s *Scheduler) review(ctx context.Context, a *canyu.Activity, now time.Time) error {
	s.mu.Lock()
	due := now.Sub(s.reviewed[a.ID]) >= reviewEvery
	s.mu.Unlock()
	if !due {
		return nil
	}
	deliveries, err := s.Archive.Deliveries(ctx, a.ID, 0)
	if err != nil {
		return fmt.Errorf("cannot read the deliveries of %s: %w", a.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range deliveries {
		if !done(d) {
			delete(s.finished, mark{a.ID, d.Region, d.Day})
		}
	}
	if s.reviewed == nil {
		s.reviewed = make(map[string]time.Time)
	}
	s.reviewed[a.ID] = now
	return nil
}

const reviewEvery = 10 * time.Minute

// blind tells once a day that the plan cannot be followed for want of a calendar.
func (s *Scheduler) blind(a *canyu.Activity, now time.Time, err error) error {
	if s.first(mark{a.ID, 0, a.DayOf(now)}) {
		return err
	}
	return nil
}
