package main

import (
	"context"
	"fmt"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

type checkCommand struct{ Flags }

// Run reports every mistake of the configuration, and what a working day is in the
// years that matter.
func (c *checkCommand) Run(ctx context.Context, out stdout) error {
	s, err := c.settings()
	if err != nil {
		return fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	calendar, err := s.checkPlans()
	if err != nil {
		return err
	}
	for _, a := range s.activities {
		fmt.Fprintf(out, "activity %s: %s to %s, %d steps, reports at %02d:%02d to %d regions and %d schools\n",
			a.ID, a.FirstDay, a.LastDay, len(a.Steps), a.Report.Hour, a.Report.Minute, len(a.Report.Recipients), len(a.Report.Schools))
		keep := a.Retention.Days()
		fmt.Fprintf(out, "activity %s: messages are destroyed after %s, what tells who took part after %s\n",
			a.ID, a.LastDay+canyu.Day(keep.Messages), a.LastDay+canyu.Day(keep.Participants))
		explainPolicy(out, a)
		warnConsent(out, a, s.notices[a.ID])
	}
	if year := calendar.Missing(time.Now()); year != 0 {
		fmt.Fprintf(out, "warning: the holidays of %d are not known yet: put %d.json into the calendar folder when they are published\n", year, year)
	}
	fmt.Fprintln(out, "the configuration is fine")
	return nil
}

// checkPlans holds the days of reports against the calendar.
func (s *settings) checkPlans() (*reports.Calendar, error) {
	calendar, err := reports.LoadCalendar(s.Calendar)
	if err != nil {
		return nil, err
	}
	for _, a := range s.activities {
		if _, err := reports.PlannedDays(a, calendar, a.LastDay); err != nil {
			return nil, fmt.Errorf("activity %s: %w", a.ID, err)
		}
	}
	return calendar, nil
}
