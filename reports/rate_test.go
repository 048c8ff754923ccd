package reports_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/xuri/excelize/v2"
)

// A region that lacks one pupil of 40,000 is complete in no form; a rate that is a
// round number stays one.
func TestReportRatesAreCut(t *testing.T) {
	t.Parallel()
	a, first := qingming(t), day(t, "2017-04-01")
	for _, c := range []struct {
		classes, enrolled, missing int // missing in one class
		text, book, table          string
	}{
		{50, 800, 0, "100%", "100.00%", "1.0000"},
		{50, 800, 1, "99.9%", "99.99%", "0.9987"},
		{1, 100, 71, "29.0%", "29.00%", "0.2900"},
		{1, 3, 1, "66.6%", "66.66%", "0.6666"},
	} {
		var entries []canyu.RosterEntry
		var us []canyu.Rollup
		for n := range c.classes {
			class := canyu.Class{School: 3418020001, Grade: 3, Number: uint16(n + 1)}
			entries = append(entries, canyu.RosterEntry{Region: 341802, School: class.School, Name: "宣州区第一小学", Grade: class.Grade, Class: class.Number, Enrolled: c.enrolled})
			count := c.enrolled
			if n == 0 {
				count -= c.missing
			}
			us = append(us, canyu.Rollup{Class: class, Role: canyu.Student, Day: first, Participants: count, Submissions: count})
		}
		roster, err := canyu.NewRoster(entries)
		if err != nil {
			t.Fatal(err)
		}
		r, err := reports.Compute(a, calendar(t), roster, us, nil, nil, 341802, first, reports.DueAt(a, first))
		if err != nil {
			t.Fatal(err)
		}
		var text, book, table bytes.Buffer
		if err := errors.Join(r.Text(&text, ""), r.Workbook(&book, ""), r.CSV(&table, "")); err != nil {
			t.Fatal(err)
		}
		f, err := excelize.OpenReader(&book)
		if err != nil {
			t.Fatal(err)
		}
		summary, err1 := f.GetCellValue("汇总", "B8")
		school, err2 := f.GetCellValue("学校", "G2")
		if err := errors.Join(err1, err2, f.Close()); err != nil {
			t.Fatal(err)
		}
		if want := "参与率 " + c.text + "（"; !strings.Contains(text.String(), want) {
			t.Errorf("%d missing: the text lacks %q:\n%s", c.missing, want, text.String())
		}
		line := strings.Split(table.String(), "\r\n")[1]
		check(t, []string{summary, school, line[strings.LastIndex(line, ",")+1:]}, c.book, c.book, c.table)
	}
}

// A school of which nobody must take part is told of without a target: the schools
// add up to what is said of the region, as in the other forms.
func TestReportOfSchoolsWithoutRequiredGrades(t *testing.T) {
	t.Parallel()
	entry := func(school canyu.SchoolCode, grade uint8) canyu.RosterEntry {
		return canyu.RosterEntry{Region: 341802, School: school, Name: "宣州区小学", Grade: grade, Class: 1, Enrolled: 40}
	}
	first := day(t, "2017-04-01")
	for _, c := range []struct {
		name     string
		required []uint8
		grades   []uint8 // of one school each
		want     []string
		done     int
	}{
		{"beside others", []uint8{3}, []uint8{1, 3}, []string{"参与率 –\n  在校人数 40/40 ", "参与率 100%\n  应参与 40/40 "}, 1},
		{"alone", []uint8{3}, []uint8{1, 2}, []string{"参与率 100%\n  在校人数 40/40 ", "参与率 100%\n  在校人数 40/40 "}, 0},
		{"of an activity for all", nil, []uint8{1, 3}, []string{"参与率 100%\n  应参与 40/40 ", "参与率 100%\n  应参与 40/40 "}, 2},
	} {
		a := qingming(t)
		a.RequiredGrades = c.required
		var entries []canyu.RosterEntry
		var us []canyu.Rollup
		for i, grade := range c.grades {
			school := canyu.SchoolCode(3418020001 + i)
			entries = append(entries, entry(school, grade))
			us = append(us, rollup(school, grade, canyu.Student, first, 40, 40))
		}
		roster, err := canyu.NewRoster(entries)
		if err != nil {
			t.Fatal(err)
		}
		r, err := reports.Compute(a, calendar(t), roster, us, nil, nil, 341802, first, reports.DueAt(a, first))
		if err != nil {
			t.Fatal(err)
		}
		var text, html bytes.Buffer
		if err := errors.Join(r.Text(&text, ""), r.HTML(&html, "")); err != nil {
			t.Fatal(err)
		}
		_, rows, _ := strings.Cut(text.String(), "3418020001 ")
		one, two, _ := strings.Cut(rows, "3418020002 ")
		for i, row := range []string{one, two} {
			if !strings.Contains(row, c.want[i]) {
				t.Errorf("%s: the school's row lacks %q:\n%s", c.name, c.want[i], row)
			}
		}
		if n := strings.Count(html.String(), `<b class="done"`); n != c.done {
			t.Errorf("%s: %d schools are done, want %d", c.name, n, c.done)
		}
	}
}
