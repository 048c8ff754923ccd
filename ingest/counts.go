package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// The JSON of GET /v1/activities/{activity}/counts.
type (
	countsView struct {
		Activity     string       `json:"activity"`
		School       string       `json:"school,omitempty"`
		Region       string       `json:"region,omitempty"`
		Participants people       `json:"participants"`
		Submissions  *int         `json:"submissions"`       // null while the archive is away
		Spooled      int          `json:"spooled,omitempty"` // accepted, of the whole activity, and not counted yet
		Enrolled     int          `json:"enrolled"`
		Rate         *float64     `json:"rate"` // students ÷ enrolled; null where nobody is enrolled
		Required     requiredView `json:"required"`
		Grades       []gradeView  `json:"grades"`
		Classes      []classView  `json:"classes,omitempty"` // of a school
		Schools      []schoolView `json:"schools,omitempty"` // of a region
		Today        *todayView   `json:"today"`             // null while the archive is away
		AsOf         string       `json:"as_of"`
	}
	requiredView struct {
		Enrolled int      `json:"enrolled"`
		Count    int      `json:"count"`
		Rate     *float64 `json:"rate"`
	}
	gradeView struct {
		Grade        uint8    `json:"grade"`
		Enrolled     int      `json:"enrolled"`
		Participants people   `json:"participants"`
		Rate         *float64 `json:"rate"`
	}
	classView struct {
		Grade        uint8    `json:"grade"`
		Class        uint16   `json:"class"`
		Enrolled     int      `json:"enrolled"`
		Participants people   `json:"participants"`
		Rate         *float64 `json:"rate"`
	}
	schoolView struct {
		School       canyu.SchoolCode `json:"school"`
		Name         string           `json:"name"`
		Enrolled     int              `json:"enrolled"`
		Participants people           `json:"participants"`
		Rate         *float64         `json:"rate"`
	}
	todayView struct {
		Day          canyu.Day `json:"day"`
		Participants people    `json:"participants"`
		Submissions  int       `json:"submissions"`
	}
	// people is a number of participants for each role of the activity.
	people map[string]int
)

func (a *activity) people(t canyu.Tally) people {
	p := make(people, len(a.Roles))
	for _, r := range a.Roles {
		p[r.String()] = t[r]
	}
	return p
}

func rate(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	r := float64(n) / float64(of)
	return &r
}

// scope is the schools that a request asks about.
type scope struct {
	school canyu.SchoolCode // 0: a region's
	region canyu.Region
}

// scopeOf reads ?school= or ?region=.
func (s *Server) scopeOf(ctx *fasthttp.RequestCtx) (scope, []*canyu.School, error) {
	args := ctx.QueryArgs()
	bad := func(field, reason string) (scope, []*canyu.School, error) {
		return scope{}, nil, canyu.InvalidError{{Field: field, Reason: reason}}
	}
	switch school, region := string(args.Peek("school")), string(args.Peek("region")); {
	case (school == "") == (region == ""):
		return bad("school", "want either school= or region=")
	case school != "":
		code, err := canyu.ParseSchoolCode(school)
		if err != nil {
			return bad("school", "want the ten digits of a school code")
		}
		found := s.roster().School(code)
		if found == nil {
			return bad("school", "is not in the roster")
		}
		return scope{school: code}, []*canyu.School{found}, nil
	default:
		r, err := canyu.ParseRegion(region)
		if err != nil {
			return bad("region", "want six digits")
		}
		found := s.roster().Schools(r)
		if len(found) == 0 {
			return bad("region", "has no school in the roster")
		}
		return scope{region: r}, found, nil
	}
}

// counts is GET /v1/activities/{activity}/counts?school=…|region=…: participants as
// the ledger has them now; submissions, and today, as the archive has them.
func (s *Server) counts(ctx *fasthttp.RequestCtx, a *activity) {
	where, schools, err := s.scopeOf(ctx)
	if err != nil {
		problemOf(err).write(ctx)
		return
	}
	if a.isRecovering() {
		// Until then a count could be lower than it was before.
		problemOf(errAway).write(ctx)
		return
	}
	deadline, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	now := s.now()
	var classes []canyu.Class
	for _, sc := range schools {
		for _, c := range sc.Classes {
			classes = append(classes, sc.Class(c))
		}
	}
	tallies, err := s.Ledger.Counts(deadline, a.ID, classes)
	if err != nil {
		s.Log.Error("cannot count", "activity", a.ID, "error", err)
		problemOf(errAway).write(ctx)
		return
	}
	v := a.view(schools, tallies, where.school != 0)
	if where.school != 0 {
		v.School = where.school.String()
	} else {
		v.Region = where.region.String()
	}
	if archived, err := s.archived.get(deadline, s, a, where, schools, now); err == nil {
		v.Submissions = &archived.submissions
		v.Today = &todayView{archived.day, a.people(archived.today), archived.submissionsToday}
	} else {
		s.Log.Error("cannot read the archive", "activity", a.ID, "error", err)
	}
	v.Spooled = a.spooled()
	v.AsOf = now.In(a.Zone).Format(time.RFC3339)
	writeJSON(ctx, v)
}

// view adds up the tallies of the schools' classes, which are in the same order.
func (a *activity) view(schools []*canyu.School, tallies []canyu.Tally, oneSchool bool) countsView {
	var v countsView
	var all canyu.Tally
	var byGrade [canyu.MaxGrade + 1]struct {
		enrolled int
		tally    canyu.Tally
	}
	for _, sc := range schools {
		var school canyu.Tally
		enrolled := 0
		for _, c := range sc.Classes {
			t := tallies[0]
			tallies = tallies[1:]
			school.Add(t)
			enrolled += c.Enrolled
			byGrade[c.Grade].enrolled += c.Enrolled
			byGrade[c.Grade].tally.Add(t)
			if oneSchool {
				v.Classes = append(v.Classes, classView{c.Grade, c.Number, c.Enrolled, a.people(t), rate(t[canyu.Student], c.Enrolled)})
			}
		}
		if !oneSchool {
			v.Schools = append(v.Schools, schoolView{sc.Code, sc.Name, enrolled, a.people(school), rate(school[canyu.Student], enrolled)})
		}
		all.Add(school)
		v.Enrolled += enrolled
	}
	for g, sum := range byGrade {
		if sum.enrolled == 0 && sum.tally == (canyu.Tally{}) {
			continue
		}
		if a.Required(uint8(g)) {
			v.Required.Enrolled += sum.enrolled
			v.Required.Count += sum.tally[canyu.Student]
		}
		v.Grades = append(v.Grades, gradeView{uint8(g), sum.enrolled, a.people(sum.tally), rate(sum.tally[canyu.Student], sum.enrolled)})
	}
	v.Activity = a.ID
	v.Participants = a.people(all)
	v.Rate = rate(all[canyu.Student], v.Enrolled)
	v.Required.Rate = rate(v.Required.Count, v.Required.Enrolled)
	return v
}

// archived is what only the archive knows, up to five seconds behind.
type archived struct {
	at               time.Time
	day              canyu.Day
	today            canyu.Tally
	submissions      int
	submissionsToday int
}

// archivedCache keeps a scope's numbers for a second, however many ask.
type archivedCache struct {
	mu   sync.Mutex
	kept map[archivedKey]archived
}

type archivedKey struct {
	activity string
	scope
}

const (
	keepArchived = time.Second
	mostArchived = 10_000 // scopes; a province has some 3,000 schools
)

func (c *archivedCache) get(ctx context.Context, s *Server, a *activity, where scope, schools []*canyu.School, now time.Time) (archived, error) {
	key := archivedKey{a.ID, where}
	c.mu.Lock()
	kept, ok := c.kept[key]
	c.mu.Unlock()
	if age := now.Sub(kept.at); ok && age >= 0 && age < keepArchived {
		return kept, nil
	}
	codes := make([]canyu.SchoolCode, len(schools))
	for i, sc := range schools {
		codes[i] = sc.Code
	}
	rollups, err := s.Archive.Rollups(ctx, a.ID, codes, a.FirstDay, a.LastDay)
	if err != nil {
		return archived{}, err
	}
	fresh := archived{at: now, day: a.DayOf(now)}
	for _, r := range rollups {
		fresh.submissions += r.Submissions
		if r.Day == fresh.day {
			fresh.today[r.Role] += r.Participants
			fresh.submissionsToday += r.Submissions
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= mostArchived {
		c.kept = make(map[archivedKey]archived)
	}
	c.kept[key] = fresh
	return fresh, nil
}
