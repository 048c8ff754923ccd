package canyu

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Policy is what an activity keeps to itself, and how it speaks of taking part. Each
// field is a restriction: of two policies, the stricter is both of them.
type Policy struct {
	NoRanking bool // nothing that leaves a bureau's own page orders schools by how many took part
	NoNotYet  bool // which seats have taken part, and so which have not, is told to nobody
	NoWall    bool // what participants wrote is shown to nobody
	Voluntary bool // taking part is called voluntary, and no target is named
	Public    Publicity
}

// And is the stricter of both.
func (p Policy) And(o Policy) Policy {
	return Policy{
		NoRanking: p.NoRanking || o.NoRanking,
		NoNotYet:  p.NoNotYet || o.NoNotYet,
		NoWall:    p.NoWall || o.NoWall,
		Voluntary: p.Voluntary || o.Voluntary,
		Public:    p.Public.And(o.Public),
	}
}

// Policy is what holds where a region is spoken of: the activity's own, and all of
// Policies whose region contains it or lies within it. So a region is as closed as the
// most closed of its parts, which could else be had by subtraction.
func (a *Activity) Policy(region Region) Policy {
	p := Policy{NoRanking: !a.Report.Ranking, NoWall: a.Wall == nil, Public: a.Public}
	for at, more := range a.Policies {
		if at.Contains(region) || region.Contains(at) {
			p = p.And(more)
		}
	}
	return p
}

// WallPolicies are the regions whose policy has no wall, as switches that nobody can
// turn: see WallOff.
func (a *Activity) WallPolicies() []WallSwitch {
	var off []WallSwitch
	for _, region := range slices.Sorted(maps.Keys(a.Policies)) {
		if a.Policies[region].NoWall {
			off = append(off, WallSwitch{Region: region, Off: true, By: ByPolicy})
		}
	}
	return off
}

// ByPolicy stands for who turned a wall off where the policy did.
const ByPolicy = "policy"

// Publicity is what everybody may see of an activity's counts, without a link. The
// zero Publicity is AllCounts.
type Publicity struct {
	Counts  PublicCounts
	AtLeast int // no group with fewer pupils is shown, nor what one could be had from
}

// PublicCounts is how much of the counts is public.
type PublicCounts string

// How much is public.
const (
	AllCounts   PublicCounts = "all"    // schools, grades and classes
	TotalCounts PublicCounts = "totals" // only the sums of a school or a region
	NoCounts    PublicCounts = "none"   // nothing without a link
)

// And is the stricter of both.
func (p Publicity) And(o Publicity) Publicity {
	order := []PublicCounts{AllCounts, TotalCounts, NoCounts} // "" is before all
	if slices.Index(order, o.Counts) > slices.Index(order, p.Counts) {
		p.Counts = o.Counts
	}
	p.AtLeast = max(p.AtLeast, o.AtLeast)
	return p
}

// Validate tells mistakes by the names of the fields in canyu.yaml.
func (p Publicity) Validate() error {
	switch cmp.Or(p.Counts, AllCounts) {
	case AllCounts, TotalCounts, NoCounts:
	default:
		return fmt.Errorf("public.counts %q: want all, totals or none", p.Counts)
	}
	if p.AtLeast < 0 {
		return fmt.Errorf("public.at_least %d: want 0 or more", p.AtLeast)
	}
	return nil
}
