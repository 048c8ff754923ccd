package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
)

// An address that was taken out of the configuration is not tried any more, and nobody
// is alarmed about it; put in again, it gets what it missed.
func TestReportsRecipientRemoved(t *testing.T) {
	t.Parallel()
	away := true
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		if stage == mailtest.Recipient && recipient == "typo@school.test" && away {
			return "450 4.1.2 unknown domain"
		}
		return mailtest.Fine
	})
	b.activity.Report.Recipients[county] = []string{"a@school.test", "typo@school.test"}
	b.at("04-01 16:30")
	b.tick(b.scheduler())
	b.activity.Report.Recipients[county] = []string{"a@school.test"}
	b.clock.Add(3600)
	s := b.scheduler()
	b.tick(s)
	b.want(b.states(), "04-01 r1 a@school.test sent 1 2.0.0 queued as 1", "04-01 r1 typo@school.test failed 1 no longer a recipient")
	b.want(b.alarms(s))
	b.sends(s.Send, reports.Nothing)
	away = false
	b.sends(s.Resend, reports.Delivered)
	b.want(b.states(), "04-01 r1 a@school.test sent 2 2.0.0 queued as 1", "04-01 r1 typo@school.test failed 1 no longer a recipient")
	b.activity.Report.Recipients[county] = []string{"a@school.test", "typo@school.test"}
	b.sends(s.Send, reports.Delivered)
	b.want(b.states(), "04-01 r1 a@school.test sent 2 2.0.0 queued as 1", "04-01 r1 typo@school.test sent 1 2.0.0 queued as 1")
}

// An address that was refused for good is an alarm until it is taken out, or until the
// one in its place has the report: a bureau's and a school's alike.
func TestReportsRecipientCorrected(t *testing.T) {
	t.Parallel()
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		if stage == mailtest.Recipient && strings.HasPrefix(recipient, "typo") {
			return "550 5.1.1 no such user"
		}
		return mailtest.Fine
	})
	plan := &b.activity.Report
	plan.Schools = map[canyu.SchoolCode][]string{3418020001: {"typo@head.test"}, 3418020002: {"two@head.test"}}
	plan.Recipients[county] = []string{"a@school.test", "typo@school.test"}
	s := b.scheduler()
	b.at("04-01 16:30")
	b.tick(s)
	b.want(b.alarms(s), "04-01 rejected")
	b.sends(s.Send, reports.Refused)
	plan.Recipients[county] = []string{"a@school.test", "right@school.test"}
	plan.Schools[3418020001] = []string{"right@head.test"}
	b.want(b.alarms(s), "04-01 rejected") // right has nothing yet
	b.sends(s.Send, reports.Delivered)
	b.want(b.alarms(s))
	b.sends(s.Send, reports.Nothing)
	if n := len(b.server.Mails()); n != 4 {
		t.Errorf("%d mails, want one to each address that there is", n)
	}
	plan.Recipients[county] = []string{"a@school.test", "typo@school.test"}
	b.want(b.alarms(s), "04-01 rejected")
	plan.Recipients[county] = []string{"a@school.test"}
	b.want(b.alarms(s))
}

func (b *bureau) alarms(s *reports.Scheduler) []string {
	b.t.Helper()
	lines, err := s.Alarms(b.t.Context(), b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	var alarms []string
	for _, l := range lines {
		alarms = append(alarms, fmt.Sprint(l.Day.String()[5:], " ", l.Standing))
	}
	return alarms
}

// sends does what Send, Resend or Correct does, for the first day.
func (b *bureau) sends(send func(context.Context, *canyu.Activity, canyu.Region, canyu.Day) (reports.Result, error), want reports.Outcome) {
	b.t.Helper()
	if r, err := send(b.t.Context(), b.activity, county, b.activity.FirstDay); err != nil || r.Outcome != want {
		b.t.Errorf("%q, %v, want %q", r.Outcome, err, want)
	}
}

// The log says of every mail whether it was delivered, and if not why, but not to whom.
func TestReportsNotDeliveredAreLogged(t *testing.T) {
	t.Parallel()
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		switch {
		case stage == mailtest.Recipient && recipient == "busy@school.test":
			return "451 4.7.1 <busy@school.test>: greylisted, dear Zhang"
		case stage == mailtest.Recipient && recipient == "one@head.test":
			return "550 no such user Zhang"
		}
		return mailtest.Fine
	})
	b.activity.Report.Recipients[county] = []string{"a@school.test", "busy@school.test"}
	b.activity.Report.Schools = map[canyu.SchoolCode][]string{3418020001: {"one@head.test"}}
	s := b.scheduler()
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	b.at("04-01 16:30")
	b.tick(s)
	var err error
	if s.Mailer, err = reports.NewMailer(reports.MailConfig{URL: "smtp+plain://127.0.0.1:1", From: "report@example.org"}); err != nil {
		t.Fatal(err)
	}
	b.clock.Add(60)
	b.tick(s)
	var got []string
	for line := range strings.Lines(log.String()) {
		if _, about, found := strings.Cut(line, " level="); found && strings.Contains(about, "state=") {
			got = append(got, about)
		}
	}
	slices.Sort(got[:2]) // at once
	about := "activity=" + b.activity.ID + " region=341802 day=2017-04-01 revision=1 "
	for i, want := range []string{
		`INFO msg="report mailed" ` + about + "state=sent attempt=1\n",
		`WARN msg="report not delivered: canyu report status tells more" ` + about + "state=retrying attempt=1 reason=\"451 4.7.1\"\n",
		`WARN msg="report not delivered: canyu report status tells more" ` + about + "school=3418020001 state=failed attempt=1 reason=550\n",
		`WARN msg="report not delivered: canyu report status tells more" ` + about + "state=retrying attempt=2 reason=\"dial tcp 127.0.0.1:1: ",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("line %d is not %q:\n%s", i+1, want, log.String())
		}
	}
	if strings.Contains(log.String(), "@") || strings.Contains(log.String(), "Zhang") {
		t.Errorf("the log names somebody:\n%s", log.String())
	}
}
