package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Report is one region's numbers for one day; its JSON is report.json. Every form
// of a report is made from it.
type Report struct {
	Activity   string       `json:"activity"`
	Region     canyu.Region `json:"region"`
	Day        canyu.Day    `json:"day"`
	WorkingDay *bool        `json:"working_day"` // null only where the year has no calendar and reports need none
	Revision   int          `json:"revision"`
	AsOf       time.Time    `json:"as_of"`
	Total      Numbers      `json:"total"`
	Schools    []School     `json:"schools"` // by code; those where nobody took part too

	Regions []Part     `json:"regions,omitempty"` // the counties of a city, the cities of a province
	Days    []DayCount `json:"days"`              // from the activity's first day to this one
	Notes   []Note     `json:"notes,omitempty"`
	Quality *Quality   `json:"quality,omitempty"`
	Changes []Change   `json:"changes,omitempty"` // since the revision before

	RosterChanges []RosterChange `json:"roster_changes,omitempty"` // the same, but of the roster

	// Audit is the newest line of the audit log when the report was frozen: whoever
	// has the report has seen the log up to there.
	Audit *canyu.AuditHead `json:"audit,omitempty"`

	body      []byte // as it was frozen; nil where it is not
	signature string // of body: report.json.sig; "" for none
	activity  *canyu.Activity
	messages  []canyu.Message
	late      bool
	sample    bool
	school    bool // it is one school's own: see Of
}

// Numbers are what is told of a region, a school or a part of a region.
type Numbers struct {
	Enrolled    int         `json:"enrolled"`
	Required    Required    `json:"required"`
	Rate        *float64    `json:"rate"` // students ÷ enrolled; nil where nothing is enrolled
	Student     Count       `json:"student"`
	Parent      Count       `json:"parent"`
	Teacher     Count       `json:"teacher"`
	Public      *Count      `json:"public,omitempty"` // where the activity has that role
	Submissions Submissions `json:"submissions"`
}

// Required is about the pupils of the grades that must take part.
type Required struct {
	Enrolled int      `json:"enrolled"`
	Count    int      `json:"count"`
	Rate     *float64 `json:"rate"`
}

// Count is a number of participants in one role.
type Count struct {
	Today int `json:"today"`
	Since int `json:"since_last_report"`
	Total int `json:"total"`
}

// Submissions (人次) of all roles.
type Submissions struct {
	Today int `json:"today"`
	Total int `json:"total"`
}

// School is one school of the region.
type School struct {
	School canyu.SchoolCode `json:"school"`
	Name   string           `json:"name"`
	Numbers
	Classes []Class      `json:"classes"`
	Region  canyu.Region `json:"region,omitempty"` // its county, where the report is about more than one
}

// Class is one class of a school, with its students to date.
type Class struct {
	Grade    uint8  `json:"grade"`
	Class    uint16 `json:"class"`
	Enrolled int    `json:"enrolled"`
	Student  int    `json:"student"`
}

// Part is a region within the report's region.
type Part struct {
	Region  canyu.Region `json:"region"`
	Schools int          `json:"schools"`
	Numbers
}

// DayCount is what one day brought in the whole region.
type DayCount struct {
	Day         canyu.Day `json:"day"`
	Student     int       `json:"student"`
	Parent      int       `json:"parent"`
	Teacher     int       `json:"teacher"`
	Public      int       `json:"public,omitempty"`
	Submissions int       `json:"submissions"`
}

// Note is something that the reader of the numbers should know.
type Note struct {
	Kind  NoteKind `json:"kind"`
	Count int      `json:"count"`
}

// NoteKind is what a Note is about.
type NoteKind string

// The notes. Count is a number of schools, classes or students, or a year.
const (
	SilentSchools NoteKind = "silent_schools" // schools with pupils, none of whom took part yet
	BelowTarget   NoteKind = "below_target"   // classes of required grades that are not complete
	OverEnrolled  NoteKind = "over_enrolled"  // classes with more students than pupils
	// students above the enrolment of their class, or of one that the roster no longer
	// has, in the grades that count
	AboveEnrolment NoteKind = "above_enrolment"
	NewSchools     NoteKind = "new_schools"  // schools that the last report did not have
	GoneSchools    NoteKind = "gone_schools" // schools that only the last report had
	NoCalendar     NoteKind = "no_calendar"  // the year for which report days cannot be told
)

// Thaw is the report that was frozen.
func Thaw(a *canyu.Activity, f canyu.Frozen) (*Report, error) {
	r := &Report{activity: a, body: f.Body}
	if err := json.Unmarshal(f.Body, r); err != nil {
		return nil, fmt.Errorf("cannot read the frozen report of %s, %s, revision %d: %w", f.Region, f.Day, f.Revision, err)
	}
	r.AsOf = r.AsOf.In(a.Zone)
	return r, nil
}

// listed are the schools in the order in which people are told of them: by code,
// or, where the activity allows ranking, the worst first and those of which nothing
// is required last. Files for programs keep to the code.
func (r *Report) listed() []*School {
	schools := make([]*School, len(r.Schools))
	for i := range r.Schools {
		schools[i] = &r.Schools[i]
	}
	if !r.ranks() {
		return schools
	}
	key := func(s *School) float64 {
		if s.Required.Rate == nil {
			return math.Inf(1)
		}
		return *s.Required.Rate
	}
	slices.SortStableFunc(schools, func(a, b *School) int { return cmp.Compare(key(a), key(b)) })
	return schools
}

// Final reports whether this is the report over the whole activity: of a list of days,
// the last one's.
func (r *Report) Final() bool {
	a := r.activity
	return r.Day > a.LastDay && (a.Report.Days != canyu.ListedDays || !slices.ContainsFunc(a.Report.List, func(d canyu.Day) bool { return d > r.Day }))
}

func (n *Numbers) role(role canyu.Role) *Count {
	switch role {
	case canyu.Student:
		return &n.Student
	case canyu.Parent:
		return &n.Parent
	case canyu.Teacher:
		return &n.Teacher
	case canyu.Public:
		if n.Public == nil {
			n.Public = new(Count)
		}
		return n.Public
	}
	return new(Count)
}

// add adds o to n; rates are for setRates, when all is added.
func (n *Numbers) add(o *Numbers) {
	n.Enrolled += o.Enrolled
	n.Required.Enrolled += o.Required.Enrolled
	n.Required.Count += o.Required.Count
	n.Submissions.Today += o.Submissions.Today
	n.Submissions.Total += o.Submissions.Total
	for _, role := range canyu.Roles {
		if role == canyu.Public && o.Public == nil {
			continue
		}
		to, from := n.role(role), o.role(role)
		to.Today += from.Today
		to.Since += from.Since
		to.Total += from.Total
	}
}

func (n *Numbers) setRates() {
	n.Rate = rate(n.Student.Total, n.Enrolled)
	n.Required.Rate = rate(n.Required.Count, n.Required.Enrolled)
}

func rate(count, of int) *float64 {
	if of == 0 {
		return nil
	}
	r := float64(count) / float64(of)
	return &r
}

// cut leaves a rate's hundredths of a percent, as files have them: like percent, it
// says all of nothing less.
func cut(rate float64) float64 { return math.Floor(rate*10_000+1e-9) / 10_000 }
