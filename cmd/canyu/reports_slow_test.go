package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// slowMailer takes its time with some mails, and notes to whom and with which Date.
type slowMailer struct {
	reports.Mailer
	b    *bureau
	take func(to string) time.Duration

	mu    sync.Mutex
	mails []string
}

func (m *slowMailer) Mail(_ context.Context, l *reports.Mail) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, l.To+l.Date.Format(" 15:04"))
	m.b.clock.Add(int64(m.take(l.To).Seconds()))
	return "250 ok", nil
}

// However long a mail takes, all numbers are those of the hour; but the mails after it,
// and what is written down of them, have the time of their own.
func TestReportsFrozenBeforeMails(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	var entries []canyu.RosterEntry
	plan := &b.activity.Report
	for i := range 6 {
		region := canyu.Region(341721 + i)
		plan.Recipients[region] = []string{fmt.Sprintf("r%d@school.test", i)}
		entries = append(entries, canyu.RosterEntry{Region: region, School: canyu.SchoolCode(3417210001 + i*10000), Name: fmt.Sprintf("第%d小学", i), Grade: 3, Class: 1, Enrolled: 50})
	}
	roster, err := canyu.NewRoster(entries)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.archive.ImportRoster(t.Context(), roster); err != nil {
		t.Fatal(err)
	}
	s := b.scheduler()
	var once sync.Once
	m := &slowMailer{Mailer: s.Mailer, b: b}
	m.take = func(string) (long time.Duration) {
		once.Do(func() {
			for i := range 6 {
				b.join(1, canyu.SchoolCode(3417210001+i*10000))
			}
			long = 10 * time.Minute
		})
		return long
	}
	s.Mailer = m
	b.at("04-01 16:30")
	b.tick(s)
	if len(m.mails) != 7 || slices.ContainsFunc(m.mails[4:], func(mail string) bool { return !strings.HasSuffix(mail, " 16:40") }) {
		t.Errorf("mails %v, want all but those at once with the first one to be of 16:40", m.mails)
	}
	for region := range plan.Recipients {
		frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, region)
		if err != nil || len(frozen) != 1 {
			t.Fatalf("region %s: %d reports, %v", region, len(frozen), err)
		}
		r, err := reports.Thaw(b.activity, frozen[0])
		if err != nil || r.Total.Student.Total != 0 || r.AsOf.Format("15:04") != "16:30" {
			t.Errorf("region %s: %d pupils as of %s, %v", region, r.Total.Student.Total, r.AsOf, err)
		}
	}
	ds, err := b.archive.Deliveries(t.Context(), b.activity.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range ds {
		if at := d.At.In(b.activity.Zone).Format("15:04"); slices.Contains(m.mails[4:], d.Recipient+" 16:40") && at != "16:40" {
			t.Errorf("the delivery to %s is of %s: %v", d.Recipient, at, m.mails)
		}
	}
}

// No school's letter, however slow, keeps a bureau waiting, be it another activity's.
func TestReportsBureausOfAllActivitiesFirst(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	s := b.scheduler()
	other := *b.activity
	other.ID += "-other"
	b.activity.Report.Schools = map[canyu.SchoolCode][]string{3418020001: {"one@head.test"}, 3418020002: {"two@head.test"}}
	s.Activities = append(s.Activities, &other)
	m := &slowMailer{Mailer: s.Mailer, b: b, take: func(to string) time.Duration {
		if strings.HasSuffix(to, "head.test") {
			return 20 * time.Minute
		}
		return 0
	}}
	s.Mailer = m
	b.at("04-01 16:30")
	b.tick(s)
	if len(m.mails) != 4 || m.mails[0] != "a@school.test 16:30" || m.mails[1] != "a@school.test 16:30" {
		t.Errorf("mails %v, want those to bureaus first", m.mails)
	}
}
