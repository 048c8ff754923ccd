package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// expected are the numbers of the week of 2017, counted independently.
type expected struct {
	Accepted int
	Counted  int
	Rejected map[string]int
	Schools  map[string]struct {
		Enrolled         int
		RequiredEnrolled int              `json:"required_enrolled"`
		RequiredCount    int              `json:"required_count"`
		New              map[string][]int // role: by day
		Submissions      []int            // by day
	}
	Classes [][]any // school, grade, class, enrolled, students
}

func readExpected(t *testing.T) expected {
	t.Helper()
	text, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// weekFile is the week's submissions under the site's activity id.
func (s *site) weekFile() string {
	s.t.Helper()
	f, err := os.Open("testdata/submissions.ndjson.gz")
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		s.t.Fatal(err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(bytes.ReplaceAll(text, []byte(`"qingming-2017"`), []byte(`"`+s.activity+`"`))); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	return s.file("week.ndjson.gz", out.Bytes())
}

// weekReport is what of report.json is compared.
type weekReport struct {
	Schools []struct {
		School   string
		Enrolled int
		Required struct{ Enrolled, Count int }
		Student  struct{ Today, Total int }
		Parent   struct{ Today, Total int }
		Teacher  struct{ Today, Total int }
		Subs     struct{ Today, Total int } `json:"submissions"`
		Classes  []struct{ Grade, Class, Enrolled, Student int }
	}
}

// The real week: imported from GB 18030, replayed twice, and every number of every
// school, role and day held against those that were counted independently.
func TestTheWeekOf2017(t *testing.T) {
	t.Parallel()
	want := readExpected(t)
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "", "2017-04-01", "2017-04-07")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		file := s.weekFile()
		totals := fmt.Sprintf("lines=39293 accepted=%d counted=%%d repeats=%%d closed=%d invalid=%d not_open=%d unknown_activity=%d\n",
			want.Accepted, want.Rejected["closed"], want.Rejected["invalid"], want.Rejected["not_open"], want.Rejected["unknown_activity"])
		for _, counted := range []int{want.Counted, 0} {
			if got, want := s.apart("replay", file), fmt.Sprintf(totals, counted, want.Accepted-counted); got != want {
				t.Fatalf("replay said\n%swant\n%s", got, want)
			}
			s.checkWeek(want)
		}
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
		s.checkRefusedLines(file + ".refused")
	})
}

// checkWeek renders the report of each day and compares every number.
func (s *site) checkWeek(want expected) {
	s.t.Helper()
	wrong := 0
	same := func(what string, got, want int) {
		if got != want {
			if wrong++; wrong <= 20 {
				s.t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
	}
	for day := range 7 {
		date := fmt.Sprintf("2017-04-%02d", day+1)
		out := filepath.Join(s.dir, "report-"+date)
		s.apart("report", "render", "--region", "341800", "--date", date, "--out", out)
		text, err := os.ReadFile(filepath.Join(out, "report.json"))
		if err != nil {
			s.t.Fatal(err)
		}
		var r weekReport
		if err := json.Unmarshal(text, &r); err != nil {
			s.t.Fatal(err)
		}
		same("schools", len(r.Schools), len(want.Schools))
		students := make(map[string]int)
		for _, got := range r.Schools {
			w, what := want.Schools[got.School], got.School+" on "+date
			same(what+": students", got.Student.Today, w.New["student"][day])
			same(what+": parents", got.Parent.Today, w.New["parent"][day])
			same(what+": teachers", got.Teacher.Today, w.New["teacher"][day])
			same(what+": submissions", got.Subs.Today, w.Submissions[day])
			same(what+": enrolled", got.Enrolled, w.Enrolled)
			same(what+": required enrolled", got.Required.Enrolled, w.RequiredEnrolled)
			if day == 6 {
				same(what+": required count", got.Required.Count, w.RequiredCount)
			}
			for _, c := range got.Classes {
				key := fmt.Sprint(got.School, c.Grade, c.Class)
				students[key] = c.Student
				students[key+" enrolled"] = c.Enrolled
			}
		}
		if day == 6 {
			for _, c := range want.Classes {
				key := fmt.Sprint(c[0], c[1], c[2])
				same(key+" enrolled", students[key+" enrolled"], int(c[3].(float64)))
				same(key+" students", students[key], int(c[4].(float64)))
			}
			same("classes", len(students), 2*len(want.Classes))
		}
	}
	if wrong > 0 {
		s.t.Fatalf("%d numbers are wrong", wrong)
	}
}

// checkRefusedLines: every refused line is there with its reason, and can be
// replayed as it is.
func (s *site) checkRefusedLines(path string) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 540 {
		s.t.Fatalf("%d refused lines, want 540", len(lines))
	}
	for _, l := range lines {
		var v struct{ Refused, ID string }
		if err := json.Unmarshal([]byte(l), &v); err != nil || v.Refused == "" || v.ID == "" {
			s.t.Fatalf("refused line %s: %v", l, err)
		}
	}
	out := s.must("replay", path)
	if out != "lines=540 accepted=0 counted=0 repeats=0 closed=60 invalid=360 not_open=60 unknown_activity=60\n" {
		s.t.Fatalf("the refused lines again: %s", out)
	}
	again, err := os.ReadFile(path + ".refused")
	if err != nil || !bytes.Equal(again, text) {
		s.t.Fatalf("the refused lines of the refused lines differ: %v", err)
	}
}
