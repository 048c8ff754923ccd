package reports

import "github.com/canyu/canyu"

// HeldApart are submissions that were accepted but do not count yet: nobody has decided
// about them. What was let count is in the numbers; what was left out is in none.
type HeldApart struct {
	Submissions
	Schools []SchoolSubmissions `json:"schools"` // by code; those with any
}

func heldApart(r *Report, held []canyu.HeldGroup) *HeldApart {
	t := tally{schools: make(map[canyu.SchoolCode]*Submissions)}
	for _, g := range held {
		if g.Waiting > 0 && g.Day <= r.Day {
			t.add(g.Class.School, g.Waiting, g.Day == r.Day)
		}
	}
	if t.Total == 0 {
		return nil
	}
	return &HeldApart{Submissions: t.Submissions, Schools: t.list(r)}
}
