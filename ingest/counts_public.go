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
	p := a.Public
	if p.Counts != canyu.TotalCounts && p.Counts != canyu.NoCounts && p.AtLeast == 0 {
		return shownAll, nil
	}
	err := s.gate.Check(ctx, where.link(a.ID))
	switch {
	case err == nil:
		return shownAll, nil
	case p.Counts == canyu.NoCounts || enrolled(schools) < p.AtLeast:
		return 0, err
	case p.Counts == canyu.TotalCounts:
		return shownTotals, nil
	}
	return shownLarge, nil
}

func enrolled(schools []*canyu.School) (n int) {
	for _, sc := range schools {
		for _, c := range sc.Classes {
			n += c.Enrolled
		}
	}
	return n
}

// public is the view as far as it is shown.
func (v countsView) public(how shown, atLeast int) countsView {
	switch how {
	case shownTotals:
		v.Grades, v.Classes, v.Schools, v.Regions = nil, nil, nil, nil
	case shownLarge:
		v.Grades = large(v.Grades, atLeast, func(g gradeView) int { return g.Enrolled })
		v.Schools = large(v.Schools, atLeast, func(s schoolView) int { return s.Enrolled })
		v.Regions = large(v.Regions, atLeast, func(r regionView) int { return r.Enrolled })
		var classes []classView
		for _, g := range v.Grades { // its classes add up to it
			of := slices.DeleteFunc(slices.Clone(v.Classes), func(c classView) bool { return c.Grade != g.Grade })
			classes = append(classes, large(of, atLeast, func(c classView) int { return c.Enrolled })...)
		}
		v.Classes = classes
	}
	return v
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
