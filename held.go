package canyu

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Suspicion is why a submission is held apart: it was accepted and is kept like any
// other, but counts only once a person has let it. The numbers are stored: they keep
// their meaning for ever.
type Suspicion uint8

// The reasons.
const (
	Unsuspected Suspicion = iota
	MachinePace           // seats of a class one after the other, faster than people are
	Invented              // from a sender that also made up schools, classes or seats
	Flooding              // one participant's messages, again and again
)

// Suspicions lists the reasons there are.
var Suspicions = [...]Suspicion{MachinePace, Invented, Flooding}

var suspicionNames = [...]string{Unsuspected: "none", MachinePace: "pace", Invented: "invented", Flooding: "flooding"}

func (s Suspicion) String() string {
	if s > Flooding {
		return fmt.Sprintf("suspicion(%d)", uint8(s))
	}
	return suspicionNames[s]
}

// AuditHold is the audit line of a decision that was taken back: see AuditCount.
const AuditHold = "held.undo"

// HeldCase is what a person decides about at once: what is held of a class and day
// for one reason.
type HeldCase struct {
	Class Class
	Day   Day
	Why   Suspicion
}

// Compare orders cases by class, day and reason.
func (c HeldCase) Compare(o HeldCase) int {
	return cmp.Or(c.Class.Compare(o.Class), cmp.Compare(c.Day, o.Day), cmp.Compare(c.Why, o.Why))
}

// HeldState is what was decided about a case. The numbers are stored.
type HeldState uint8

// The states.
const (
	Undecided HeldState = iota // nobody has looked, or a decision was taken back
	Admitted                   // they count
	LeftOut                    // they do not
)

var heldStateNames = [...]string{Undecided: "undecided", Admitted: "admitted", LeftOut: "left-out"}

func (s HeldState) String() string {
	if s > LeftOut {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return heldStateNames[s]
}

// HeldDecision is what somebody decided about what was there to be seen: submissions
// that come later are undecided again.
type HeldDecision struct {
	HeldCase
	State HeldState
	Until time.Time // about those accepted up to here, whole milliseconds
	By    string    // the scope and key id of a link
	At    time.Time // whole milliseconds
}

// covers reports whether the decision is about a submission of its case.
func (d *HeldDecision) covers(s *HeldSubmission) bool { return !s.At.After(d.Until) }

// HeldSubmission is a submission that is held apart.
type HeldSubmission struct {
	HeldCase
	Role        Role
	Participant Participant
	ID          uint64
	At          time.Time
	Counted     bool // the participant counts already, by a submission that is not held
	Known       bool // and this same submission is among those that are not held
}

// HeldArchive is the part of an Archive that keeps what is held apart, and what was
// decided about it. The ledger's log brings held submissions; its counts know nothing
// of them, and they are in no fact: [Archive.Rollups], Tallies and Days add those that
// are admitted at the moment of asking. So a decision has its effect at once, and
// taking it back leaves nothing behind.
type HeldArchive interface {
	// Held runs over the held submissions of the schools (nil: all): of each
	// (participant, submission ID) the one with the earliest At. It yields an error at
	// most once, last.
	Held(ctx context.Context, activity string, schools []SchoolCode) iter.Seq2[HeldSubmission, error]

	// HeldDecisions are the newest of each case, in the order of HeldCase.Compare.
	HeldDecisions(ctx context.Context, activity string, schools []SchoolCode) ([]HeldDecision, error)

	// DecideHeld stores decisions. Of several about one case the one with the newest
	// At stays; within a millisecond, the one with the higher State.
	DecideHeld(ctx context.Context, activity string, ds []HeldDecision) error
}

// HeldGroup is a case as somebody sees it before deciding.
type HeldGroup struct {
	HeldCase
	Submissions  int // distinct
	Participants int // distinct, without those that count already
	Waiting      int // of the submissions, those that nobody has decided about
	First, Last  time.Time
	Decision     HeldDecision // the newest; zero where there is none
}

// HeldGroups are the cases of the schools (nil: all), in the order of HeldCase.Compare.
func HeldGroups(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode) ([]HeldGroup, error) {
	groups := make(map[HeldCase]*HeldGroup)
	type person struct {
		HeldCase
		Role
		Participant
	}
	seen := make(map[person]bool)
	ds, err := a.HeldDecisions(ctx, activity, schools)
	if err != nil {
		return nil, err
	}
	decided := make(map[HeldCase]HeldDecision, len(ds))
	for _, d := range ds {
		decided[d.HeldCase] = d
	}
	for s, err := range a.Held(ctx, activity, schools) {
		if err != nil {
			return nil, err
		}
		g := groups[s.HeldCase]
		if g == nil {
			g = &HeldGroup{HeldCase: s.HeldCase, Decision: decided[s.HeldCase], First: s.At, Last: s.At}
			groups[s.HeldCase] = g
		}
		g.Submissions++
		if g.Decision.State == Undecided || !g.Decision.covers(&s) {
			g.Waiting++
		}
		if p := (person{s.HeldCase, s.Role, s.Participant}); !s.Counted && !seen[p] {
			seen[p] = true
			g.Participants++
		}
		if s.At.Before(g.First) {
			g.First = s.At
		}
		if s.At.After(g.Last) {
			g.Last = s.At
		}
	}
	all := make([]HeldGroup, 0, len(groups))
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(x, y HeldGroup) int { return x.Compare(y.HeldCase) })
	return all, nil
}

// EachAdmitted calls do for every held submission of the schools that a decision lets
// count, the earliest of a participant first. Where nothing is admitted that is one
// small question to the archive.
func EachAdmitted(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, do func(s *HeldSubmission)) error {
	ds, err := a.HeldDecisions(ctx, activity, schools)
	if err != nil {
		return err
	}
	admitted := make(map[HeldCase]*HeldDecision)
	var in []SchoolCode
	for i := range ds {
		if ds[i].State == Admitted {
			admitted[ds[i].HeldCase] = &ds[i]
			in = append(in, ds[i].Class.School) // in order
		}
	}
	if len(in) == 0 {
		return nil
	}
	var all []HeldSubmission
	for s, err := range a.Held(ctx, activity, slices.Compact(in)) {
		if err != nil {
			return err
		}
		if d := admitted[s.HeldCase]; d != nil && d.covers(&s) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y HeldSubmission) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
	for i := range all {
		do(&all[i])
	}
	return nil
}

// AddAdmitted adds to the rollups of the schools from day from to day to what is
// admitted there: participants that do not count already, each on the day of the
// earliest admitted submission, and submissions that are not known already.
func AddAdmitted(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day, rollups []Rollup) ([]Rollup, error) {
	type group struct {
		class Class
		role  Role
		day   Day
	}
	type person struct {
		class Class
		role  Role
		Participant
	}
	extra := make(map[group]*Rollup)
	counted := make(map[person]bool)
	err := EachAdmitted(ctx, a, activity, schools, func(s *HeldSubmission) {
		p, g := person{s.Class, s.Role, s.Participant}, group{s.Class, s.Role, s.Day}
		fresh := !s.Counted && !counted[p]
		counted[p] = true
		if s.Day < from || s.Day > to {
			return
		}
		r := extra[g]
		if r == nil {
			r = &Rollup{Class: s.Class, Role: s.Role, Day: s.Day}
			extra[g] = r
		}
		if fresh {
			r.Admitted++
		}
		if !s.Known {
			r.AdmittedSubmissions++
		}
	})
	if err != nil || len(extra) == 0 {
		return rollups, err
	}
	add := func(r *Rollup, e *Rollup) {
		r.Admitted, r.AdmittedSubmissions = e.Admitted, e.AdmittedSubmissions
		r.Participants += e.Admitted
		r.Submissions += e.AdmittedSubmissions
	}
	for i := range rollups {
		g := group{rollups[i].Class, rollups[i].Role, rollups[i].Day}
		if e := extra[g]; e != nil {
			add(&rollups[i], e)
			delete(extra, g)
		}
	}
	for _, e := range extra {
		add(e, &Rollup{Admitted: e.Admitted, AdmittedSubmissions: e.AdmittedSubmissions})
		rollups = append(rollups, *e)
	}
	return rollups, nil
}

// WithoutAdmitted takes out again what AddAdmitted added: what remains is what ledger
// and facts know.
func WithoutAdmitted(rollups []Rollup) []Rollup {
	plain := make([]Rollup, 0, len(rollups))
	for _, r := range rollups {
		r.Participants -= r.Admitted
		r.Submissions -= r.AdmittedSubmissions
		r.Admitted, r.AdmittedSubmissions = 0, 0
		plain = append(plain, r)
	}
	return plain
}

// AddAdmittedDays does the same for the sums of days, and leaves them in order.
func AddAdmittedDays(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day, days []DaySum) ([]DaySum, error) {
	extra, err := AddAdmitted(ctx, a, activity, schools, from, to, nil)
	if err != nil || len(extra) == 0 {
		return days, err
	}
	for _, e := range extra {
		i := slices.IndexFunc(days, func(d DaySum) bool { return d.Day == e.Day && d.Role == e.Role })
		if i < 0 {
			i, days = len(days), append(days, DaySum{Day: e.Day, Role: e.Role})
		}
		days[i].Participants += e.Participants
		days[i].Submissions += e.Submissions
	}
	slices.SortFunc(days, func(x, y DaySum) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Role, y.Role)) })
	return days, nil
}
