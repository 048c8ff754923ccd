package main

import (
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

func (b *bureau) enrol(entries ...canyu.RosterEntry) {
	b.t.Helper()
	roster, err := canyu.NewRoster(entries)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.archive.ImportRoster(b.t.Context(), roster); err != nil {
		b.t.Fatal(err)
	}
}

// correct corrects the newest report by hand and returns what the mail says of it.
func (b *bureau) correct(s *reports.Scheduler, region canyu.Region, date string) []string {
	b.t.Helper()
	before := len(b.server.Mails())
	r, err := s.Correct(b.t.Context(), b.activity, region, b.day(date))
	if err != nil {
		b.t.Fatal(err)
	}
	told := []string{string(r.Outcome)}
	for _, m := range b.server.Mails()[before:] {
		text := plain(b.t, m)
		_, changes, _ := strings.Cut(text, "变化如下：\n")
		changes, _, _ = strings.Cut(changes, "\n\n")
		sentence := strings.Split(text, "\n")[4]
		told = append(append(told, sentence), strings.Split(strings.ReplaceAll(changes, "  ", ""), "\n")...)
	}
	return told
}

// An enrolment that was a slip, a school that is another county's and pupils who change
// classes are corrected by hand, each with what has changed; no pupil stands in two
// counties, and the next report says why some are gone.
func TestReportsCorrectTheRoster(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.activity.Report.Recipients[otherCounty] = []string{"b@school.test"}
	s := b.scheduler()
	class := func(region canyu.Region, school canyu.SchoolCode, name string, grade uint8, number uint16, enrolled int) canyu.RosterEntry {
		return canyu.RosterEntry{Region: region, School: school, Name: name, Grade: grade, Class: number, Enrolled: enrolled}
	}
	first := func(number uint16, enrolled int) canyu.RosterEntry {
		return class(county, 3418020001, "宣州区第一小学", 3, number, enrolled)
	}
	b.at("04-01 09:00")
	b.join(40, 3418020001)
	b.join(20, 3418020002)
	b.at("04-01 16:30")
	b.tick(s)

	b.enrol(first(1, 40), class(county, 3418020001, "宣州区第一小学", 1, 1, 40))
	b.want(b.correct(s, county, "2017-04-01"), "delivered", "宣州区应参与学生 90 人，已参与 60 人，参与率 66.6%（目标 100%）。",
		"宣州区第一小学：在校人数 90 → 80", "宣州区第一小学：应参与 50 → 40")
	b.want(b.correct(s, county, "2017-04-01"), "nothing to correct: the numbers are the same")

	b.enrol(first(1, 39), first(2, 1), class(county, 3418020001, "宣州区第一小学", 1, 1, 40))
	b.want(b.correct(s, county, "2017-04-01"), "delivered", "宣州区应参与学生 90 人，已参与 60 人，参与率 66.6%（目标 100%）。",
		"宣州区第一小学：2 个班的人数有变动")

	b.enrol(class(otherCounty, 3418020002, "宣州区第二小学", 3, 1, 50))
	b.want(b.correct(s, county, "2017-04-01"), "delivered", "宣州区应参与学生 40 人，已参与 40 人，参与率 100%（目标 100%）。",
		"宣州区第二小学：学生 20 → 0", "宣州区第二小学：在校人数 50 → 0", "宣州区第二小学：应参与 50 → 0")
	b.want(b.correct(s, otherCounty, "2017-04-01"), "delivered", "旌德县应参与学生 80 人，已参与 20 人，参与率 25.0%（目标 100%）。",
		"宣州区第二小学：学生 0 → 20", "宣州区第二小学：在校人数 0 → 50", "宣州区第二小学：应参与 0 → 50")
}

// A report after the roster has moved a school says so on both sides.
func TestReportsOfOtherSchools(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.activity.Report.Correct = true
	b.activity.FirstDay = b.day("2017-03-31")
	b.activity.Report.Recipients[otherCounty] = []string{"b@school.test"}
	s := b.scheduler()
	b.at("03-31 09:00")
	b.join(20, 3418020002)
	b.at("03-31 16:30")
	b.tick(s)
	b.at("04-01 16:30")
	b.tick(s)
	b.enrol(canyu.RosterEntry{Region: otherCounty, School: 3418020002, Name: "宣州区第二小学", Grade: 3, Class: 1, Enrolled: 50})
	b.at("04-05 16:30")
	b.tick(s)
	mails := b.server.Mails()
	if len(mails) != 6 {
		t.Errorf("%d mails, want three to each county: a school that moved is no late data", len(mails))
	}
	for to, want := range map[string]string{"a@school.test": "上一份报告中的 1 所学校已不在本区划的花名册", "b@school.test": "1 所学校新列入本区划"} {
		for i, m := range mails {
			if m.To == to && strings.Contains(plain(t, m), want) != (i >= 4) {
				t.Errorf("mail %d to %s:\n%s", i, to, plain(t, m))
			}
		}
	}
}
