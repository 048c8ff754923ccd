package main

// Reports on real engines: what needs an archive and a ledger, and so cannot stand
// beside the code in reports.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
	"github.com/canyu/canyu/rollup/clickhousearchive"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

const county, otherCounty = canyu.Region(341802), canyu.Region(341825)

// bureau is one installation with a clock of its own, on embedded engines unless
// a test asks for others.
type bureau struct {
	t        testing.TB
	pair     pair
	dir      string
	archive  canyu.Archive
	ledger   canyu.Ledger
	calendar *reports.Calendar
	activity *canyu.Activity
	server   *mailtest.Server
	clock    atomic.Int64
	people   uint64
	patience time.Duration // with the mail server: long, as a slow machine is no mail lost
}

func newBureau(t testing.TB, behave func(mailtest.Stage, string, int) string) *bureau {
	t.Helper()
	return newBureauOn(t, pair{}, behave)
}

func newBureauOn(t testing.TB, p pair, behave func(mailtest.Stage, string, int) string) *bureau {
	t.Helper()
	b := &bureau{t: t, pair: p, dir: t.TempDir(), server: mailtest.New(t, behave), patience: time.Minute}
	b.archive, b.ledger = b.engines()
	var err error
	if b.calendar, err = reports.LoadCalendar(""); err != nil {
		t.Fatal(err)
	}
	b.activity = &canyu.Activity{
		ID: fmt.Sprintf("qingming-%x", rand.Uint32()), Title: canyu.Text{"zh-Hans": "网上祭英烈"}, Zone: b.zone("Asia/Shanghai"),
		FirstDay: b.day("2017-04-01"), LastDay: b.day("2017-04-07"), Steps: []string{"bow"}, RequiredGrades: []uint8{3},
		Roles: []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher}, Identify: canyu.BySeat,
		Report: canyu.ReportPlan{Hour: 16, Minute: 30, Days: canyu.WorkingDays, Recipients: map[canyu.Region][]string{county: {"a@school.test"}}},
	}
	roster, err := canyu.NewRoster([]canyu.RosterEntry{
		{Region: county, School: 3418020001, Name: "宣州区第一小学", Grade: 3, Class: 1, Enrolled: 50},
		{Region: county, School: 3418020001, Name: "宣州区第一小学", Grade: 1, Class: 1, Enrolled: 40},
		{Region: county, School: 3418020002, Name: "宣州区第二小学", Grade: 3, Class: 1, Enrolled: 50},
		{Region: otherCounty, School: 3418250001, Name: "旌德县第一小学", Grade: 3, Class: 1, Enrolled: 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.archive.ImportRoster(t.Context(), roster); err != nil {
		t.Fatal(err)
	}
	return b
}

// engines opens archive and ledger as one more process would.
func (b *bureau) engines() (canyu.Archive, canyu.Ledger) {
	b.t.Helper()
	var archive canyu.Archive
	var ledger canyu.Ledger
	var err error
	if b.pair.dsn == "" {
		archive, err = embeddedarchive.Open(b.t.Context(), filepath.Join(b.dir, "archive.db"))
	} else {
		archive, err = clickhousearchive.Open(b.t.Context(), b.pair.dsn)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { archive.Close() })
	if b.pair.dsn == "" {
		ledger, err = embeddedledger.Open(b.t.Context(), b.dir)
	} else {
		ledger, err = redisledger.Open(b.t.Context(), os.Getenv("CANYU_TEST_REDIS"))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { ledger.Close() })
	return archive, ledger
}

func (b *bureau) zone(name string) *time.Location {
	b.t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return z
}

func (b *bureau) day(s string) canyu.Day {
	b.t.Helper()
	d, err := canyu.ParseDay(s)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// at sets the clock: "04-05 16:30" of 2017 in the activity's zone.
func (b *bureau) at(s string) time.Time {
	b.t.Helper()
	t, err := time.ParseInLocation("2006-01-02 15:04", "2017-"+s, b.activity.Zone)
	if err != nil {
		b.t.Fatal(err)
	}
	b.clock.Store(t.Unix())
	return t
}

func (b *bureau) now() time.Time { return time.Unix(b.clock.Load(), 0) }

// sender is one of its own for each process.
func (b *bureau) sender(archive canyu.Archive, ledger canyu.Ledger, name string) *reports.Sender {
	b.t.Helper()
	mailer, err := reports.NewMailer(reports.MailConfig{URL: "smtp+plain://" + b.server.Address, From: "report@example.org", Timeout: b.patience})
	if err != nil {
		b.t.Fatal(err)
	}
	return &reports.Sender{Archive: archive, Ledger: ledger, Calendar: b.calendar, Mailer: mailer, Activities: []*canyu.Activity{b.activity},
		Holder: name, Now: b.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func (b *bureau) scheduler() *reports.Scheduler {
	return &reports.Scheduler{Sender: b.sender(b.archive, b.ledger, "one")}
}

// join lets n new pupils of grade 3 take part, at the clock's time.
func (b *bureau) join(n int, school canyu.SchoolCode) {
	b.t.Helper()
	class := canyu.Class{School: school, Grade: 3, Number: 1}
	var facts []canyu.Recorded
	for range n {
		b.people++
		facts = append(facts, canyu.Recorded{
			Participation: canyu.Participation{Class: class, Role: canyu.Student, Participant: canyu.Participant(b.people), ID: b.people,
				At: b.now(), Day: b.activity.DayOf(b.now()), Message: "=1+1"},
			Outcome: canyu.Outcome{Counted: true, Ordinal: b.people}})
	}
	if err := b.archive.Store(b.t.Context(), b.activity.ID, facts); err != nil {
		b.t.Fatal(err)
	}
	if err := b.archive.Restate(b.t.Context(), b.activity.ID, []canyu.Class{class}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) tick(s *reports.Scheduler) {
	b.t.Helper()
	if err := s.Tick(b.t.Context(), b.now()); err != nil {
		b.t.Fatal(err)
	}
}

// got are the mails so far: when they were sent, by their Date, and to whom.
func (b *bureau) got() []string {
	b.t.Helper()
	var got []string
	for _, m := range b.server.Mails() {
		date, err := b.header(m).Date()
		if err != nil {
			b.t.Fatal(err)
		}
		got = append(got, date.In(b.activity.Zone).Format("01-02 15:04 ")+m.To)
	}
	slices.Sort(got)
	return got
}

func (b *bureau) header(m mailtest.Mail) mail.Header {
	b.t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		b.t.Fatal(err)
	}
	return parsed.Header
}

// states are the deliveries: recipient, state, attempts and the server's words.
func (b *bureau) states() []string {
	b.t.Helper()
	ds, err := b.archive.Deliveries(b.t.Context(), b.activity.ID, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	var states []string
	for _, d := range ds {
		states = append(states, fmt.Sprintf("%s r%d %s %s %d %s", d.Day.String()[5:], d.Revision, d.Recipient, d.State, d.Attempts, d.Answer))
	}
	return states
}

func (b *bureau) want(got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// week are the instants from 31 March to 10 April, every step.
func (b *bureau) week(step time.Duration) []time.Time {
	var ts []time.Time
	for t := b.at("03-31 00:00"); t.Before(b.at("04-11 00:00")); t = t.Add(step) {
		ts = append(ts, t)
	}
	return ts
}

// The week of the notice, minute by minute: Saturday the 1st is worked, the 2nd to
// the 4th are Qingming, the 8th and 9th a weekend, the 10th brings the final report.
func TestReportsOfTheWeek(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	s := b.scheduler()
	for _, now := range b.week(time.Minute) {
		b.clock.Store(now.Unix())
		// Two pupils at every noon and at every 23:59 of the activity, also on holidays.
		if hm := now.In(b.activity.Zone).Format("15:04"); (hm == "12:00" || hm == "23:59") && b.activity.Open(now) == nil {
			b.join(2, 3418020001)
		}
		b.tick(s)
	}
	b.want(b.got(), "04-01 16:30 a@school.test", "04-05 16:30 a@school.test", "04-06 16:30 a@school.test", "04-07 16:30 a@school.test", "04-10 16:30 a@school.test")

	frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, county)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	since := 0
	for _, f := range frozen {
		r, err := reports.Thaw(b.activity, f)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Total.Student
		since += c.Since
		numbers = append(numbers, fmt.Sprintf("%s r%d today %d since %d total %d final %v", r.Day, r.Revision, c.Today, c.Since, c.Total, r.Final()))
	}
	b.want(numbers,
		"2017-04-01 r1 today 2 since 2 total 2 final false",
		"2017-04-05 r1 today 2 since 16 total 18 final false",
		"2017-04-06 r1 today 2 since 4 total 22 final false",
		"2017-04-07 r1 today 2 since 4 total 26 final false",
		"2017-04-10 r1 today 0 since 2 total 28 final true")
	if since != 28 || b.people != 28 {
		t.Errorf("%d pupils took part, the mails told of %d: some fell between two mails", b.people, since)
	}
}

// Stopped over one report hour, the program makes up for it and says so.
func TestReportsAfterAMissedHour(t *testing.T) {
	t.Parallel()
	hours := []string{"04-01", "04-05", "04-06", "04-07", "04-10"}
	for _, missed := range hours {
		t.Run(missed, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t, nil)
			from, to := b.at(missed+" 16:00"), b.at(missed+" 18:10")
			s := b.scheduler()
			for _, now := range b.week(10 * time.Minute) {
				b.clock.Store(now.Unix())
				if now.Equal(to) {
					s = b.scheduler() // a new process
				}
				if now.Before(from) || !now.Before(to) {
					b.tick(s)
				}
			}
			var want []string
			for _, day := range hours {
				at := " 16:30"
				if day == missed {
					at = " 18:10"
				}
				want = append(want, day+at+" a@school.test")
			}
			b.want(b.got(), want...)
			for _, m := range b.server.Mails() {
				date, _ := b.header(m).Date()
				late := date.In(b.activity.Zone).Format("01-02") == missed
				if text := plain(t, m); strings.Contains(text, "补发") != late {
					t.Errorf("the mail of %s says late: %v, want %v", date, !late, late)
				}
			}
		})
	}
}

// Away over several report days: all are made up for, in order, and count on from each other.
func TestReportsAfterDaysAway(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.at("04-01 10:00")
	b.join(3, 3418020001)
	b.at("04-06 10:00")
	b.join(4, 3418020002)
	b.at("04-06 20:00")
	b.tick(b.scheduler())
	frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, county)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range frozen {
		r, err := reports.Thaw(b.activity, f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s as of %s since %d total %d", r.Day, r.AsOf.Format("01-02 15:04"), r.Total.Student.Since, r.Total.Student.Total))
	}
	b.want(got, "2017-04-01 as of 04-02 00:00 since 3 total 3", "2017-04-05 as of 04-06 00:00 since 0 total 3", "2017-04-06 as of 04-06 20:00 since 4 total 7")
	if n := len(b.server.Mails()); n != 3 {
		t.Errorf("%d mails, want 3", n)
	}
	// A program that is given last year's activity floods nobody.
	old := newBureau(t, nil)
	old.at("06-01 10:00")
	old.tick(old.scheduler())
	if n := len(old.server.Mails()); n != 0 {
		t.Errorf("%d mails about a time long gone", n)
	}
}

// Three processes on one archive and one ledger, one of them at it twice: one sends.
func TestReportsRace(t *testing.T) {
	t.Parallel()
	eachPair(t, reportsRace)
}

func reportsRace(t *testing.T, p pair) {
	b := newBureauOn(t, p, nil)
	b.activity.Report.Recipients[otherCounty] = []string{"b@school.test", "c@school.test"}
	b.activity.Report.Recipients[341800] = []string{"city@school.test"}
	processes := []*reports.Scheduler{b.scheduler()}
	for _, name := range []string{"two", "three"} {
		archive, ledger := b.engines()
		processes = append(processes, &reports.Scheduler{Sender: b.sender(archive, ledger, name)})
	}
	processes = append(processes, &reports.Scheduler{Sender: processes[0].Sender})
	for _, now := range b.week(30 * time.Minute) {
		b.clock.Store(now.Unix())
		var group sync.WaitGroup
		for _, s := range processes {
			group.Go(func() {
				if err := s.Tick(t.Context(), now); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	var want []string
	for _, day := range []string{"04-01", "04-05", "04-06", "04-07", "04-10"} {
		for _, to := range []string{"a", "b", "c", "city"} {
			want = append(want, day+" 16:30 "+to+"@school.test")
		}
	}
	b.want(b.got(), want...)
}

// Run looks at once, and ends when it is told to.
func TestReportsRun(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 10)
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		if stage == mailtest.Body {
			sent <- recipient
		}
		return mailtest.Fine
	})
	b.at("04-01 18:00")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := b.scheduler()
	go func() { ended <- s.Run(ctx) }()
	if to := <-sent; to != "a@school.test" {
		t.Errorf("sent to %s", to)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// What was under way when it was told is written down.
	b.want(b.states(), "04-01 r1 a@school.test sent 1 2.0.0 queued as 1")
	if err := (&reports.Scheduler{Sender: &reports.Sender{}}).Run(t.Context()); err == nil {
		t.Error("a scheduler without activities waits for nothing, silently")
	}
}

// plain is the mail's text without its encoding, as far as the tests look at it.
func plain(t testing.TB, m mailtest.Mail) string {
	t.Helper()
	part, err := firstPart(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return part
}
