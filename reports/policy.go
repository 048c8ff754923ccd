package reports

import "github.com/canyu/canyu"

// speaker of a report: in the language that is asked for, as the region's policy wants
// taking part to be spoken of.
func (r *Report) speaker(lang string) speaker {
	s := language(lang, r.activity)
	s.voluntary = r.activity.Policy(r.Region).Voluntary
	return s
}

// ranks reports whether schools may be told of by how many took part.
func (r *Report) ranks() bool { return !r.activity.Policy(r.Region).NoRanking }

// follow is for a visit whose activity and region are known.
func (r *visit) follow(region canyu.Region) {
	r.policy = r.activity.Policy(region)
	r.s.voluntary = r.policy.Voluntary
	r.speaker = r.s
}

// sortedBy is what the rows are in the order of. Where nothing is to rank, only the
// bureau's own page orders by how many took part: neither its wall, which a hall looks
// at, nor a file, which goes from hand to hand.
func (r *visit) sortedBy() string {
	by := r.arg("sort")
	if own := r.Kind == "bureau" && !r.Wall; r.policy.NoRanking && !own && by != "name" && by != "of" {
		return ""
	}
	return by
}
