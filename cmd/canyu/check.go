package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
	warnings, err := s.checkSecrets()
	calendar, wrong := s.servable()
	if err := errors.Join(err, wrong); err != nil {
		return fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	warnings = append(warnings, s.blindPlans(calendar)...)
	for _, a := range s.activities {
		fmt.Fprintf(out, "activity %s: %s to %s, %d steps, reports at %02d:%02d to %d regions and %d schools\n",
			a.ID, a.FirstDay, a.LastDay, len(a.Steps), a.Report.Hour, a.Report.Minute, len(a.Report.Recipients), len(a.Report.Schools))
		keep := a.Retention.Days()
		fmt.Fprintf(out, "activity %s: messages are destroyed after %s, what tells who took part after %s\n",
			a.ID, a.LastDay+canyu.Day(keep.Messages), a.LastDay+canyu.Day(keep.Participants))
		explainPolicy(out, a)
		warnConsent(out, a, s.notices[a.ID])
	}
	for _, warning := range warnings {
		fmt.Fprintln(out, "warning:", warning)
	}
	if year := calendar.Missing(time.Now()); year != 0 {
		fmt.Fprintf(out, "warning: the holidays of %d are not known yet: put %d.json into the folder of calendar when they are published; canyu.yaml shows its form\n", year, year)
	}
	fmt.Fprintln(out, "the configuration is fine")
	return nil
}

// servable tells what keeps a server from these settings, though each of them can be
// read: no activity, a calendar that cannot be, mail that cannot leave.
func (s *settings) servable() (*reports.Calendar, error) {
	errs := []error{s.needActivities()}
	if s.mails() {
		_, err := s.mailer()
		errs = append(errs, err)
	}
	calendar, err := reports.LoadCalendar(s.Calendar)
	return calendar, errors.Join(append(errs, err)...)
}

func (s *settings) mails() bool {
	return slices.Contains(s.Run, "reports") && s.mailConfig().URL != ""
}

// checkSecrets looks at the key and the mail server's password where it can. systemd
// shows both to the server alone: what cannot be read here is a warning, and the mail
// settings are looked at without the password.
func (s *settings) checkSecrets() (warnings []error, _ error) {
	_, err := readKey(s.keyPath())
	if _, unread := errors.AsType[*fs.PathError](err); unread {
		if s.KeyFile != "" {
			warnings = append(warnings, fmt.Errorf("key_file: cannot be read here; where it is not there a server makes it: %w", err))
		}
		err = nil
	}
	if s.SMTP.PasswordFile != "" && s.mails() {
		if _, err := os.ReadFile(s.SMTP.PasswordFile); err != nil {
			warnings = append(warnings, fmt.Errorf("smtp.password_file: cannot be read here; a server that cannot does not start: %w", err))
			s.SMTP.PasswordFile = ""
		}
	}
	return warnings, err
}

// blindPlans are the activities that reach a year whose holidays are not known, as one
// of a whole school year does when it begins. They count; their reports stop there
// until somebody brings the calendar.
func (s *settings) blindPlans(calendar *reports.Calendar) (warnings []error) {
	for _, a := range s.activities {
		if _, err := reports.PlannedDays(a, calendar, a.LastDay); err != nil {
			warnings = append(warnings, fmt.Errorf("no reports from that year on: %w", err))
		}
	}
	return warnings
}
