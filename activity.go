package canyu

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Activity is what is taken part in: 網上祭英烈, 向國旗敬禮… It is configuration,
// the same on every node, and does not change while the program runs.
type Activity struct {
	ID             string // [a-z0-9-], at most 40 bytes: it stands in URLs and keys
	Title          Text
	Zone           *time.Location // whose midnight ends a day (promise 4)
	FirstDay       Day
	LastDay        Day      // open until this day ends
	Steps          []string // ids, in the order they are done: bow, flower, message
	RequiredGrades []uint8  // the grades whose rate must reach 100 %
	Roles          []Role   // who may take part
	Identify       Identify
	Public         Publicity
	Wall           *Wall             // nil: what participants write is shown to nobody
	Policies       map[Region]Policy // what is stricter in a region; see Policy
	Report         ReportPlan
	Retention      Retention
}

// Text is a text in several languages, by BCP 47 tag: zh-Hans, zh-Hant, en.
type Text map[string]string

// In is the text in lang, else in the first language that has one.
func (t Text) In(lang string) string {
	for _, l := range []string{lang, "zh-Hans", "zh-Hant", "en"} {
		if s := t[l]; s != "" {
			return s
		}
	}
	return ""
}

// Identify is what tells the pupils of a class apart. It never changes within an
// activity: a pupil known once by seat and once by name would count twice (KeepTerms).
type Identify string

// Ways to identify a student.
const (
	BySeat Identify = "seat" // 座號, a number from 1 to the enrolment of the class
	ByName Identify = "name" // for schools without seat numbers
)

// BySeat reports whether somebody in the role is told from others by a seat: a parent
// by the child's.
func (i Identify) BySeat(r Role) bool { return r == Parent || r == Student && i != ByName }

// ByName reports whether somebody in the role is told from others by a name.
func (i Identify) ByName(r Role) bool { return r != Student || i == ByName }

// ReportPlan says when an activity's reports are due and who gets them.
type ReportPlan struct {
	Hour, Minute int // of the activity's day
	Days         ReportDays
	List         []Day               // the days, where Days is ListedDays
	Correct      bool                // late data is corrected at the next report hour, not only by hand
	Ranking      bool                // schools may be listed worst first; else by code
	Recipients   map[Region][]string // e-mail addresses by the region they are told about
	// Schools are the e-mail addresses of schools that get a letter of their own, with
	// their classes, made of the report of the smallest region of Recipients around them.
	Schools map[SchoolCode][]string
}

// LatestReport is how many days after an activity its last report may be due.
const LatestReport = 31

// ReportDays is on which days a report is due.
type ReportDays string

// When reports are due.
const (
	WorkingDays ReportDays = "working" // statutory holidays and make-up days observed
	EveryDay    ReportDays = "daily"
	ListedDays  ReportDays = "list" // those of ReportPlan.List and no others
)

var activityID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Validate joins every mistake of the activity into one error, each beginning
// with the name of its field in canyu.yaml.
func (a *Activity) Validate() error {
	var errs []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	must(activityID.MatchString(a.ID), "id %q: want 1–40 of a–z, 0–9 and -, not beginning with -", a.ID)
	must(a.Title.In("") != "", "title: missing in zh-Hans, zh-Hant and en")
	must(a.Zone != nil, "timezone: missing")
	must(a.FirstDay <= a.LastDay, "last_day %s: is before first_day %s", a.LastDay, a.FirstDay)
	must(a.LastDay-a.FirstDay < 366, "last_day %s: an activity lasts at most 366 days", a.LastDay)
	must(len(a.Steps) > 0 && len(a.Steps) <= 16, "steps: want 1–16, got %d", len(a.Steps))
	for i, s := range a.Steps {
		must(activityID.MatchString(s), "steps: %q: want 1–40 of a–z, 0–9 and -", s)
		must(!slices.Contains(a.Steps[:i], s), "steps: %q is listed twice", s)
	}
	for i, g := range a.RequiredGrades {
		must(g >= 1 && g <= MaxGrade, "required_grades: %d: want 1–%d", g, MaxGrade)
		must(!slices.Contains(a.RequiredGrades[:i], g), "required_grades: %d is listed twice", g)
	}
	must(len(a.Roles) > 0, "roles: want at least one of student, parent, teacher, public")
	for i, r := range a.Roles {
		must(r >= Student && r <= Public, "roles: %s is unknown", r)
		must(!slices.Contains(a.Roles[:i], r), "roles: %s is listed twice", r)
	}
	must(a.Identify == BySeat || a.Identify == ByName, "identify %q: want seat or name", a.Identify)
	errs = append(errs, a.Public.Validate())
	errs = append(errs, a.Retention.validate())
	p := a.Report
	must(p.Hour >= 0 && p.Hour < 24 && p.Minute >= 0 && p.Minute < 60, "report.at %02d:%02d: want a time of day", p.Hour, p.Minute)
	must(p.Days == WorkingDays || p.Days == EveryDay || p.Days == ListedDays, "report.days %q: want working, daily or a list of days", p.Days)
	must((p.Days == ListedDays) == (len(p.List) > 0), "report.days: a list of days wants at least one, and working or daily none")
	for i, d := range p.List {
		must(d >= a.FirstDay && d <= a.LastDay+LatestReport, "report.days: %s: want a day of the activity or of the %d days after it", d, LatestReport)
		must(!slices.Contains(p.List[:i], d), "report.days: %s is listed twice", d)
	}
	return errors.Join(errs...)
}

// DayOf is the activity's day that instant t belongs to.
func (a *Activity) DayOf(t time.Time) Day { return DayAt(t, a.Zone) }

// Open is nil while participations are taken, else [ErrNotOpen] or [ErrClosed].
func (a *Activity) Open(t time.Time) error {
	switch d := a.DayOf(t); {
	case d < a.FirstDay:
		return ErrNotOpen
	case d > a.LastDay:
		return ErrClosed
	}
	return nil
}

// Required reports whether every pupil of the grade is to take part.
func (a *Activity) Required(grade uint8) bool { return slices.Contains(a.RequiredGrades, grade) }
