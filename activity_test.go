package canyu_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// qingming is the activity of the notice that started it all.
func qingming(t testing.TB) *canyu.Activity {
	t.Helper()
	return &canyu.Activity{
		ID:             "qingming-2017",
		Title:          canyu.Text{"zh-Hans": "网上祭英烈", "en": "Online memorial"},
		Zone:           zone(t, "Asia/Shanghai"),
		FirstDay:       day(t, "2017-04-01"),
		LastDay:        day(t, "2017-04-07"),
		Steps:          []string{"bow", "flower", "message"},
		RequiredGrades: []uint8{3, 4, 5, 6, 7, 8, 10, 11},
		Roles:          []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher},
		Identify:       canyu.BySeat,
		Report:         canyu.ReportPlan{Hour: 16, Minute: 30, Days: canyu.WorkingDays},
	}
}

func listed(a *canyu.Activity, days ...canyu.Day) {
	a.Report.Days, a.Report.List = canyu.ListedDays, days
}

func TestActivityValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		field  string // how the one mistake begins, "" where all is well
		change func(*canyu.Activity)
	}{
		{"as it is", "", func(*canyu.Activity) {}},
		{"one day", "", func(a *canyu.Activity) { a.LastDay = a.FirstDay }},
		{"366 days", "", func(a *canyu.Activity) { a.LastDay = a.FirstDay + 365 }},
		{"no grade is required", "", func(a *canyu.Activity) { a.RequiredGrades = nil }},
		{"40 bytes of id", "", func(a *canyu.Activity) { a.ID = strings.Repeat("a", 40) }},
		{"midnight report, every day", "", func(a *canyu.Activity) { a.Report = canyu.ReportPlan{Days: canyu.EveryDay} }},
		{"no id", "id ", func(a *canyu.Activity) { a.ID = "" }},
		{"41 bytes of id", "id ", func(a *canyu.Activity) { a.ID = strings.Repeat("a", 41) }},
		{"capitals", "id ", func(a *canyu.Activity) { a.ID = "Qingming" }},
		{"a path", "id ", func(a *canyu.Activity) { a.ID = "../etc" }},
		{"a leading -", "id ", func(a *canyu.Activity) { a.ID = "-config" }},
		{"a second line", "id ", func(a *canyu.Activity) { a.ID = "qingming\n" }},
		{"no title", "title:", func(a *canyu.Activity) { a.Title = nil }},
		{"a title in French only", "title:", func(a *canyu.Activity) { a.Title = canyu.Text{"fr": "Mémorial"} }},
		{"no zone", "timezone:", func(a *canyu.Activity) { a.Zone = nil }},
		{"over before it began", "last_day ", func(a *canyu.Activity) { a.LastDay = a.FirstDay - 1 }},
		{"367 days", "last_day ", func(a *canyu.Activity) { a.LastDay = a.FirstDay + 366 }},
		{"no steps", "steps:", func(a *canyu.Activity) { a.Steps = nil }},
		{"17 steps", "steps:", func(a *canyu.Activity) { a.Steps = strings.Split("a b c d e f g h i j k l m n o p q", " ") }},
		{"a step twice", "steps:", func(a *canyu.Activity) { a.Steps = []string{"bow", "flower", "bow"} }},
		{"a step in Chinese", "steps:", func(a *canyu.Activity) { a.Steps = []string{"鞠躬"} }},
		{"grade 0", "required_grades:", func(a *canyu.Activity) { a.RequiredGrades = []uint8{0} }},
		{"grade 13", "required_grades:", func(a *canyu.Activity) { a.RequiredGrades = []uint8{12, 13} }},
		{"a grade twice", "required_grades:", func(a *canyu.Activity) { a.RequiredGrades = []uint8{3, 3} }},
		{"no roles", "roles:", func(a *canyu.Activity) { a.Roles = nil }},
		{"an unknown role", "roles:", func(a *canyu.Activity) { a.Roles = []canyu.Role{0} }},
		{"a role past the last", "roles:", func(a *canyu.Activity) { a.Roles = []canyu.Role{canyu.Public + 1} }},
		{"a role twice", "roles:", func(a *canyu.Activity) { a.Roles = []canyu.Role{canyu.Student, canyu.Student} }},
		{"no way to identify", "identify ", func(a *canyu.Activity) { a.Identify = "" }},
		{"another way to identify", "identify ", func(a *canyu.Activity) { a.Identify = "face" }},
		{"24:00", "report.at ", func(a *canyu.Activity) { a.Report.Hour = 24 }},
		{"16:60", "report.at ", func(a *canyu.Activity) { a.Report.Minute = 60 }},
		{"before midnight", "report.at ", func(a *canyu.Activity) { a.Report.Hour = -1 }},
		{"no report days", "report.days ", func(a *canyu.Activity) { a.Report.Days = "" }},
		{"listed report days", "", func(a *canyu.Activity) { listed(a, a.LastDay+31, a.FirstDay) }},
		{"an empty list", "report.days: a list", func(a *canyu.Activity) { listed(a) }},
		{"a list beside working", "report.days: a list", func(a *canyu.Activity) { a.Report.List = []canyu.Day{a.FirstDay} }},
		{"a listed day before it began", "report.days: 2017-03-31", func(a *canyu.Activity) { listed(a, a.FirstDay-1) }},
		{"a listed day long after it", "report.days: 2017-05-09", func(a *canyu.Activity) { listed(a, a.LastDay+32) }},
		{"a day listed twice", "report.days: 2017-04-07 is listed twice", func(a *canyu.Activity) { listed(a, a.LastDay, a.LastDay) }},
	} {
		a := qingming(t)
		c.change(a)
		err := a.Validate()
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.field != "" && (err == nil || !strings.HasPrefix(err.Error(), c.field) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: got %v, want %q named and nothing else", c.name, err, c.field)
		}
	}
}

func TestActivityValidateTellsEveryMistake(t *testing.T) {
	t.Parallel()
	err := (&canyu.Activity{LastDay: -1, Report: canyu.ReportPlan{Hour: 25}}).Validate()
	for _, field := range []string{"id ", "title:", "timezone:", "last_day ", "steps:", "roles:", "identify ", "report.at ", "report.days "} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+field) {
			t.Errorf("%q is not told: %v", field, err)
		}
	}
}

func TestActivityOpen(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	for at, want := range map[string]error{
		"2017-03-31T23:59:59.999+08:00": canyu.ErrNotOpen,
		"2017-04-01T00:00:00+08:00":     nil,
		"2017-04-05T07:50:00+08:00":     nil,
		"2017-04-07T23:59:59.999+08:00": nil,
		"2017-04-08T00:00:00+08:00":     canyu.ErrClosed,
		"2017-03-31T16:00:00Z":          nil,
		"2017-04-07T16:00:00Z":          canyu.ErrClosed,
	} {
		if err := a.Open(instant(t, at)); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", at, err, want)
		}
	}
	if got := a.DayOf(time.Date(2017, 4, 4, 23, 50, 0, 0, time.UTC)); got.String() != "2017-04-05" {
		t.Errorf("07:50 in Shanghai belongs to %s", got)
	}
}

func TestActivityRequired(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	for grade := range uint8(canyu.MaxGrade + 1) {
		want := grade >= 3 && grade != 9 && grade != 12
		if a.Required(grade) != want {
			t.Errorf("grade %d: want %v", grade, want)
		}
	}
}

func TestTextIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text       canyu.Text
		lang, want string
	}{
		{canyu.Text{"zh-Hans": "网上祭英烈", "zh-Hant": "網上祭英烈", "en": "Memorial"}, "zh-Hant", "網上祭英烈"},
		{canyu.Text{"zh-Hans": "网上祭英烈", "en": "Memorial"}, "zh-Hant", "网上祭英烈"},
		{canyu.Text{"zh-Hant": "網上祭英烈", "en": "Memorial"}, "fr", "網上祭英烈"},
		{canyu.Text{"en": "Memorial"}, "zh-Hans", "Memorial"},
		{canyu.Text{"fr": "Mémorial"}, "fr", "Mémorial"},
		{canyu.Text{"fr": "Mémorial"}, "en", ""},
		{nil, "en", ""},
	} {
		if got := c.text.In(c.lang); got != c.want {
			t.Errorf("%v in %s: got %q, want %q", c.text, c.lang, got, c.want)
		}
	}
}

func TestRole(t *testing.T) {
	t.Parallel()
	for i, r := range canyu.Roles {
		if int(r) != i+1 {
			t.Errorf("%s is stored as %d and was %d", r, r, i+1)
		}
		if back, err := canyu.ParseRole(r.String()); back != r || err != nil {
			t.Errorf("%s: got %s, %v", r, back, err)
		}
	}
	for _, s := range []string{"", "Student", "students", "学生", "role(0)", "student "} {
		if r, err := canyu.ParseRole(s); err == nil {
			t.Errorf("%q: got %s, want an error", s, r)
		}
	}
	if got := canyu.Role(0).String(); got != "role(0)" {
		t.Errorf("no role: got %q", got)
	}
	sum := canyu.Tally{canyu.Student: 2, canyu.Public: 1}
	sum.Add(canyu.Tally{canyu.Student: 3, canyu.Teacher: 4})
	if want := (canyu.Tally{canyu.Student: 5, canyu.Teacher: 4, canyu.Public: 1}); sum != want {
		t.Errorf("sum: got %v, want %v", sum, want)
	}
}
