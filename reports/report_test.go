package reports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/golang/freetype/truetype"
	"github.com/xuri/excelize/v2"
)

// county is a small one: two schools with pupils, one that is silent, one in the
// next county, and one without pupils.
func county(t testing.TB) *canyu.Roster {
	t.Helper()
	entry := func(region canyu.Region, school canyu.SchoolCode, name string, grade uint8, enrolled int) canyu.RosterEntry {
		return canyu.RosterEntry{Region: region, School: school, Name: name, Grade: grade, Class: 1, Enrolled: enrolled}
	}
	r, err := canyu.NewRoster([]canyu.RosterEntry{
		entry(341802, 3418020001, "宣州区第一小学", 1, 40), entry(341802, 3418020001, "宣州区第一小学", 3, 50),
		entry(341802, 3418020002, "=宣州区第二小学", 3, 30),
		entry(341802, 3418020003, "宣州区第三小学", 3, 20),
		entry(341802, 3418020004, "宣州区特殊学校", 3, 0),
		entry(341825, 3418250001, "旌德县第一小学", 3, 10),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rollup(school canyu.SchoolCode, grade uint8, role canyu.Role, day canyu.Day, participants, submissions int) canyu.Rollup {
	return canyu.Rollup{Class: canyu.Class{School: school, Grade: grade, Number: 1}, Role: role, Day: day, Participants: participants, Submissions: submissions}
}

func rollups(t testing.TB) []canyu.Rollup {
	first := day(t, "2017-04-01")
	return []canyu.Rollup{
		rollup(3418020001, 1, canyu.Student, first, 4, 5), rollup(3418020001, 3, canyu.Student, first, 10, 12),
		rollup(3418020001, 3, canyu.Student, first+2, 5, 5), rollup(3418020001, 3, canyu.Student, first+4, 35, 40),
		rollup(3418020001, 3, canyu.Parent, first+3, 7, 8), rollup(3418020001, 3, canyu.Teacher, first+4, 1, 1),
		rollup(3418020002, 3, canyu.Student, first+4, 29, 29), rollup(3418020002, 3, canyu.Student, first+5, 1, 1),
		rollup(3418250001, 3, canyu.Student, first+4, 10, 10),
	}
}

func build(t testing.TB, region canyu.Region, date string, frozen ...canyu.Frozen) *reports.Report {
	t.Helper()
	a := qingming(t)
	ms := []canyu.Message{
		{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 1}, Role: canyu.Student, At: time.Date(2017, 4, 4, 23, 50, 0, 0, time.UTC), Text: "=1+1"},
		{Class: canyu.Class{School: 3418020002, Grade: 3, Number: 1}, Role: canyu.Parent, At: time.Date(2017, 4, 5, 1, 0, 0, 0, time.UTC), Text: "<b>铭记\x01历史</b>"},
	}
	r, err := reports.Compute(a, calendar(t), county(t), rollups(t), frozen, ms, region, day(t, date), reports.DueAt(a, day(t, date)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func short(n *reports.Numbers) string {
	rate := func(r *float64) string {
		if r == nil {
			return "null"
		}
		return fmt.Sprintf("%.3f", *r)
	}
	return fmt.Sprintf("enrolled %d required %d/%d %s rate %s student %v parent %v teacher %v submissions %v",
		n.Enrolled, n.Required.Count, n.Required.Enrolled, rate(n.Required.Rate), rate(n.Rate), n.Student, n.Parent, n.Teacher, n.Submissions)
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestReportNumbers(t *testing.T) {
	t.Parallel()
	r := build(t, 341802, "2017-04-05")
	got := []string{short(&r.Total)}
	for i := range r.Schools {
		got = append(got, r.Schools[i].School.String()[6:]+" "+short(&r.Schools[i].Numbers))
	}
	// {today, since the 1st, total}: the 1st was the last report day.
	check(t, got,
		"enrolled 140 required 79/100 0.790 rate 0.593 student {64 69 83} parent {0 7 7} teacher {1 1 1} submissions {70 100}",
		"0001 enrolled 90 required 50/50 1.000 rate 0.600 student {35 40 54} parent {0 7 7} teacher {1 1 1} submissions {41 71}",
		"0002 enrolled 30 required 29/30 0.967 rate 0.967 student {29 29 29} parent {0 0 0} teacher {0 0 0} submissions {29 29}",
		"0003 enrolled 20 required 0/20 0.000 rate 0.000 student {0 0 0} parent {0 0 0} teacher {0 0 0} submissions {0 0}",
		"0004 enrolled 0 required 0/0 null rate null student {0 0 0} parent {0 0 0} teacher {0 0 0} submissions {0 0}")
	if r.WorkingDay == nil || !*r.WorkingDay || r.Revision != 1 || r.AsOf.Format(time.RFC3339) != "2017-04-05T16:30:00+08:00" {
		t.Errorf("head: %v %d %s", r.WorkingDay, r.Revision, r.AsOf)
	}
	if fmt.Sprint(r.Notes) != "[{silent_schools 1} {below_target 2}]" {
		t.Errorf("notes %v", r.Notes)
	}
	if fmt.Sprint(r.Schools[0].Classes) != "[{1 1 40 4} {3 1 50 50}]" {
		t.Errorf("classes %v", r.Schools[0].Classes)
	}
	if len(r.Days) != 5 || fmt.Sprint(r.Days[0]) != "{2017-04-01 14 0 0 0 17}" || fmt.Sprint(r.Days[3]) != "{2017-04-04 0 7 0 0 8}" {
		t.Errorf("days %v", r.Days)
	}
	first := build(t, 341802, "2017-04-01")
	if c := first.Total.Student; c != (reports.Count{Today: 14, Since: 14, Total: 14}) {
		t.Errorf("first report: %v", c)
	}
	final := build(t, 341802, "2017-04-10")
	if c := final.Total.Student; c != (reports.Count{Since: 0, Total: 84}) || !final.Final() || len(final.Days) != 7 {
		t.Errorf("final report: %v, %d days", c, len(final.Days))
	}
}

// A report counts on from what the last one said, not from when it was.
func TestReportCountsFromTheFrozen(t *testing.T) {
	t.Parallel()
	told := build(t, 341802, "2017-04-01")
	told.Schools[0].Student.Total = 12 // two pupils came on the 1st after the report
	body, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	r := build(t, 341802, "2017-04-05", canyu.Frozen{Activity: told.Activity, Region: 341802, Day: told.Day, Revision: 1, Body: body})
	if r.Total.Student.Since != 71 || r.Total.Parent.Since != 7 {
		t.Errorf("since the last report: %d students, %d parents, want 71, 7", r.Total.Student.Since, r.Total.Parent.Since)
	}
}

func TestReportLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		region canyu.Region
		want   []string
	}{
		{341802, nil},
		{341800, []string{"341802 79/100 of 4", "341825 10/10 of 1"}},
		{340000, []string{"341800 89/110 of 5"}},
	} {
		r := build(t, c.region, "2017-04-05")
		var got []string
		for _, p := range r.Regions {
			got = append(got, fmt.Sprintf("%s %d/%d of %d", p.Region, p.Required.Count, p.Required.Enrolled, p.Schools))
		}
		check(t, got, c.want...)
	}
	_, err := reports.Compute(qingming(t), calendar(t), county(t), nil, nil, nil, 110000, day(t, "2017-04-05"), time.Now())
	if !errors.Is(err, reports.ErrNoSchools) {
		t.Errorf("a region without schools: %v", err)
	}
	_, err = reports.Compute(qingming(t), calendar(t), county(t), nil, nil, nil, 341802, day(t, "2017-04-05"), time.Date(2017, 4, 4, 15, 59, 0, 0, time.UTC))
	if err == nil {
		t.Error("a report about tomorrow was made")
	}
}

// report.json as others read it: names and their order.
func TestReportJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := build(t, 341802, "2017-04-05").JSON(&b); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	head := `{"activity":"qingming-2017","region":"341802","day":"2017-04-05","working_day":true,"revision":1,"as_of":"2017-04-05T16:30:00+08:00",` +
		`"total":{"enrolled":140,"required":{"enrolled":100,"count":79,"rate":0.79},"rate":0.5928571428571429,` +
		`"student":{"today":64,"since_last_report":69,"total":83},"parent":{"today":0,"since_last_report":7,"total":7},` +
		`"teacher":{"today":1,"since_last_report":1,"total":1},"submissions":{"today":70,"total":100}},` +
		`"schools":[{"school":"3418020001","name":"宣州区第一小学","enrolled":90,"required":{"enrolled":50,"count":50,"rate":1},"rate":0.6,`
	if got := compact.String(); !strings.HasPrefix(got, head) {
		t.Errorf("report.json begins\n%s, want\n%s", got[:min(len(got), len(head))], head)
	}
	for _, want := range []string{`"classes":[{"grade":1,"class":1,"enrolled":40,"student":4},{"grade":3,`, `"enrolled":0,"required":{"enrolled":0,"count":0,"rate":null},"rate":null`} {
		if !strings.Contains(compact.String(), want) {
			t.Errorf("report.json lacks %s", want)
		}
	}
}

const wantText = `网上祭英烈 · 参与情况日报
宣州区 341802
2017年4月5日 星期三

宣州区应参与学生 100 人，已参与 79 人，参与率 79.0%（目标 100%）。
各年级共有学生 140 人，参与 83 人（59.2%）。

学生 83 (当日 64 · 较上次 69)
家长 7 (当日 0 · 较上次 7)
教师 1 (当日 1 · 较上次 1)
人次 100 (当日 70)

说明
· 1 所学校尚无学生参与。
· 应参与年级有 2 个班尚未全员参与。

3418020001 宣州区第一小学
  当日 35 · 较上次 40 · 累计 54 · 参与率 100%
  应参与 50/50 · 家长 7 · 教师 1
3418020002 =宣州区第二小学
  当日 29 · 较上次 29 · 累计 29 · 参与率 96.6%
  应参与 29/30 · 家长 0 · 教师 0 · 1 个班未达标
3418020003 宣州区第三小学
  当日 0 · 较上次 0 · 累计 0 · 参与率 0%
  应参与 0/20 · 家长 0 · 教师 0 · 1 个班未达标
3418020004 宣州区特殊学校
  当日 0 · 较上次 0 · 累计 0 · 参与率 –
  应参与 0/0 · 家长 0 · 教师 0

数据截至 2017年4月5日 16:30 · 时区 Asia/Shanghai (UTC+08:00) · 第 1 版
“较上次”为上一份报告之后新增的学生人数。参与率为应参与年级的参与率。
由 canyu（参与）生成。数字在发送前冻结，同一版本的各种格式完全一致。
`

func TestReportText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := build(t, 341802, "2017-04-05").Text(&b, ""); err != nil {
		t.Fatal(err)
	}
	if b.String() != wantText {
		t.Errorf("got\n%s\nwant\n%s", b.String(), wantText)
	}
}

func TestReportLanguages(t *testing.T) {
	t.Parallel()
	r := build(t, 341802, "2017-04-05")
	for lang, want := range map[string]string{
		"": "应参与学生 100 人", "zh-Hant": "應參與學生 100 人，已參與 79 人，參與率 79.0%（目標 100%）",
		"en": "In 宣州区 79 of 100 pupils in the required grades have taken part: 79.0% (target 100%).",
	} {
		var text, html bytes.Buffer
		if err := errors.Join(r.Text(&text, lang), r.HTML(&html, lang)); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{text.String(), html.String()} {
			if !strings.Contains(form, want) || strings.Contains(form, "%!") {
				t.Errorf("%s: lacks %q or is badly formatted:\n%s", lang, want, form)
			}
		}
	}
	check(t, []string{r.Subject(""), r.Subject("zh-Hant"), r.Subject("en"), build(t, 341802, "2017-04-10").Subject("")},
		"【网上祭英烈】宣州区 4月5日参与情况", "【網上祭英烈】宣州区 4月5日參與情況", "Online memorial: participation in 宣州区, 5/4", "【网上祭英烈】宣州区 全程参与情况")
	check(t, []string{r.FileName("")}, "宣州区_2017-04-05_网上祭英烈参与情况.xlsx")
}

// A mail client shows nothing that it would have to fetch, and no school's name is markup.
func TestReportHTML(t *testing.T) {
	t.Parallel()
	r := build(t, 341802, "2017-04-05")
	r.Schools[0].Name = `<img src="http://x">`
	var b bytes.Buffer
	if err := r.HTML(&b, ""); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"http:", "https:", "<img src=\"http", "<script", "url(", "<link"} {
		if strings.Contains(strings.ReplaceAll(b.String(), "&#34;http://x", ""), bad) {
			t.Errorf("report.html contains %s", bad)
		}
	}
}

func TestReportWorkbook(t *testing.T) {
	t.Parallel()
	r := build(t, 341802, "2017-04-05")
	var b, again bytes.Buffer
	if err := errors.Join(r.Workbook(&b, ""), r.Workbook(&again, "")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same report makes two workbooks")
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check(t, f.GetSheetList(), "汇总", "学校", "班级", "每日", "留言")
	for _, c := range []struct {
		sheet, cell, want string
		kind              excelize.CellType
	}{
		{"汇总", "B6", "100", excelize.CellTypeUnset},
		{"汇总", "B8", "79.00%", excelize.CellTypeUnset},
		{"学校", "C2", "宣州区第一小学", excelize.CellTypeInlineString},
		{"学校", "C3", "=宣州区第二小学", excelize.CellTypeInlineString},
		{"学校", "B3", "3418020002", excelize.CellTypeInlineString},
		{"学校", "D2", "90", excelize.CellTypeUnset},
		{"学校", "G3", "96.66%", excelize.CellTypeUnset},
		{"学校", "G5", "", excelize.CellTypeUnset},
		{"班级", "G3", "50", excelize.CellTypeUnset},
		{"每日", "A6", "2017-04-05", excelize.CellTypeUnset},
		{"每日", "C6", "83", excelize.CellTypeUnset},
		{"留言", "A2", "07:50:00", excelize.CellTypeInlineString},
		{"留言", "G2", "=1+1", excelize.CellTypeInlineString},
		{"留言", "G3", "<b>铭记�历史</b>", excelize.CellTypeInlineString},
	} {
		got, err := f.GetCellValue(c.sheet, c.cell)
		if err != nil || got != c.want {
			t.Errorf("%s!%s = %q, %v, want %q", c.sheet, c.cell, got, err, c.want)
		}
		if kind, err := f.GetCellType(c.sheet, c.cell); err != nil || kind != c.kind {
			t.Errorf("%s!%s is of type %v, %v, want %v", c.sheet, c.cell, kind, err, c.kind)
		}
		if formula, err := f.GetCellFormula(c.sheet, c.cell); err != nil || formula != "" {
			t.Errorf("%s!%s is a formula: %q, %v", c.sheet, c.cell, formula, err)
		}
	}
	for _, sheet := range f.GetSheetList()[1:] {
		if p, err := f.GetPanes(sheet); err != nil || !p.Freeze || p.YSplit != 1 {
			t.Errorf("%s: the heading is not frozen: %+v, %v", sheet, p, err)
		}
	}
}

// Schools are told of by code; the worst first only where the activity allows it.
func TestReportRanking(t *testing.T) {
	t.Parallel()
	byCode := "第一小学 第二小学 第三小学 特殊学校"
	for ranking, want := range map[bool]string{false: byCode, true: "第三小学 第二小学 第一小学 特殊学校"} {
		a := qingming(t)
		a.Report.Ranking = ranking
		at := reports.DueAt(a, day(t, "2017-04-05"))
		r, err := reports.Compute(a, calendar(t), county(t), rollups(t), nil, nil, 341802, day(t, "2017-04-05"), at)
		if err != nil {
			t.Fatal(err)
		}
		order := func(text string) string {
			names := strings.Fields(byCode)
			slices.SortFunc(names, func(a, b string) int { return strings.Index(text, "宣州区"+a) - strings.Index(text, "宣州区"+b) })
			return strings.Join(names, " ")
		}
		var html, text, table, book bytes.Buffer
		if err := errors.Join(r.HTML(&html, ""), r.Text(&text, ""), r.CSV(&table, ""), r.Workbook(&book, "")); err != nil {
			t.Fatal(err)
		}
		f, err := excelize.OpenReader(&book)
		if err != nil {
			t.Fatal(err)
		}
		sheet := func(name string) string {
			rows, err := f.GetRows(name)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(rows)
		}
		check(t, []string{order(html.String()), order(text.String()), order(sheet("学校")), order(sheet("班级")), order(table.String())}, want, want, want, byCode, byCode)
		f.Close()
	}
}

func TestReportCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := build(t, 341802, "2017-04-05").CSV(&b, ""); err != nil {
		t.Fatal(err)
	}
	check(t, strings.Split(b.String(), "\r\n"), "\ufeff代码,学校,年级,班级,在校人数,学生,参与率",
		"3418020001,宣州区第一小学,1,1,40,4,0.1000", "3418020001,宣州区第一小学,3,1,50,50,1.0000", "3418020002,'=宣州区第二小学,3,1,30,29,0.9666",
		"3418020003,宣州区第三小学,3,1,20,0,0.0000", "3418020004,宣州区特殊学校,3,1,0,0,", "")
}

func TestReportWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/new/folder"
	if err := build(t, 341802, "2017-04-05").Write(t.Context(), dir, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.html", "report.txt", "report.xlsx", "report.csv"} {
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The chart's font holds only what the chart says.
func TestChartWords(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("font/trend.ttf")
	if err != nil {
		t.Fatal(err)
	}
	font, err := truetype.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range reports.ChartWords() {
		for _, r := range text {
			if font.Index(r) == 0 {
				t.Errorf("the font has no %c of %q: see font/README.md", r, text)
			}
		}
	}
}

// A report of a roster of 300 schools and 9,000 classes, in all its forms.
func BenchmarkCounty(b *testing.B) {
	roster, us := large(b)
	a := qingming(b)
	for b.Loop() {
		r, err := reports.Compute(a, calendar(b), roster, us, nil, nil, 341802, day(b, "2017-04-05"), reports.DueAt(a, day(b, "2017-04-05")))
		if err != nil {
			b.Fatal(err)
		}
		for _, write := range []func(io.Writer) error{r.JSON, func(w io.Writer) error { return r.HTML(w, "") },
			func(w io.Writer) error { return r.Text(w, "") }, func(w io.Writer) error { return r.Workbook(w, "") }} {
			if err := write(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func large(t testing.TB) (*canyu.Roster, []canyu.Rollup) {
	t.Helper()
	var entries []canyu.RosterEntry
	var us []canyu.Rollup
	for s := range 300 {
		for c := range 30 {
			e := canyu.RosterEntry{Region: 341802, School: canyu.SchoolCode(3418020001 + s), Name: fmt.Sprintf("第%d小学", s+1), Grade: uint8(c/5 + 1), Class: uint16(c%5 + 1), Enrolled: 50}
			entries = append(entries, e)
			for d := range canyu.Day(5) {
				for _, role := range canyu.Roles[:3] {
					us = append(us, canyu.Rollup{Class: canyu.Class{School: e.School, Grade: e.Grade, Number: e.Class}, Role: role, Day: day(t, "2017-04-01") + d, Participants: 9, Submissions: 10})
				}
			}
		}
	}
	roster, err := canyu.NewRoster(entries)
	if err != nil {
		t.Fatal(err)
	}
	return roster, us
}
