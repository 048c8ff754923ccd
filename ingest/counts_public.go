package ingest

import (
	"cmp"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// shown is how much of a school's or a region's counts somebody gets to see.
type shown uint8

const (
	shownAll    shown = iota
	shownLarge        // groups that are large enough
	shownTotals       // the sums alone
	shownKinds
)

// shownTo is how much the visitor gets to see, or why nothing: with a link all, else
// what the activity says is public.
func (s *Server) shownTo(ctx *fasthttp.RequestCtx, a *activity, where scope, schools []*canyu.School) (shown, error) {
	p := a.Policy(where.region).Public
	if p.Counts != canyu.TotalCounts && p.Counts != canyu.NoCounts && p.AtLeast == 0 {
		return shownAll, nil
	}
	err := s.gate.Check(ctx, where.link(a.ID))
	switch {
	case err == nil:
		return shownAll, nil
	case p.Counts == canyu.NoCounts || enrolled(schools) < p.AtLeast || p.AtLeast > 0 && s.discretion(a).hides[where]:
		return 0, err
	case p.Counts == canyu.TotalCounts:
		return shownTotals, nil
	}
	return shownLarge, nil
}

// judgeOrdinals decides, whenever there is a new roster, whether participants are told
// which number they have: it is the count of the whole activity.
func (s *Server) judgeOrdinals() {
	for _, a := range s.activities {
		p := a.Policy(canyu.Nation).Public
		a.unnumbered.Store(p.Counts == canyu.NoCounts || p.AtLeast > 0 && enrolled(s.roster().Schools(0)) < p.AtLeast)
	}
}

// asked is what a request for counts is about, and how much of it the visitor gets to
// see; if nothing, it has answered why.
func (s *Server) asked(ctx *fasthttp.RequestCtx, a *activity) (where scope, schools []*canyu.School, how shown, ok bool) {
	where, schools, err := s.scopeOf(ctx)
	if err != nil {
		problemOf(err).write(ctx)
		return where, nil, 0, false
	}
	if how, err = s.shownTo(ctx, a, where, schools); err != nil {
		Deny(ctx, err)
		return where, nil, 0, false
	}
	return where, schools, how, true
}

func enrolled(schools []*canyu.School) (n int) {
	for _, sc := range schools {
		for _, c := range sc.Classes {
			n += c.Enrolled
		}
	}
	return n
}

// public is the view as far as it is shown. Where small groups are not, a region's
// grades are not either: with those of its schools a small one could be had. Nor are the
// grades that must take part told apart from the others, which may be few.
func (s *Server) public(a *activity, v countsView, where scope, how shown) countsView {
	if how != shownAll {
		v.Required = v.Required.whole(v.Enrolled)
	}
	switch how {
	case shownTotals:
		v.Grades, v.Classes, v.Schools, v.Regions = nil, nil, nil, nil
	case shownLarge:
		atLeast, hides := a.Policy(where.region).Public.AtLeast, s.discretion(a).hides
		v.Schools = slices.DeleteFunc(slices.Clone(v.Schools), func(sc schoolView) bool {
			found := s.roster().School(sc.School)
			return found == nil || hides[scope{sc.School, found.Region}]
		})
		v.Regions = slices.DeleteFunc(slices.Clone(v.Regions), func(r regionView) bool { return hides[scope{region: r.Region}] })
		for i := range v.Schools {
			v.Schools[i].Required = v.Schools[i].Required.whole(v.Schools[i].Enrolled)
		}
		for i := range v.Regions {
			v.Regions[i].Required = v.Regions[i].Required.whole(v.Regions[i].Enrolled)
		}
		if where.school == 0 {
			v.Grades = nil
		}
		v.Grades = large(v.Grades, atLeast, func(g gradeView) int { return g.Enrolled })
		var classes []classView
		for _, g := range v.Grades { // its classes add up to it
			of := slices.DeleteFunc(slices.Clone(v.Classes), func(c classView) bool { return c.Grade != g.Grade })
			classes = append(classes, large(of, atLeast, func(c classView) int { return c.Enrolled })...)
		}
		v.Classes = classes
	}
	return v
}

// whole is r where it speaks of all who are enrolled, or of nobody; else null.
func (r *requiredView) whole(enrolled int) *requiredView {
	if r.Enrolled == 0 || r.Enrolled == enrolled {
		return r
	}
	return nil
}

// discretion is the schools and regions of a roster that are not shown to everybody:
// the small ones, those that must go with them, and all within one that goes.
type discretion struct {
	of    *canyu.Roster
	hides map[scope]bool
}

// discretion is made once for each roster.
func (s *Server) discretion(a *activity) *discretion {
	r := s.roster()
	if d := a.discretion.Load(); d != nil && d.of == r {
		return d
	}
	d := &discretion{r, make(map[scope]bool)}
	d.within(canyu.Nation, r.Schools(0), a.Policy(canyu.Nation).Public.AtLeast, false)
	a.discretion.Store(d)
	return d
}

// within looks at the parts of a region: the regions one level below, and the schools
// that lie in no such one.
func (d *discretion) within(at canyu.Region, schools []*canyu.School, atLeast int, hidden bool) {
	type part struct {
		scope
		schools []*canyu.School
	}
	var parts []part
	index := make(map[canyu.Region]int)
	for _, sc := range schools {
		r := at.Part(sc.Region)
		if r == at {
			parts = append(parts, part{scope{sc.Code, sc.Region}, []*canyu.School{sc}})
			continue
		}
		i, known := index[r]
		if !known {
			i = len(parts)
			index[r], parts = i, append(parts, part{scope: scope{region: r}})
		}
		parts[i].schools = append(parts[i].schools, sc)
	}
	shown := make(map[scope]bool, len(parts))
	for _, p := range large(parts, atLeast, func(p part) int { return enrolled(p.schools) }) {
		shown[p.scope] = !hidden
	}
	for _, p := range parts {
		if !shown[p.scope] {
			d.hides[p.scope] = true
		}
		if p.school == 0 {
			d.within(p.region, p.schools, atLeast, !shown[p.scope])
		}
	}
}

// large leaves out groups with fewer than atLeast pupils. What is left out has, taken
// together, as many, or it could be had by subtraction: so the next larger may go too.
func large[G any](groups []G, atLeast int, size func(G) int) []G {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(size(groups[i]), size(groups[j])) })
	small, pupils := make(map[int]bool), 0
	for _, i := range order {
		if size(groups[i]) >= atLeast && (pupils == 0 || pupils >= atLeast) {
			break
		}
		small[i] = true
		pupils += size(groups[i])
	}
	var shown []G
	for i, g := range groups {
		if !small[i] {
			shown = append(shown, g)
		}
	}
	return shown
}
