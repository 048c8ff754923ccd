package rollup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Trace is what each layer says of a part of an activity, by role: how the rollups
// that a report was made of come about.
type Trace struct {
	Until    canyu.Tally // rollups up to the day,
	Later    canyu.Tally // and of the days after it
	After    canyu.Tally // of Until, who came after the moment,
	Around   canyu.Tally // and of those, who came within a minute of it: a report may have some of them
	Admitted canyu.Tally // of the rollups, who was held and let count by a person: no fact, and in no ledger
	Facts    canyu.Tally // participants in the archive
	Pending  canyu.Tally // in the log only, on their way there
	Ledger   canyu.Tally

	Submissions        int // of the rollups, of all roles
	SubmissionsUntil   int // of those, up to the day
	SubmissionsOfFacts int // with those that are admitted

	Stale bool // rollups and facts differ about a day
}

// Rollups are the participants of all days.
func (t *Trace) Rollups() canyu.Tally {
	sum := t.Until
	sum.Add(t.Later)
	return sum
}

// Agrees reports whether rollups, facts and ledger tell the same.
func (t *Trace) Agrees() bool {
	rollups, known := t.Rollups(), t.Facts
	known.Add(t.Admitted)
	recorded := t.Facts
	recorded.Add(t.Pending)
	return !t.Stale && rollups == known && recorded == t.Ledger && t.Submissions == t.SubmissionsOfFacts
}

// Part is what of an activity is traced.
type Part struct {
	Activity string
	Classes  []canyu.Class      // of the roster
	Schools  []canyu.SchoolCode // that they are in; nil: all
	Only     canyu.Class        // nothing but this class; the zero Class: all of the schools

	in map[canyu.SchoolCode]bool
}

func (p *Part) concerns(c canyu.Class) bool {
	if p.Only != (canyu.Class{}) {
		return c == p.Only
	}
	return p.Schools == nil || p.in[c.School]
}

// TraceOf reads every layer; without a ledger those of the archive. While things move
// they may disagree: then it looks again, as Verify does.
func TraceOf(ctx context.Context, l canyu.Ledger, a canyu.Archive, p Part, day canyu.Day, moment time.Time) (t *Trace, err error) {
	p.in = make(map[canyu.SchoolCode]bool)
	for _, s := range p.Schools {
		p.in[s] = true
	}
	for look := range looks {
		if look > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(betweenThem):
			}
		}
		if t, err = traceOnce(ctx, l, a, &p, day, moment); err != nil {
			return nil, fmt.Errorf("cannot trace the numbers of %s: %w", p.Activity, err)
		}
		if l == nil || t.Agrees() {
			break
		}
	}
	return t, nil
}

func traceOnce(ctx context.Context, l canyu.Ledger, a canyu.Archive, p *Part, day canyu.Day, moment time.Time) (*Trace, error) {
	t := &Trace{}
	classes := make(map[canyu.Class]bool)
	for _, c := range p.Classes {
		classes[c] = true
	}
	v := &verification{ledger: l, archive: a, activity: p.Activity, schools: p.Schools, in: p.in}
	pending := make(map[classRole]map[canyu.Participant]bool)
	if l != nil {
		var err error
		if pending, err = v.pending(ctx); err != nil {
			return nil, err
		}
	}
	for r, err := range a.Participants(ctx, p.Activity) {
		if err != nil {
			return nil, err
		}
		if !p.concerns(r.Class) {
			continue
		}
		t.Facts[r.Role]++
		t.came(r.Role, r.Day, r.At, day, moment)
		delete(pending[classRole{r.Class, r.Role}], r.Participant)
	}
	for g, rest := range pending {
		if p.concerns(g.class) {
			classes[g.class] = true
			t.Pending[g.role] += len(rest)
		}
	}
	if err := t.admitted(ctx, a, p, day, moment); err != nil {
		return nil, err
	}
	if err := t.rollups(ctx, a, p, day, classes); err != nil {
		return nil, err
	}
	if l == nil {
		return t, nil
	}
	counts, err := l.Counts(ctx, p.Activity, slices.SortedFunc(maps.Keys(classes), canyu.Class.Compare))
	for _, n := range counts {
		t.Ledger.Add(n)
	}
	return t, err
}

func (t *Trace) came(role canyu.Role, on canyu.Day, at time.Time, day canyu.Day, moment time.Time) {
	if on > day || !at.After(moment) {
		return
	}
	t.After[role]++
	if at.Sub(moment) < time.Minute {
		t.Around[role]++
	}
}

// admitted adds those who are held and count by decision to who came after the moment:
// as rollups have them, each by the earliest of what was admitted.
func (t *Trace) admitted(ctx context.Context, a canyu.Archive, p *Part, day canyu.Day, moment time.Time) error {
	decisions, err := a.HeldDecisions(ctx, p.Activity, p.Schools)
	if err != nil {
		return err
	}
	until := make(map[canyu.HeldCase]time.Time)
	for _, d := range decisions {
		if d.State == canyu.Admitted {
			until[d.HeldCase] = d.Until
		}
	}
	if len(until) == 0 {
		return nil
	}
	type person struct {
		classRole
		canyu.Participant
	}
	earliest := make(map[person]canyu.HeldSubmission)
	for s, err := range a.Held(ctx, p.Activity, p.Schools) {
		if err != nil {
			return err
		}
		who := person{classRole{s.Class, s.Role}, s.Participant}
		before, known := earliest[who]
		last, ok := until[s.HeldCase]
		if ok && !s.At.After(last) && !s.Counted && p.concerns(s.Class) && (!known || s.At.Before(before.At)) {
			earliest[who] = s
		}
	}
	for _, s := range earliest {
		t.came(s.Role, s.Day, s.At, day, moment)
	}
	return nil
}

func (t *Trace) rollups(ctx context.Context, a canyu.Archive, p *Part, day canyu.Day, classes map[canyu.Class]bool) error {
	of := func(rs []canyu.Rollup) []canyu.Rollup {
		return slices.DeleteFunc(rs, func(r canyu.Rollup) bool { return !p.concerns(r.Class) })
	}
	tallies, err := a.Tallies(ctx, p.Activity, p.Schools)
	if err != nil {
		return err
	}
	rollups, err := a.Rollups(ctx, p.Activity, p.Schools, -1<<31, 1<<31-1)
	if err != nil {
		return err
	}
	tallies, rollups = of(tallies), of(rollups)
	for _, r := range rollups {
		classes[r.Class] = true
		t.Admitted[r.Role] += r.Admitted
		t.Submissions += r.Submissions
		if r.Day <= day {
			t.Until[r.Role] += r.Participants
			t.SubmissionsUntil += r.Submissions
		} else {
			t.Later[r.Role] += r.Participants
		}
	}
	for _, r := range tallies {
		classes[r.Class] = true
		t.SubmissionsOfFacts += r.Submissions
	}
	t.Stale = len(rollupsThatDiffer(canyu.WithoutAdmitted(tallies), canyu.WithoutAdmitted(rollups))) > 0
	return nil
}
