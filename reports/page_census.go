package reports

import (
	"context"
	"errors"
	"time"

	"github.com/canyu/canyu"
)

// How long numbers are kept, and how long a page waits for them.
const (
	keepRoster  = 10 * time.Second
	keepCensus  = time.Second
	keepArchive = 3 * time.Second // with the reading and the page's own beat still within five seconds
	keepReports = 20 * time.Second

	countPatience   = 15 * time.Second
	archivePatience = 300 * time.Millisecond // for all that the archive is asked: first numbers do not wait for longer
	ledgerPatience  = 3 * time.Second
)

// patience is what is left of it for this page.
func (r *visit) patience() time.Duration {
	if r.waits.IsZero() {
		r.waits = time.Now().Add(archivePatience)
	}
	return max(0, time.Until(r.waits))
}

// roster is the newest, up to ten seconds late.
func (r *visit) roster() (*canyu.Roster, error) {
	roster, _, err := r.p.rosters.get(r, r.p, struct{}{}, keepRoster, countPatience, r.p.Archive.Roster)
	if roster != nil {
		return roster, nil
	}
	return nil, err
}

// census is how many took part in the classes of some schools at one moment.
type census struct {
	schools []*canyu.School
	tallies []canyu.Tally // of their classes, in order
	at      time.Time
	live    bool // as the ledger has it; else as the archive had it when it was last told
}

// census of a school or region: by the ledger, or by the archive where that is away.
func (r *visit) census(where place, schools []*canyu.School) (*census, error) {
	p, a := r.p, r.activity
	c, at, err := p.censuses.get(r, p, where, keepCensus, countPatience, func(ctx context.Context) (*census, error) {
		c := &census{schools: schools}
		var classes []canyu.Class
		for _, s := range schools {
			for _, k := range s.Classes {
				classes = append(classes, s.Class(k))
			}
		}
		patient, cancel := context.WithTimeout(ctx, ledgerPatience)
		defer cancel()
		var ledgerErr error
		if c.tallies, ledgerErr = p.Ledger.Counts(patient, a.ID, classes); ledgerErr == nil {
			c.live = true
			c.admit(patient, p, a, classes, codesOf(where, schools))
			return c, nil
		}
		p.log().Warn("a page tells what the archive has", "activity", a.ID, "error", ledgerErr)
		if err := c.fromArchive(ctx, p.Archive, a, classes, codesOf(where, schools)); err != nil {
			return nil, errors.Join(ledgerErr, err)
		}
		return c, nil
	})
	if c == nil {
		return nil, err
	}
	told := *c // its moment is the visit's own
	told.at, told.live = at.In(a.Zone), c.live && err == nil
	return &told, nil
}

func (c *census) fromArchive(ctx context.Context, archive canyu.Archive, a *canyu.Activity, classes []canyu.Class, codes []canyu.SchoolCode) error {
	rollups, err := archive.Rollups(ctx, a.ID, codes, a.FirstDay, a.LastDay)
	if err != nil {
		return err
	}
	index := make(map[canyu.Class]int, len(classes))
	for i, k := range classes {
		index[k] = i
	}
	c.tallies = make([]canyu.Tally, len(classes))
	for _, u := range rollups {
		if i, ok := index[u.Class]; ok {
			c.tallies[i][u.Role] += u.Participants
		}
	}
	return nil
}

// codesOf is what the archive is asked for: nil, which is all, for all.
func codesOf(where place, schools []*canyu.School) []canyu.SchoolCode {
	if where.school == 0 && where.region == 0 {
		return nil
	}
	codes := make([]canyu.SchoolCode, len(schools))
	for i, s := range schools {
		codes[i] = s.Code
	}
	return codes
}

// sums are what is told of a school, a region or a class.
type sums struct {
	Tally    canyu.Tally
	Enrolled int
	Required Required // without its rate
	Schools  int
	Silent   int // schools with pupils of whom none took part
	Classes  int // of the grades that count
	Short    int // of those, the ones that are not complete
	Over     int // classes with more students than pupils

	missing         int  // pupils whom classes lack, class by class
	requiredMissing int  // of those, in grades that must take part
	above           int  // students above the enrolment of their class, in the grades that count
	must            bool // told beside others of whom some must take part
}

func (s *sums) add(o *sums) {
	s.Tally.Add(o.Tally)
	s.Enrolled += o.Enrolled
	s.Required.Enrolled += o.Required.Enrolled
	s.Required.Count += o.Required.Count
	s.Schools += o.Schools
	s.Silent += o.Silent
	s.Classes += o.Classes
	s.Short += o.Short
	s.Over += o.Over
	s.missing += o.missing
	s.requiredMissing += o.requiredMissing
	s.above += o.above
}

// headline is what the rate is made of: the grades that must take part, or all
// where none must. Those who are left are told class by class: who is above the
// enrolment of one makes up for nobody in another.
func (s *sums) headline() (count, of, left int) {
	if s.Required.Enrolled == 0 && !s.must {
		return s.Tally[canyu.Student], s.Enrolled, s.missing
	}
	return s.Required.Count, s.Required.Enrolled, s.requiredMissing
}

// ofClass are the sums of one class.
func ofClass(a *canyu.Activity, k canyu.SchoolClass, t canyu.Tally) sums {
	students := t[canyu.Student]
	s := sums{Tally: t, Enrolled: k.Enrolled, missing: max(0, k.Enrolled-students), above: gapsOf(a, k.Grade, students, k.Enrolled).above}
	if a.Required(k.Grade) {
		s.Required, s.requiredMissing = Required{Enrolled: k.Enrolled, Count: students}, s.missing
	}
	if a.Required(k.Grade) || len(a.RequiredGrades) == 0 {
		s.Classes = 1
		if students < k.Enrolled {
			s.Short = 1
		}
	}
	if students > k.Enrolled {
		s.Over = 1
	}
	return s
}

// each runs over the schools with their sums; the tallies are those of the school's
// classes.
func (c *census) each(a *canyu.Activity, yield func(s *canyu.School, sum *sums, tallies []canyu.Tally)) {
	rest := c.tallies
	for _, s := range c.schools {
		own := rest[:len(s.Classes)]
		rest = rest[len(s.Classes):]
		var sum sums
		for i, k := range s.Classes {
			one := ofClass(a, k, own[i])
			sum.add(&one)
		}
		sum.Schools = 1
		if sum.Enrolled > 0 && sum.Tally[canyu.Student] == 0 {
			sum.Silent = 1
		}
		yield(s, &sum, own)
	}
}

// level is how far a rate has come, for colour and sign: 0 nobody, 4 all, and nobody
// is left in any class.
func level(rate *float64, left int) int {
	switch {
	case rate == nil || *rate <= 0:
		return 0
	case *rate < 0.6:
		return 1
	case *rate < 0.9:
		return 2
	case *rate < 1 || left > 0:
		return 3
	}
	return 4
}

// totalView is the first thing to be seen.
type totalView struct {
	Count, Of   int // of the grades that must take part
	Rate        string
	Bar         float64 // 0…100
	Level       int
	Label       string
	Sentence    string
	More        string
	Facts       []pageFact
	AsOf        string
	Live        bool
	Days        string // when the activity is
	Submissions string
	clock       string
}

// Size is the style of a count of many digits.
func (t *totalView) Size() string {
	switch n := len(number(t.Count)); {
	case n > 8:
		return " longer"
	case n > 5:
		return " long"
	}
	return ""
}

type pageFact struct{ Key, Name, Value, More string }

// total puts the numbers into words.
func (r *visit) total(c *census, sum *sums) {
	s, a := r.s, r.activity
	count, of, left := sum.headline()
	q := rate(count, of)
	t := &r.Total
	t.Count, t.Of, t.Rate, t.Level = count, of, percent(q), level(q, left)
	if q != nil {
		t.Bar = bar(*q)
	}
	t.Label = s.page("total.required")
	if sum.Required.Enrolled == 0 {
		t.Label = s.page("total.all")
	}
	t.Sentence = s.page("total.left", number(left))
	if of == 0 {
		t.Sentence = s.page("total.nobody")
	} else if left == 0 {
		t.Sentence = s.page("total.done")
	}
	if sum.Required.Enrolled > 0 && sum.Enrolled != sum.Required.Enrolled {
		t.More = s.say("sentence.all", number(sum.Enrolled), number(sum.Tally[canyu.Student]), percent(rate(sum.Tally[canyu.Student], sum.Enrolled)))
	}
	t.AsOf, t.Live, t.clock = c.at.Format(time.RFC3339), c.live, c.at.Format("15:04:05")
	t.Days = s.page("open.days", s.shortDay(a.FirstDay), s.shortDay(a.LastDay))
	if sum.Classes > 0 {
		t.Facts = append(t.Facts, pageFact{"complete", s.page("fact.complete"), number(sum.Classes - sum.Short), "/ " + number(sum.Classes)})
	}
	for _, role := range a.Roles {
		if role != canyu.Student {
			t.Facts = append(t.Facts, pageFact{role.String(), s.role(role), number(sum.Tally[role]), s.page("fact.apart")})
		}
	}
}

// bar is a width in percent, cut to tenths, that stays within its frame.
func bar(rate float64) float64 { return float64(int(max(0, min(1, rate))*1000+1e-9)) / 10 }

func (s speaker) shortDay(d canyu.Day) string {
	_, m, day := d.Date()
	if s.tag() == "en" {
		return s.page("day.short", day, m.String()[:3])
	}
	return s.page("day.short", int(m), day)
}
