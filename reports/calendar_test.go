package reports_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/reports"
)

// Every day of twelve years against what another source read in the notices.
func TestCalendarAgainstNotices(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/notices.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decreed := make(map[string]bool)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if words[0] == "#" {
			continue
		}
		for _, monthDay := range words[2:] {
			decreed[words[0]+"-"+monthDay] = words[1] == "work"
		}
	}
	c := calendar(t)
	checked := 0
	for d := day(t, "2015-01-01"); d <= day(t, "2026-12-31"); d++ {
		want, ok := decreed[d.String()]
		if !ok {
			want = d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
		}
		if got, err := c.Working(d); err != nil || got != want {
			t.Errorf("%s: working %v, %v, want %v", d, got, err, want)
		}
		checked++
	}
	if checked != 4383 || len(decreed) < 380 {
		t.Errorf("checked %d days with %d decreed: the notices were not read", checked, len(decreed))
	}
}

func TestCalendarQingming2017(t *testing.T) {
	t.Parallel()
	c := calendar(t)
	var worked []string
	for d := day(t, "2017-03-31"); d <= day(t, "2017-04-10"); d++ {
		if w, err := c.Working(d); err != nil {
			t.Error(err)
		} else if w {
			worked = append(worked, d.String()[8:])
		}
	}
	if want := []string{"31", "01", "05", "06", "07", "10"}; !slices.Equal(worked, want) {
		t.Errorf("worked %v, want %v", worked, want)
	}
}

func TestCalendarUnknownYear(t *testing.T) {
	t.Parallel()
	c := calendar(t)
	for _, d := range []string{"2003-12-31", "2027-01-04"} {
		if _, err := c.Working(day(t, d)); !errors.Is(err, reports.ErrNoCalendar) {
			t.Errorf("%s: %v, want ErrNoCalendar", d, err)
		}
	}
	if y := c.Years(); y[0] != 2004 || y[len(y)-1] != 2026 || len(y) != 23 {
		t.Errorf("years %v, want 2004 to 2026", y)
	}
}

func TestCalendarOverride(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As holiday-cn publishes them: the days of the December before are in the
	// file of the year, and a year without a notice is an empty file.
	write("2027.json", `{"year": 2027, "days": [{"name": "元旦", "date": "2026-12-31", "isOffDay": true},
		{"name": "元旦", "date": "2027-01-01", "isOffDay": true}, {"name": "元旦", "date": "2027-01-03", "isOffDay": false}]}`)
	write("2028.json", "\ufeff"+`{"year": 2028, "papers": [], "days": []}`)
	write("2017.json", `[{"name": "清明", "date": "2017-04-05", "isOffDay": true}]`)
	c, err := reports.LoadCalendar(dir)
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[string]bool{
		"2026-12-31": false, "2026-12-30": true, "2027-01-01": false, "2027-01-03": true, "2027-01-04": true,
		"2017-04-05": false, "2017-04-01": false, "2017-04-04": true, // the file replaces its whole year
	} {
		if got, err := c.Working(day(t, d)); err != nil || got != want {
			t.Errorf("%s: working %v, %v, want %v", d, got, err, want)
		}
	}
	if _, err := c.Working(day(t, "2028-01-04")); !errors.Is(err, reports.ErrNoCalendar) {
		t.Errorf("an empty file is no calendar: %v", err)
	}
	if _, err := reports.LoadCalendar(filepath.Join(dir, "none")); err != nil {
		t.Errorf("a folder that does not exist: %v", err)
	}
	write("2029.json", `[{"name": "元旦", "date": "2028-01-01", "isOffDay": true}]`)
	write("next.json", `[]`)
	_, err = reports.LoadCalendar(dir)
	if err == nil || !strings.Contains(err.Error(), "2028-01-01 is not a day of 2029") || !strings.Contains(err.Error(), "next.json") {
		t.Errorf("wrong files: %v", err)
	}
}

// What is not understood is told with its file, and is no calendar: a holiday would be
// worked.
func TestCalendarForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                  "has no days",
		`[]`:                  "has no days",
		`null`:                "has no days",
		`{"2027-01-01":"元旦"}`: `unknown field "2027-01-01"`,
		`{"year": 2027, "days": [{"name":"清明","date":"2027-04-05","isOffDay":true}], "workdays": ["2027-04-03"]}`: `unknown field "workdays"`,
		`[{"name":"清明","date":"2027-04-05","off":true}]`:                                                          `unknown field "off"`,
		`[{"name":"清明","date":"2027-04-05"}]`:                                                                     "days[0]: date or isOffDay is missing",
		`[{"name":"清明","date":"2027-04-05","isOffDay":true},{"name":"清明","isOffDay":true}]`:                       "days[1]: date or isOffDay is missing",
		`[{"name":"清明","date":"2027-04-05","isOffDay":true}] []`:                                                  "more after its end",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "2027.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reports.LoadCalendar(dir); err == nil || !strings.Contains(err.Error(), "2027.json: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestCalendarMissing(t *testing.T) {
	t.Parallel()
	c := calendar(t)
	for date, want := range map[string]int{"2026-11-14": 0, "2026-11-15": 2027, "2027-01-01": 2027, "2025-12-31": 0, "2003-06-01": 2003} {
		now, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Missing(now); got != want {
			t.Errorf("%s: %d is missing, want %d", date, got, want)
		}
	}
}

// A year that is put into the folder is known without a restart; a broken file leaves
// everything as it was, and is told.
func TestCalendarRefresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := reports.LoadCalendar(dir)
	if err != nil {
		t.Fatal(err)
	}
	working := func(date string, want bool) {
		t.Helper()
		if got, err := c.Working(day(t, date)); err != nil || got != want {
			t.Errorf("%s is worked: %v, %v, want %v", date, got, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "2031.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Working(day(t, "2031-05-01")); !errors.Is(err, reports.ErrNoCalendar) {
		t.Fatalf("2031 is known: %v", err)
	}
	write(`[{"name": "劳动节", "date": "2031-05-01", "isOffDay": true}]`)
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	working("2031-05-01", false)
	write(`[{"name": "劳动节", "date": "2031-05-01", "isOffDay": true}, {"name": "劳动节", "date": "2031-05-03", "isOffDay": true`)
	if err := c.Refresh(); err == nil {
		t.Error("nothing is said of a broken file")
	}
	working("2031-05-01", false)
	write(`[{"name": "劳动节", "date": "2031-05-02", "isOffDay": true}, {"name": "劳动节", "date": "2031-05-04", "isOffDay": false}]`)
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	working("2031-05-01", true)
	working("2031-05-02", false)
	working("2031-05-04", true) // a Sunday
}
