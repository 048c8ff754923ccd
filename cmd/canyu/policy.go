package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/canyu/canyu"
)

// policySettings are switches, on or off, of the site, an activity or a region. One
// that is not given says nothing. Where several say something, the stricter wins.
type policySettings struct {
	Ranking   onOff                     `yaml:"ranking"`
	Voluntary onOff                     `yaml:"voluntary"`
	NotYet    onOff                     `yaml:"not_yet"`
	Wall      onOff                     `yaml:"wall"`
	Public    publicSettings            `yaml:"public"`
	Regions   map[string]policySettings `yaml:"regions"`
}

// policySwitch has what is stricter, and what holds where nobody says anything.
type policySwitch struct {
	name             string
	strict, fallback onOff
	of               func(*policySettings) onOff
}

var policySwitches = []policySwitch{
	{"ranking", "off", "off", func(p *policySettings) onOff { return p.Ranking }},
	{"voluntary", "on", "on", func(p *policySettings) onOff { return p.Voluntary }},
	{"not_yet", "off", "on", func(p *policySettings) onOff { return p.NotYet }},
	{"wall", "off", "off", func(p *policySettings) onOff { return p.Wall }},
}

// check tells every mistake of the switches. Those of a region can only be stricter
// than what holds around it.
func (p *policySettings) check(wrong func(string, ...any)) {
	p.checkSwitches("policy", false, wrong)
	for _, code := range slices.Sorted(maps.Keys(p.Regions)) {
		field := "policy.regions." + code
		if _, err := canyu.ParseRegion(code); err != nil {
			wrong("policy.regions: %w", err)
		}
		of := p.Regions[code]
		of.checkSwitches(field, true, wrong)
		if len(of.Regions) > 0 {
			wrong("%s.regions: a region has no regions of its own here: list them under policy.regions", field)
		}
	}
}

func (p *policySettings) checkSwitches(field string, region bool, wrong func(string, ...any)) {
	for _, s := range policySwitches {
		switch said := s.of(p); {
		case said != "" && said != "on" && said != "off":
			wrong("%s.%s %q: want on or off", field, s.name, said)
		case region && said != "" && said != s.strict:
			wrong("%s.%s: want %s: a region can only be stricter than its activity", field, s.name, s.strict)
		}
	}
	if err := p.Public.publicity().Validate(); err != nil {
		wrong("%s.%w", field, err)
	}
}

func (p *publicSettings) publicity() canyu.Publicity {
	return canyu.Publicity{Counts: canyu.PublicCounts(p.Counts), AtLeast: p.AtLeast}
}

// restrictions are those that a region's settings make.
func (p *policySettings) restrictions() canyu.Policy {
	return canyu.Policy{NoRanking: p.Ranking == "off", NoNotYet: p.NotYet == "off", NoWall: p.Wall == "off",
		Voluntary: p.Voluntary == "on", Public: p.Public.publicity()}
}

// policy lays the switches of the site and the activity over an activity. The keys of
// the activity itself, public, wall and report.ranking, are switches too.
func (e *activitySettings) policy(site *policySettings, a *canyu.Activity) {
	own := policySettings{Wall: e.Wall, Public: e.Public}
	if e.Report.Ranking {
		own.Ranking = "on"
	}
	levels := []*policySettings{site, &e.Policy, &own}
	is := func(name string) bool {
		s := policySwitches[slices.IndexFunc(policySwitches, func(s policySwitch) bool { return s.name == name })]
		state := onOff("")
		for _, level := range levels {
			if said := s.of(level); said != "" && state != s.strict {
				state = said
			}
		}
		return cmp.Or(state, s.fallback) == "on"
	}
	a.Report.Ranking = is("ranking")
	if a.Wall = nil; is("wall") {
		a.Wall = new(canyu.Wall)
	}
	a.Policies = make(map[canyu.Region]canyu.Policy)
	a.Policies[canyu.Nation] = canyu.Policy{Voluntary: is("voluntary"), NoNotYet: !is("not_yet")}
	for _, level := range levels {
		a.Public = a.Public.And(level.Public.publicity())
		for code, settings := range level.Regions {
			if region, err := canyu.ParseRegion(code); err == nil {
				a.Policies[region] = a.Policies[region].And(settings.restrictions())
			}
		}
	}
}

// explainPolicy says what holds in an activity, and where more does.
func explainPolicy(out io.Writer, a *canyu.Activity) {
	everywhere := canyu.Policy{NoRanking: !a.Report.Ranking, NoWall: a.Wall == nil, Public: a.Public}.And(a.Policies[canyu.Nation])
	fmt.Fprintf(out, "  policy: %s\n", policyInWords(everywhere))
	for _, region := range slices.Sorted(maps.Keys(a.Policies)) {
		if p := a.Policies[region].And(everywhere); region != canyu.Nation && p != everywhere {
			fmt.Fprintf(out, "  policy in %s: %s\n", region, policyInWords(p))
		}
	}
}

func policyInWords(p canyu.Policy) string {
	either := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	counts := map[canyu.PublicCounts]string{
		canyu.AllCounts: "everybody sees all counts", canyu.TotalCounts: "everybody sees the sums of schools and regions", canyu.NoCounts: "nobody sees counts without a link",
	}
	public := counts[canyu.AllCounts]
	if p.Public.Counts != "" {
		public = counts[p.Public.Counts]
	}
	if p.Public.AtLeast > 0 && p.Public.Counts != canyu.NoCounts {
		public += fmt.Sprintf(" of at least %d pupils", p.Public.AtLeast)
	}
	return strings.Join([]string{
		public,
		either(p.NoRanking, "nothing ranks schools", "mails, workbooks and files may rank schools"),
		either(p.Voluntary, "taking part is called voluntary, without a target", "required grades are to reach 100 %"),
		either(p.NoNotYet, "nobody is told which seats have not taken part", "who holds a link is told which seats have not taken part"),
		either(p.NoWall, "no wall", "messages are on a wall after a review"),
		"no mail names a pupil",
	}, "; ")
}
