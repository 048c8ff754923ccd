package reports

import (
	"html/template"
	"strings"

	"github.com/canyu/canyu"
)

// view is a report put into words: what the HTML and the text form show, in their
// order. Numbers become text here and nowhere else.
type view struct {
	Lang      string
	Title     string // of the activity
	Heading   string
	Place     string
	Date      string
	Sample    string
	Late      string
	Sentence  string
	More      []string
	Rate      string
	Bar       int // width of the rate's bar, 0…100
	Facts     []fact
	Parts     table
	Schools   table
	Classes   table // of a school's own report
	Correct   string
	Changes   []string
	NotesHead string
	Notes     []string
	Trend     string       // words about the chart
	Chart     template.URL // "" leaves it out
	AsOf      string
	Zone      string
	Revision  string
	Footer    []string
}

type fact struct{ Name, Value, More string }

// table has the students of each row: today, since the last report, total, rate.
type table struct {
	Head []string
	Rows []row
}

func (s speaker) table(of string) table {
	return table{Head: []string{s.say(of), s.say("today"), s.say("since"), s.say("total"), s.say("rate")}}
}

type row struct {
	Code    string
	Name    string
	details []string
	Cells   []string
	Rate    string
	Done    bool // reached the target
	Short   bool // a class that is to reach it and has not
}

func (r row) Details() string { return strings.Join(r.details, " · ") }

// Detail is Details for a narrow screen: lines break between its parts only.
func (r row) Detail() string {
	return strings.ReplaceAll(strings.ReplaceAll(r.Details(), " ", "\u00a0"), "\u00a0·\u00a0", " · ")
}

func newView(r *Report, s speaker) *view {
	a := r.activity
	name, code := r.place()
	v := &view{
		Lang: s.tag(), Title: a.Title.In(s.tag()), Heading: s.say("heading"),
		Place: name + " " + code, Date: s.date(r.Day),
		NotesHead: s.say("notes"), Trend: s.say("trend"),
		AsOf:     s.say("as_of", s.moment(r.AsOf)),
		Parts:    s.table("region"),
		Schools:  s.table("school"),
		Zone:     s.say("zone", s.zone(r.AsOf)),
		Revision: s.say("revision", r.Revision),
		Footer:   []string{s.say("footer.since"), s.say("footer")},
	}
	if name == code {
		v.Place = code
	}
	if r.Signed() {
		v.Footer = append(v.Footer, s.say("footer.signed", signedBy(r.signature)))
	}
	if r.Final() {
		v.Heading = s.say("heading.final")
	}
	if r.sample {
		v.Sample = s.say("sample")
	}
	if r.late {
		v.Late = s.say("late")
	}
	t := &r.Total
	all, parts := r.gaps()
	v.sentences(r, s, all)
	for _, role := range a.Roles {
		c := t.role(role)
		v.Facts = append(v.Facts, fact{s.role(role), number(c.Total), s.say("today") + " " + number(c.Today) + " · " + s.say("since") + " " + number(c.Since)})
	}
	v.Facts = append(v.Facts, fact{s.say("submissions"), number(t.Submissions.Total), s.say("today") + " " + number(t.Submissions.Today)})
	for i := range r.Regions {
		p := &r.Regions[i]
		v.Parts.Rows = append(v.Parts.Rows, rowOf(s, a, p.Region.String(), p.Region.Name(), t, &p.Numbers, parts[p.Region], 0))
	}
	if r.school {
		v.Classes = classTable(s, a, r.Schools[0].Classes)
	} else if r.Region%10000 != 0 { // a province's mail tells of its cities; its schools are in the workbook
		for _, sc := range r.listed() {
			v.Schools.Rows = append(v.Schools.Rows, rowOf(s, a, sc.School.String(), sc.Name, t, &sc.Numbers, sc.gaps(a), sc.below(a)))
		}
	}
	v.corrections(r, s)
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, s.say(string(n.Kind), n.Count))
	}
	v.Notes = append(v.Notes, r.Quality.say(s)...)
	return v
}

func (v *view) sentences(r *Report, s speaker, all gaps) {
	t := &r.Total
	name, _ := r.place()
	headline := t.Required.Rate
	if t.Required.Enrolled > 0 {
		v.Sentence = s.say("sentence", name, number(t.Required.Enrolled), number(t.Required.Count), percent(t.Required.Rate))
		if t.Enrolled != t.Required.Enrolled {
			v.More = append(v.More, s.say("sentence.all", number(t.Enrolled), number(t.Student.Total), percent(t.Rate)))
		}
	} else {
		headline = t.Rate
		v.Sentence = s.say("sentence.free", name, number(t.Enrolled), number(t.Student.Total), percent(t.Rate))
	}
	v.Rate = percent(headline)
	if all.missing > 0 && headline != nil && *headline >= 1 {
		v.More = append([]string{s.say("sentence.missing", number(all.missing))}, v.More...)
	}
	if headline != nil {
		v.Bar = max(0, min(100, int(*headline*100)))
	}
}

// rowOf is a school or part among those that add up to all.
func rowOf(s speaker, a *canyu.Activity, code, name string, all, n *Numbers, g gaps, below int) row {
	rate, count, of, what := n.Required.Rate, n.Required.Count, n.Required.Enrolled, "required.enrolled"
	if of == 0 && n.Enrolled > 0 { // of its pupils none must, or nobody's
		count, of = n.Student.Total, n.Enrolled
		if len(a.RequiredGrades) > 0 {
			what = "enrolled"
		}
	}
	if all.Required.Enrolled == 0 {
		rate = n.Rate
	}
	w := row{Code: code, Name: name, Done: rate != nil && *rate >= 1 && g.missing == 0 && what == "required.enrolled",
		details: []string{s.say("count.of", s.say(what), number(count), number(of))},
		Cells:   []string{number(n.Student.Today), number(n.Student.Since), number(n.Student.Total)}, Rate: percent(rate)}
	for _, role := range a.Roles {
		if role != canyu.Student {
			w.details = append(w.details, s.say("count.is", s.role(role), number(n.role(role).Total)))
		}
	}
	if g.above > 0 {
		w.details = append(w.details, s.say("above", number(g.above)))
	}
	if below > 0 {
		w.details = append(w.details, s.say("below", below))
	}
	return w
}

// classTable has the enrolment and the students of each class; what a required one
// still lacks stands below it.
func classTable(s speaker, a *canyu.Activity, classes []Class) table {
	t := table{Head: []string{s.say("class"), s.say("class.enrolled"), s.say("class.count"), s.say("rate")}}
	for _, c := range classes {
		q := rate(c.Student, c.Enrolled)
		w := row{Name: s.class(c.Grade, c.Class), Cells: []string{number(c.Enrolled), number(c.Student)}, Rate: percent(q), Done: q != nil && *q >= 1}
		switch {
		case !a.Required(c.Grade) && len(a.RequiredGrades) > 0:
			w.details = []string{s.say("class.free")}
		case c.Student < c.Enrolled:
			w.Short, w.details = !s.voluntary, []string{s.say("class.short", number(c.Enrolled-c.Student))}
		}
		t.Rows = append(t.Rows, w)
	}
	return t
}

func (v *view) corrections(r *Report, s speaker) {
	if r.Revision < 2 {
		return
	}
	v.Correct = s.say("correction", r.Revision-1)
	if !r.corrects() {
		v.Changes = []string{s.say("unchanged")}
	}
	for _, c := range r.Changes {
		v.Changes = append(v.Changes, s.say("change", c.Name, s.role(c.Role), number(c.Before), number(c.Now)))
	}
	for _, c := range r.RosterChanges {
		v.Changes = append(v.Changes, s.rosterChange(c))
	}
}

func (s speaker) rosterChange(c RosterChange) string {
	before, now := number(c.Before), number(c.Now)
	switch c.What {
	case ChangedClasses:
		return s.say("change.classes", c.Name, now)
	case ChangedRegion:
		before, now = canyu.Region(c.Before).Name(), canyu.Region(c.Now).Name()
	}
	return s.say("change", c.Name, s.say(strings.ReplaceAll(string(c.What), "_", ".")), before, now)
}

// Subject of the report's mail.
func (r *Report) Subject(lang string) string {
	s := r.speaker(lang)
	_, month, day := r.Day.Date()
	title := r.activity.Title.In(s.tag())
	place, _ := r.place()
	subject := s.say("subject", title, place, int(month), day)
	if r.Final() {
		subject = s.say("subject.final", title, place)
	}
	if r.Revision > 1 {
		subject += s.say("subject.correction", r.Revision-1)
	}
	if r.sample {
		subject = s.say("subject.test") + subject
	}
	return subject
}

// FileName of the workbook in the mail; that of a correction is another.
func (r *Report) FileName(lang string) string { return r.fileName(lang) + ".xlsx" }

func (r *Report) fileName(lang string) string {
	s := r.speaker(lang)
	place, _ := r.place()
	name := s.say("attachment", place, r.Day, r.activity.Title.In(s.tag()))
	if r.Revision > 1 { // what it corrects is kept beside it
		name += s.say("attachment.correction", r.Revision-1)
	}
	return fileSafe.Replace(name)
}

var fileSafe = strings.NewReplacer("/", "_", `\`, "_", ":", "_", "*", "_", "?", "_", `"`, "_", "<", "_", ">", "_", "|", "_", "\n", "_", "\r", "_")
