package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

func todayInShanghai() string { return time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly) }

// check tells every mistake at once, each with its path.
func TestCheckTellsEveryMistake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "canyu.yaml")
	text := `
listen: 8080
data: ""
redis: redis://:secret-word@127.0.0.1:x/0
run: [ingest, dance]
colour: red
watch: closely
trusted_proxies: [127.0.0.1, 10.0.0.0/8, nowhere]
smtp: {url: "smtp://h", port: 25}
activities:
  - id: Qing Ming
    title: {zh-Hans: 网上祭英烈, fr: X}
    timezone: Asia/Nowhere
    first_day: 2017-04-07
    last_day: 2017-04-01
    steps: [bow, bow]
    required_grades: [3, 13, many]
    roles: [student, pupil]
    identify: face
    names: keep
    report: {at: "25:00", days: sundays, corrections: never, ranking: worst, recipients: {341802: [nobody, b@example.org, b@example.org], 99: [a@example.org]}, schools: {34180200: [a@example.org], 3418020001: [nobody either]}}
  - {id: a, first_day: 2017-04-01, last_day: 2017-04-07, report: {days: [2017-04-05, 2017-04-05, sundays, 2017-06-01]}}
  - {id: b, first_day: 2017-04-01, last_day: 2017-04-07, report: {days: [], schools: {3418020001: [a@example.org]}}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"check", "--config", path}, new(syncBuffer), new(syncBuffer))
	if err == nil {
		t.Fatal("a configuration of mistakes is fine")
	}
	for _, want := range []string{
		"listen", "data: missing", "redis and clickhouse", "redis:", `run: "dance"`, "colour: unknown key", `watch "closely"`, `trusted_proxies "nowhere"`, "smtp.port: unknown key", "smtp.from: missing",
		"activities[0].id", `title: language "fr"`, "timezone", "last_day", `steps: "bow" is listed twice`, "required_grades: 13",
		"required_grades[2]: want a whole number", `role "pupil"`, `identify "face"`, `names "keep"`, "report.at", `report.days "sundays"`,
		`report.corrections "never"`, "report.ranking: want true or false", `"nobody"`, `region "99"`, `report.recipients.341802: "b@example.org" is listed twice`,
		`report.schools: school "34180200"`, `report.schools.3418020001: "nobody either"`, "activities[2].report.schools: a school's letter",
		"activities[1].report.days: 2017-04-05 is listed twice", `activities[1].report.days: day "sundays"`, "activities[1].report.days: 2017-06-01",
		"activities[2].report.days: a list of days wants at least one",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %s in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret-word") {
		t.Error("a password is told")
	}
}

// A value of another type is told once, with what is wanted; true and false are on and
// off, and the other way round.
func TestSettingsOfOtherTypes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "canyu.yaml")
	settings := func(text string) (*settings, error) {
		check(t, os.WriteFile(path, []byte(text), 0o600))
		return (&Flags{Config: path}).settings()
	}
	_, err := settings(`
listen: 8080
smtp: {url: 25, per_minute: 1.5, from: a@example.org}
redis: [a-text-that-is-rather-longer-than-forty-letters]
watch: sometimes
activities:
  - id: 2026
    title: {en: Online memorial}
    first_day: 2026-12-01
    last_day: 2026/12/13
    steps: [bow, 3]
    required_grades: ["3"]
    roles: [student]
    consent: {contact: 05630000000, required: 1}
    report: {days: [2026-12-05], ranking: 1}
  - {id: b, title: {en: x}, first_day: 20261201, last_day: 2026-12-02, steps: [bow], roles: [student]}
`)
	want := strings.ReplaceAll(`P: activities[0].consent.contact: want a text: put it in quotation marks
P: activities[0].consent.required: want on or off, got 1
P: activities[0].id: want a text: put it in quotation marks
P: activities[0].report.ranking: want true or false, got 1
P: activities[0].required_grades[0]: want a whole number, got "3"
P: activities[0].steps[1]: want a text: put it in quotation marks
P: activities[1].first_day: want a text: put it in quotation marks
P: listen: want a text: put it in quotation marks
P: redis: want a text, got [a-text-that-is-rather-longer-than-forty…
P: smtp.per_minute: want a whole number, got 1.5
P: smtp.url: want a text: put it in quotation marks
watch "sometimes": want on or off
activities[0].last_day: day "2026/12/13": want a date such as 2017-04-01`, "P", path)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}

	s, err := settings("watch: false\npprof: on\nmetrics_listen: 127.0.0.1:9090\noutbox: x\npolicy: {ranking: on, voluntary: false}\nactivities:\n" +
		strings.Replace(fmt.Sprintf(week, "a", "2017-04-01", "2017-04-07"), "days: working", "days: working, ranking: on", 1) + "    wall: false\n    consent: {required: true}\n")
	if err != nil {
		t.Fatal(err)
	}
	if a := s.activities[0]; s.Watch != "off" || !s.Pprof || !a.Report.Ranking || a.Wall != nil || !s.notices["a"].Required || s.Policy.Voluntary != "off" {
		t.Errorf("%+v", s)
	}
}

// canyu.yaml is UTF-8, with or without the mark that Notepad puts before it; another
// encoding would show pupils something else than was written.
func TestSettingsEncoding(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "canyu.yaml")
	settings := func(text string) error {
		check(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := (&Flags{Config: path}).settings()
		return err
	}
	text := "outbox: x\nactivities:\n" + fmt.Sprintf(week, "a", "2017-04-01", "2017-04-07")
	if err := settings("\ufeff" + text); err != nil {
		t.Error(err)
	}
	const title = "网上祭英烈"
	legacy, err := simplifiedchinese.GB18030.NewEncoder().String(title)
	check(t, err)
	err = settings(strings.ReplaceAll(text, title, legacy))
	if want := path + ": line 4: is no UTF-8: save it as UTF-8"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Report days are a word or a list.
func TestReportDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "working []",
		"days: working":                    "working []",
		"days: daily":                      "daily []",
		"days: 2017-04-05":                 "list [2017-04-05]",
		"days: [2017-04-05, 2017-04-20]":   "list [2017-04-05 2017-04-20]",
		`days: ["2017-04-05", 2017-04-01]`: "list [2017-04-05 2017-04-01]",
	} {
		path := filepath.Join(t.TempDir(), "canyu.yaml")
		config := strings.ReplaceAll("activities:\n"+fmt.Sprintf(week, "a", "2017-04-01", "2017-04-07"), `days: working, recipients: {341800: [city@example.org]}`, text)
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := (&Flags{Config: path}).settings()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if plan := s.activities[0].Report; fmt.Sprintf("%s %v", plan.Days, plan.List) != want {
			t.Errorf("%s: %v %v, want %s", text, plan.Days, plan.List, want)
		}
	}
}

// A flag wins over the environment, that over the file, that over the default.
func TestSettingsOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "canyu.yaml")
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:1\ndata: file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(f Flags) *settings {
		t.Helper()
		s, err := f.settings()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Chdir(dir)
	if s := read(Flags{}); s.Listen != "127.0.0.1:1" || s.Data != "file" || len(s.Run) != 3 {
		t.Errorf("canyu.yaml in the folder: %+v", s)
	}
	if s := read(Flags{Config: path, Data: "flag"}); s.Data != "flag" || s.Listen != "127.0.0.1:1" {
		t.Errorf("a flag: %+v", s)
	}
	t.Setenv("CANYU_DATA", "environment")
	out := new(syncBuffer)
	if err := run(t.Context(), []string{"verify", "--config", path}, out, out); err == nil || !strings.Contains(err.Error(), "no activity") {
		t.Errorf("no activity: %v", err)
	}
	if _, err := os.Stat("environment"); err == nil {
		t.Error("a command that cannot run has made its folder")
	}
}

// What a beginner types.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		ok   bool
		want string
	}{
		{nil, true, "Commands:"},
		{[]string{"help"}, true, "report send"},
		{[]string{"--help"}, true, "Commands:"},
		{[]string{"serve", "--help"}, true, "--redis"},
		{[]string{"roster", "import", "--help"}, true, "区划代码, 学校标识码, 学校名称, 年级, 班级, 人数"},
		{[]string{"version"}, true, "canyu "},
		{[]string{"dance"}, false, ""},
		{[]string{"replay", "no-such-file"}, false, ""},
		{[]string{"serve", "--config", "no-such-file"}, false, ""},
	} {
		out := new(syncBuffer)
		err := run(t.Context(), c.args, out, out)
		if (err == nil) != c.ok || !strings.Contains(out.String(), c.want) {
			t.Errorf("canyu %s: %v\n%s", strings.Join(c.args, " "), err, out.String())
		}
	}
}

// The roster that README shows can be imported.
func TestSampleRoster(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "README.zh.md"} {
		text, err := os.ReadFile("../../" + name)
		check(t, err)
		_, rest, _ := strings.Cut(string(text), "```csv\n")
		sample, _, _ := strings.Cut(rest, "```")
		s := newSite(t, pair{}, "", "2017-04-01", "2017-04-07")
		if out := s.must("roster", "import", s.file("roster.csv", []byte(sample)), "--dry-run"); !strings.Contains(out, "2 schools, 4 classes, 185 pupils") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// The sample that operators copy is loadable.
func TestSampleConfiguration(t *testing.T) {
	t.Parallel()
	check := func(path, want string, flags ...string) {
		t.Helper()
		out := new(syncBuffer)
		if err := run(t.Context(), append([]string{"check", "--config", path}, flags...), out, out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "the configuration is fine") || !strings.Contains(out.String(), want) {
			t.Fatal(out.String())
		}
	}
	check("../../deploy/canyu.yaml", "to 1 regions and 0 schools")
	text, err := os.ReadFile("../../deploy/canyu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Its holidays have the form of a holiday file.
	calendar := t.TempDir()
	holidays := strings.ReplaceAll(regexp.MustCompile(`(?s)# \[\{"name.*?\}\]\n`).FindString(string(text)), "# ", "")
	if err := os.WriteFile(filepath.Join(calendar, "2026.json"), []byte(holidays), 0o600); err != nil {
		t.Fatal(err)
	}
	check("../../deploy/canyu.yaml", "is fine", "--calendar", calendar)
	_, mark, found := strings.Cut(string(text), "      # schools:\n")
	if !found {
		t.Fatal("the sample says nothing of schools")
	}
	path := filepath.Join(t.TempDir(), "canyu.yaml")
	with := strings.TrimSuffix(string(text), "      # schools:\n"+mark) + strings.ReplaceAll("      # schools:\n"+mark, "      # ", "      ")
	if err := os.WriteFile(path, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	check(path, "to 1 regions and 1 schools")
}
