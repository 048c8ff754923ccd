package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// scope is the schools that a request asks about.
type scope struct {
	school canyu.SchoolCode // 0: a region's
	region canyu.Region     // also where the school is
}

// link is what a link has to cover to open it.
func (w scope) link(activity string) canyu.Scope {
	if w.school != 0 {
		return canyu.Scope{Kind: canyu.SchoolScope, Activity: activity, Region: w.region, School: w.school}
	}
	return canyu.Scope{Kind: canyu.RegionScope, Activity: activity, Region: w.region}
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
		return scope{code, found.Region}, []*canyu.School{found}, nil
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
	where, schools, how, ok := s.asked(ctx, a)
	if !ok {
		return
	}
	asOf := s.now()
	var tallies []canyu.Tally
	var err error
	if classes := classesOf(schools); len(classes) <= largeRegion {
		deadline, cancel := context.WithTimeout(context.Background(), attempt)
		defer cancel()
		tallies, err = s.tallies(deadline, a, classes)
	} else {
		r := s.large.get(s, a, where, schools)
		asOf, schools, tallies, err = r.at, r.schools, r.tallies, r.err
	}
	if errors.Is(err, errBusy) {
		p := newProblem(503, "busy", "Too busy", "too many ask for large regions: try again, or watch the live counts")
		p.retryAfter = "5"
		p.write(ctx)
		return
	}
	if err != nil {
		s.Log.Error("cannot count", "activity", a.ID, "error", err)
		problemOf(errAway).write(ctx)
		return
	}
	v := a.view(where, schools, tallies)
	later, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	if got, err := s.archived.get(later, s, a, where, schools, s.now()); err == nil {
		v.archived(a, got)
	} else {
		s.Log.Error("cannot read the archive", "activity", a.ID, "error", err)
	}
	v.Spooled = a.spooled()
	v.AsOf = asOf.In(a.Zone).Format(time.RFC3339)
	writeJSON(ctx, s.public(a, v, where, how))
	ctx.Response.Header.Set("Vary", "Cookie")
}

// tallies are the ledger's, unless it may lack what it had acknowledged: until it has
// proved that it does not, a count could be lower than it was before.
func (s *Server) tallies(ctx context.Context, a *activity, classes []canyu.Class) ([]canyu.Tally, error) {
	if a.isPurged() {
		return s.purgedTallies(ctx, a, classes)
	}
	if a.isRecovering() {
		return nil, errAway
	}
	tallies, err := s.Ledger.Counts(ctx, a.ID, classes)
	a.admit(classes, tallies)
	return tallies, err
}

func classesOf(schools []*canyu.School) []canyu.Class {
	var classes []canyu.Class
	for _, sc := range schools {
		for _, c := range sc.Classes {
			classes = append(classes, sc.Class(c))
		}
	}
	return classes
}

// archived adds what the archive knows.
func (v *countsView) archived(a *activity, got archived) {
	v.Submissions = &got.submissions
	v.Today = &todayView{got.day, a.people(got.today), got.submissionsToday}
}

// archived is what only the archive knows, up to five seconds behind.
type archived struct {
	at               time.Time
	day              canyu.Day
	today            canyu.Tally
	submissions      int
	submissionsToday int
}

func (x *archived) add(r *canyu.Rollup) {
	x.submissions += r.Submissions
	if r.Day == x.day {
		x.today[r.Role] += r.Participants
		x.submissionsToday += r.Submissions
	}
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
	for i := range rollups {
		fresh.add(&rollups[i])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= mostArchived {
		c.kept = make(map[archivedKey]archived)
	}
	c.kept[key] = fresh
	return fresh, nil
}
