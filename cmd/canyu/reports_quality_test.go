package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// What was refused of the week's lines, and what came at odd hours, stands in every
// form, today and to date; the week and its refused lines replayed again change nothing.
func TestReportsTellOfQuality(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "", "2017-04-01", "2017-04-07")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		file := s.weekFile()
		s.apart("replay", file)
		s.apart("replay", file)
		s.apart("replay", file+".refused")
		for _, c := range []struct {
			date, lang string
			want       []string
		}{
			{"2017-04-07", "zh-Hans", []string{"有 240 人次在 22:00 至次日 06:00 之间提交（当日 60 人次）", "有 420 次提交未被接受（当日 ", "座号缺失或超出人数 ", "活动尚未开始 60"}},
			{"2017-04-10", "zh-Hant", []string{"有 240 人次在 22:00 至次日 06:00 之間提交（當日 0 人次）", "有 480 次提交未被接受（當日 0 次）", "活動已經結束 60"}},
			{"2017-04-10", "en", []string{"240 submissions came between 22:00 and 06:00 (0 of them today)", "480 submissions were refused", "after the last day 60"}},
		} {
			out := filepath.Join(s.dir, c.date)
			s.apart("report", "render", "--region", "341800", "--date", c.date, "--out", out, "--lang", c.lang)
			for _, form := range []string{"report.html", "report.txt", "report.xlsx"} {
				text := formText(t, filepath.Join(out, form))
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						t.Errorf("%s of %s does not say %q:\n%.3000s", form, c.date, want, text)
					}
				}
			}
		}
		checkQuality(t, filepath.Join(s.dir, "2017-04-10", "report.json"), 240, 480)
		// A county has its own part, and none of what named no school.
		county := filepath.Join(s.dir, "county")
		s.apart("report", "render", "--region", "341825", "--date", "2017-04-10", "--out", county)
		checkQuality(t, filepath.Join(county, "report.json"), -1, -1)
	})
}

// formText is a form's text, a workbook's first sheet cell by cell.
func formText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) != ".xlsx" {
		return string(data)
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows(book.GetSheetName(0))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rows)
}

// checkQuality holds the sums of report.json against those wanted (-1: any), and
// against the schools'.
func checkQuality(t *testing.T, path string, odd, refused int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		Reason, From, To string
		Today, Total     int
		Schools          []struct {
			School       string
			Today, Total int
		}
	}
	var r struct {
		Schools []struct{ School string }
		Quality struct {
			OddHours part `json:"odd_hours"`
			Refused  []part
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, s := range r.Schools {
		known[s.School] = true
	}
	sum := 0
	for _, p := range append(r.Quality.Refused, r.Quality.OddHours) {
		today, total := p.Today, p.Total
		for _, s := range p.Schools {
			today, total = today-s.Today, total-s.Total
			if !known[s.School] || s.Total == 0 {
				t.Errorf("%s: school %s has %d", p.Reason, s.School, s.Total)
			}
		}
		if (today != 0 || total != 0) && (p.Reason != "school" || refused == -1) {
			t.Errorf("%q is %d today and %d in all, but the schools lack %d and %d", p.Reason, p.Today, p.Total, today, total)
		}
		if p.Reason != "" {
			sum += p.Total
		}
	}
	if o := r.Quality.OddHours; o.From != "22:00" || o.To != "06:00" || odd >= 0 && o.Total != odd || o.Total == 0 {
		t.Errorf("odd hours %+v, want %d", o, odd)
	}
	if refused >= 0 && sum != refused || sum == 0 {
		t.Errorf("%d were refused, want %d", sum, refused)
	}
}

// What a running server refuses is in the archive a few seconds later, also when it
// is told to stop at once, and of whom it was is nowhere.
func TestServerKeepsRefusals(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		for _, change := range []map[string]any{{"seat": 99}, {"seat": 999, "name": "张三"}, {"class": 99}, {"school": "9999999999"}, {"activity": "nobody"}, {"colour": "red"}, {"seat": 17}} {
			v.post("application/json", s.submission(change))
		}
		v.post("application/json", "["+s.submission(map[string]any{"seat": 0})+","+s.submission(map[string]any{"grade": 13})+"]")
		v.stop()
		out := filepath.Join(s.dir, "out")
		s.must("report", "render", "--region", "341800", "--date", todayInShanghai(), "--out", out, "--lang", "en")
		text, err := os.ReadFile(filepath.Join(out, "report.txt"))
		if err != nil {
			t.Fatal(err)
		}
		want := "7 submissions were refused (7 of them today): seat missing or out of range 3, no such class 1, wrong grade 1, not well-formed 1, no such school 1."
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	})
}
