package reports

import (
	"maps"
	"slices"

	"github.com/canyu/canyu"
)

// Of is a school's part of the report as a report of its own: the same numbers of
// the same revision, by class. nil where the report does not have the school.
func (r *Report) Of(code canyu.SchoolCode) *Report {
	i := slices.IndexFunc(r.Schools, func(s School) bool { return s.School == code })
	if i < 0 {
		return nil
	}
	s := r.Schools[i]
	own := *r
	own.school, own.body, own.signature, own.Audit = true, nil, "", nil // it is part of what was frozen and signed
	own.Total, own.Schools, own.Regions, own.Days = s.Numbers, []School{s}, nil, []DayCount{}
	if s.Region != 0 {
		own.Region = s.Region
	}
	own.Notes = notes(&own)
	for _, n := range r.Notes {
		if n.Kind == NoCalendar {
			own.Notes = append(own.Notes, n)
		}
	}
	own.Quality = r.Quality.of(code)
	own.Changes, own.RosterChanges, own.messages = nil, nil, nil
	for _, c := range r.Changes {
		if c.School == code {
			own.Changes = append(own.Changes, c)
		}
	}
	for _, c := range r.RosterChanges {
		if c.School == code {
			own.RosterChanges = append(own.RosterChanges, c)
		}
	}
	for _, m := range r.messages {
		if m.Class.School == code {
			own.messages = append(own.messages, m)
		}
	}
	return &own
}

// place is what the report is about, and its code.
func (r *Report) place() (name, code string) {
	if r.school {
		return r.Schools[0].Name, r.Schools[0].School.String()
	}
	return r.Region.Name(), r.Region.String()
}

// tellingRegion is the region whose report has the numbers for a school's own
// letter: the smallest one around the school that anybody is told about, or 0.
func tellingRegion(p *canyu.ReportPlan, roster *canyu.Roster, code canyu.SchoolCode) canyu.Region {
	s := roster.School(code)
	if s == nil {
		return 0
	}
	for _, region := range []canyu.Region{s.Region, s.Region.Parent(), s.Region.Parent().Parent()} {
		if len(p.Recipients[region]) > 0 {
			return region
		}
	}
	return 0
}

// unplaced are the schools that are to get letters, but that no report has.
func unplaced(a *canyu.Activity, roster *canyu.Roster) []canyu.SchoolCode {
	codes := slices.Sorted(maps.Keys(a.Report.Schools))
	return slices.DeleteFunc(codes, func(code canyu.SchoolCode) bool { return tellingRegion(&a.Report, roster, code) != 0 })
}

// addressees are those who are to get a revision of the region's report, or their
// school's part of it. A correction goes to the schools that it is about, and to
// those that have had nothing yet.
func (w *work) addressees(r *Report, roster *canyu.Roster) []canyu.Delivery {
	var all []canyu.Delivery
	add := func(school canyu.SchoolCode, addresses []string) {
		for _, address := range addresses {
			all = append(all, canyu.Delivery{Activity: w.activity.ID, Region: w.result.Region, Day: w.result.Day, Revision: r.Revision,
				School: school, Recipient: address, State: canyu.Pending, At: w.second()})
		}
	}
	plan := &w.activity.Report
	add(0, plan.Recipients[w.result.Region])
	concerned := func(code canyu.SchoolCode) bool {
		return r.Revision == 1 || slices.ContainsFunc(r.Changes, func(c Change) bool { return c.School == code }) ||
			slices.ContainsFunc(r.RosterChanges, func(c RosterChange) bool { return c.School == code }) ||
			!slices.ContainsFunc(w.rows, func(d canyu.Delivery) bool {
				return d.School == code && d.Revision < r.Revision && d.State == canyu.Sent
			})
	}
	for _, code := range slices.Sorted(maps.Keys(plan.Schools)) {
		if tellingRegion(plan, roster, code) == w.result.Region && r.has(code) && concerned(code) {
			add(code, plan.Schools[code])
		}
	}
	return all
}

func (r *Report) has(code canyu.SchoolCode) bool {
	return slices.ContainsFunc(r.Schools, func(s School) bool { return s.School == code })
}
