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
	Flooding              // one participant's messages, or one child's parents, again and again
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

// String names the case in lines of the audit log: verify finds decisions by it.
func (c HeldCase) String() string { return fmt.Sprintf("%s %s %s", c.Class, c.Day, c.Why) }

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
	Known       bool // this same submission is also among those that are not held

	// The participant counts already, by a submission that is not held: from when.
	Counted   bool
	CountedAt time.Time
	CountedOn Day
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
