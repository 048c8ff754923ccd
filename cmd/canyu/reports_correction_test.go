package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
)

// Paper lists that come in late, minute by minute: the newest report is corrected at
// the next report hour and no sooner, once, by one of two processes, and retried like
// any other; what pupils do after the report's hour is corrected by nobody.
func TestReportsCorrectedByThemselves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		correct bool
		want    []string
	}{
		{"manual", false, []string{"04-01 16:30 r1", "04-05 16:30 r1", "04-06 16:30 r1", "04-07 16:30 r1", "04-10 16:30 r1"}},
		{"auto", true, []string{"04-01 16:30 r1", "04-05 16:30 r1", "04-06 16:30 r1", "04-06 16:33 r2", "04-07 16:30 r1", "04-10 16:30 r1", "04-11 16:30 r2", "04-12 16:30 r3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t, func(stage mailtest.Stage, _ string, try int) string {
				if c.correct && stage == mailtest.Recipient && (try == 3 || try == 5) {
					return "451 4.3.0 later" // to the first correction; the fourth is a report
				}
				return mailtest.Fine
			})
			b.activity.Report.Correct = c.correct
			archive, ledger := b.engines()
			processes := []*reports.Scheduler{b.scheduler(), {Sender: b.sender(archive, ledger, "two")}}
			lists := map[string]string{"04-06 10:00": "04-03 09:00", "04-11 09:00": "04-02 20:00", "04-11 18:00": "04-02 21:00"} // in on: of
			for now := b.at("03-31 00:00"); now.Before(time.Date(2017, 4, 14, 0, 0, 0, 0, b.activity.Zone)); now = now.Add(time.Minute) {
				if of := lists[now.Format("01-02 15:04")]; of != "" {
					b.at(of)
					b.join(3, 3418020001)
				}
				b.clock.Store(now.Unix())
				if now.Format("01-02 15:04") == "04-11 18:01" { // started again, they do not take it for the hour
					processes = []*reports.Scheduler{b.scheduler(), {Sender: b.sender(archive, ledger, "two")}}
				}
				if now.Format("15:04") == "23:59" && b.activity.Open(now) == nil {
					b.join(2, 3418020002)
				}
				for _, s := range processes {
					b.tick(s)
				}
			}
			var got []string
			for _, m := range b.server.Mails() {
				date, err := b.header(m).Date()
				if err != nil {
					t.Fatal(err)
				}
				text, revision := plain(t, m), "r1"
				if _, after, _ := strings.Cut(text, " · 第 "); !strings.HasPrefix(after, "1 ") {
					revision = "r" + after[:1]
					if !strings.Contains(text, "宣州区第一小学：学生 ") || strings.Contains(text, "补发") {
						t.Errorf("the correction of %s does not say what has changed, or that it is late:\n%s", date, text)
					}
				}
				got = append(got, date.In(b.activity.Zone).Format("01-02 15:04 ")+revision)
			}
			slices.Sort(got)
			b.want(got, c.want...)
		})
	}
}

// A correction is made of the newest report only, and not while somebody waits for it.
func TestReportsCorrectOnlyTheNewest(t *testing.T) {
	t.Parallel()
	refuse := true
	b := newBureau(t, func(stage mailtest.Stage, _ string, _ int) string {
		if stage == mailtest.Recipient && refuse {
			return "451 4.3.0 later"
		}
		return mailtest.Fine
	})
	b.activity.Report.Correct, b.activity.Report.Days = true, canyu.EveryDay
	s := b.scheduler()
	b.at("04-02 16:30")
	b.tick(s)
	b.at("04-01 09:00")
	b.join(3, 3418020001)
	b.at("04-03 16:30")
	b.tick(s) // the report of the 2nd still waits: the 3rd's is right without a correction
	refuse = false
	b.at("04-03 20:00")
	b.tick(s)
	b.at("04-04 16:30")
	b.tick(s)
	for _, state := range b.states() {
		if !strings.Contains(state, " r1 ") {
			t.Errorf("corrected: %s", state)
		}
	}
}

// A correction that somebody else made, by hand or as a process that is gone, and that
// meets a server which asks to come again, is retried by a scheduler that has long seen
// everybody with the report.
func TestReportsRetryTheCorrectionsOfOthers(t *testing.T) {
	t.Parallel()
	for name, correct := range map[string]func(b *bureau, other *reports.Scheduler) error{
		"by hand": func(b *bureau, other *reports.Scheduler) error {
			_, err := other.Correct(b.t.Context(), b.activity, county, b.day("2017-04-06"))
			return err
		},
		"by itself": func(b *bureau, other *reports.Scheduler) error { return other.Tick(b.t.Context(), b.now()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away := false
			b := newBureau(t, func(stage mailtest.Stage, _ string, _ int) string {
				if stage == mailtest.Recipient && away {
					return "451 4.7.1 greylisted"
				}
				return mailtest.Fine
			})
			b.activity.Report.Correct = true
			b.activity.Report.Days, b.activity.Report.List = canyu.ListedDays, []canyu.Day{b.day("2017-04-06")}
			archive, ledger := b.engines()
			s, other := b.scheduler(), &reports.Scheduler{Sender: b.sender(archive, ledger, "two")}
			b.at("04-06 16:30")
			b.tick(s)
			b.at("04-06 16:31")
			b.tick(s)
			b.tick(other)
			b.at("04-03 09:00")
			b.join(5, 3418020001)
			b.at("04-07 16:30")
			away = true
			if err := correct(b, other); err != nil {
				t.Fatal(err)
			}
			b.tick(s)
			away = false
			for range 15 {
				b.clock.Add(60)
				b.tick(s)
			}
			if states := b.states(); len(states) != 2 || !strings.Contains(states[1], "r2 a@school.test sent 2 ") {
				t.Errorf("deliveries\n%s", strings.Join(states, "\n"))
			}
		})
	}
}
