package main

import (
	"bytes"
	"fmt"
	"mime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
	"github.com/xuri/excelize/v2"
)

func (b *bureau) subject(m mailtest.Mail) string {
	b.t.Helper()
	subject, err := new(mime.WordDecoder).DecodeHeader(b.header(m).Get("Subject"))
	if err != nil {
		b.t.Fatal(err)
	}
	return subject
}

// Schools get their own part of their region's report, on the same days, once each,
// from the smallest region that is told; also where one address is told of several,
// two processes are at it, and a school's server is away for a while.
func TestReportsToSchools(t *testing.T) {
	t.Parallel()
	eachPair(t, reportsToSchools)
}

func reportsToSchools(t *testing.T, p pair) {
	b := newBureauOn(t, p, func(stage mailtest.Stage, recipient string, try int) string {
		switch {
		case stage == mailtest.Recipient && recipient == "two@school.test" && try == 1:
			return "451 4.3.0 later"
		case stage == mailtest.Recipient && recipient == "gone@school.test":
			return "550 5.1.1 no such user"
		}
		return mailtest.Fine
	})
	plan := &b.activity.Report
	plan.Recipients[341800] = []string{"city@school.test"}
	plan.Schools = map[canyu.SchoolCode][]string{
		3418020001: {"one@school.test", "a@school.test"}, // the bureau's own address too
		3418020002: {"two@school.test", "one@school.test", "gone@school.test"},
		3418250001: {"jingde@school.test"}, // its county is told nothing: from the city's
		3418020009: {"nobody@school.test"}, // not in the roster
	}
	archive, ledger := b.engines()
	processes := []*reports.Scheduler{b.scheduler(), {Sender: b.sender(archive, ledger, "two")}}
	for _, now := range b.week(30 * time.Minute) {
		b.clock.Store(now.Unix())
		if hm := now.In(b.activity.Zone).Format("15:04"); hm == "12:00" && b.activity.Open(now) == nil {
			b.join(2, 3418020001)
		}
		for _, s := range processes {
			b.tick(s)
		}
	}
	var got, want []string
	for _, m := range b.server.Mails() {
		date, err := b.header(m).Date()
		if err != nil {
			t.Fatal(err)
		}
		_, about, _ := strings.Cut(b.subject(m), "】")
		about, _, _ = strings.Cut(about, " ")
		got = append(got, date.In(b.activity.Zone).Format("01-02 15:04 ")+m.To+" "+about)
	}
	for i, day := range []string{"04-01", "04-05", "04-06", "04-07", "04-10"} {
		later := " 16:30 "
		if i == 0 {
			later = " 17:00 "
		}
		want = append(want, day+" 16:30 a@school.test 宣州区", day+" 16:30 a@school.test 宣州区第一小学", day+" 16:30 city@school.test 宣城市",
			day+" 16:30 one@school.test 宣州区第一小学", day+" 16:30 one@school.test 宣州区第二小学", day+" 16:30 jingde@school.test 旌德县第一小学", day+later+"two@school.test 宣州区第二小学")
	}
	slices.Sort(got)
	slices.Sort(want)
	b.want(got, want...)
	ids := make(map[string]bool)
	for _, m := range b.server.Mails() {
		ids[b.header(m).Get("Message-ID")] = true
	}
	if len(ids) != len(want) {
		t.Errorf("%d Message-IDs for %d mails", len(ids), len(want))
	}
	b.checkLetter()
	lines, err := processes[0].Alarms(t.Context(), b.at("04-01 16:31"))
	if err != nil || !slices.ContainsFunc(lines, func(l reports.Line) bool { return l.Standing == reports.Unplaced && l.School == 3418020009 }) ||
		!slices.ContainsFunc(lines, func(l reports.Line) bool { return l.Standing == reports.Rejected && l.Region == county }) {
		t.Errorf("nothing is said of the school without a report, or the address that is gone: %v, %v", lines, err)
	}
}

// checkLetter holds a school's mail of 5 April against the frozen report.
func (b *bureau) checkLetter() {
	b.t.Helper()
	i := slices.IndexFunc(b.server.Mails(), func(m mailtest.Mail) bool {
		return m.To == "one@school.test" && strings.Contains(b.subject(m), "第一小学 4月5日")
	})
	m := b.server.Mails()[i]
	text := plain(b.t, m)
	for _, want := range []string{"宣州区第一小学应参与学生 50 人，已参与 10 人，参与率 20.0%", "三年级1班\n  人数 50 · 已参与 10 · 参与率 20.0%\n  还差 40 人", "一年级1班\n  人数 40 · 已参与 0 · 参与率 0%\n  鼓励参与", "第 1 版"} {
		if !strings.Contains(text, want) {
			b.t.Errorf("the letter does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "第二小学") || strings.Contains(string(m.Data), "3418020002") {
		b.t.Error("the letter tells of another school")
	}
	book, err := excelize.OpenReader(bytes.NewReader(workbookOf(b.t, m.Data)))
	if err != nil {
		b.t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("班级")
	if err != nil || fmt.Sprint(book.GetSheetList()) != "[汇总 班级 留言]" || len(rows) != 3 || fmt.Sprint(rows[2][3:7]) != "[3 1 50 10]" {
		b.t.Errorf("the workbook has %v and %v, %v", book.GetSheetList(), rows, err)
	}
}

// A correction goes to the schools that it is about, and to one that has had nothing yet.
func TestReportsCorrectedToSchools(t *testing.T) {
	t.Parallel()
	away := true
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		if stage == mailtest.Recipient && recipient == "two@school.test" && away {
			return "451 4.3.0 later"
		}
		return mailtest.Fine
	})
	b.activity.Report.Recipients[otherCounty] = []string{"b@school.test"}
	b.activity.Report.Schools = map[canyu.SchoolCode][]string{3418020001: {"one@school.test"}, 3418020002: {"two@school.test"}, 3418250001: {"jingde@school.test"}}
	s := b.scheduler()
	b.at("04-01 16:30")
	b.tick(s)
	b.at("04-01 12:00")
	b.join(3, 3418020001)
	away = false
	b.at("04-01 17:00")
	if r, err := s.Correct(t.Context(), b.activity, county, b.activity.FirstDay); err != nil || r.Outcome != reports.Delivered {
		t.Fatalf("%+v, %v", r, err)
	}
	b.at("04-01 17:30")
	b.join(3, 3418020001)
	b.at("04-01 18:00")
	if r, err := s.Correct(t.Context(), b.activity, county, b.activity.FirstDay); err != nil || r.Outcome != reports.Delivered {
		t.Fatalf("%+v, %v", r, err)
	}
	var got []string
	for _, state := range b.states() {
		if fields := strings.Fields(state); !strings.HasPrefix(fields[2], "b@") && !strings.HasPrefix(fields[2], "jingde") {
			got = append(got, strings.Join(fields[1:4], " "))
		}
	}
	b.want(got, "r1 a@school.test sent", "r1 one@school.test sent", "r1 two@school.test failed",
		"r2 a@school.test sent", "r2 one@school.test sent", "r2 two@school.test sent", "r3 a@school.test sent", "r3 one@school.test sent")
	var corrected []string
	for _, m := range b.server.Mails() {
		if m.To == "one@school.test" {
			_, after, _ := strings.Cut(plain(t, m), "宣州区第一小学：学生 ")
			after, _, _ = strings.Cut(after, "\n")
			corrected = append(corrected, after)
		}
	}
	b.want(corrected, "", "0 → 3", "3 → 6")
}

// However many schools there are, each bureau has its report before any of them.
func TestReportsBureausFirst(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.activity.Report.Schools = make(map[canyu.SchoolCode][]string)
	var entries []canyu.RosterEntry
	for i := range 40 {
		region, code := canyu.Region(341701+i/2), canyu.SchoolCode(3417000001+i)
		entries = append(entries, canyu.RosterEntry{Region: region, School: code, Name: fmt.Sprintf("第%d小学", i), Grade: 3, Class: 1, Enrolled: 40})
		b.activity.Report.Recipients[region] = []string{fmt.Sprintf("bureau%d@school.test", i/2)}
		b.activity.Report.Schools[code] = []string{fmt.Sprintf("head%d@school.test", i)}
	}
	roster, err := canyu.NewRoster(entries)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.archive.ImportRoster(t.Context(), roster); err != nil {
		t.Fatal(err)
	}
	b.at("04-01 16:30")
	b.tick(b.scheduler())
	mails := b.server.Mails()
	if len(mails) != 61 {
		t.Fatalf("%d mails, want 21 to bureaus and 40 to schools", len(mails))
	}
	for i, m := range mails {
		if strings.HasPrefix(m.To, "head") != (i >= 21) {
			t.Errorf("mail %d goes to %s", i+1, m.To)
		}
	}
}
