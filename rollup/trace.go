package rollup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

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
func TraceOf(ctx context.Context, l canyu.Ledger, a canyu.Archive, p Part, day canyu.Day, moment time.Time) (t *canyu.Trace, err error) {
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
		if t, err = traceOnce(ctx, l, tracing{archive: a, part: &p, day: day, moment: moment}); err != nil {
			return nil, fmt.Errorf("cannot trace the numbers of %s: %w", p.Activity, err)
		}
		if l == nil || t.Agrees() {
			break
		}
	}
	return t, nil
}

// tracing is a trace that is being made.
type tracing struct {
	canyu.Trace
	archive canyu.Archive
	part    *Part
	day     canyu.Day
	moment  time.Time
}

func traceOnce(ctx context.Context, l canyu.Ledger, t tracing) (*canyu.Trace, error) {
	p := t.part
	classes := make(map[canyu.Class]bool)
	for _, c := range p.Classes {
		classes[c] = true
	}
	v := &verification{ledger: l, archive: t.archive, activity: p.Activity, schools: p.Schools, in: p.in}
	pending := make(map[classRole]map[canyu.Participant]bool)
	if l != nil {
		var err error
		if pending, err = v.pending(ctx); err != nil {
			return nil, err
		}
	}
	for r, err := range t.archive.Participants(ctx, p.Activity) {
		if err != nil {
			return nil, err
		}
		if !p.concerns(r.Class) {
			continue
		}
		t.Facts[r.Role]++
		t.came(r.Role, r.Day, r.At, 1)
		delete(pending[classRole{r.Class, r.Role}], r.Participant)
	}
	for g, rest := range pending {
		if p.concerns(g.class) {
			classes[g.class] = true
			t.Pending[g.role] += len(rest)
		}
	}
	// Who is held and counts by decision came when the rollups have them: with the
	// earliest of what was admitted.
	err := canyu.EachAdmitted(ctx, t.archive, p.Activity, p.Schools, func(s *canyu.HeldSubmission, fresh bool) {
		if fresh && p.concerns(s.Class) {
			t.came(s.Role, s.Day, s.At, 1)
			if s.Counted { // not then any more
				t.came(s.Role, s.CountedOn, s.CountedAt, -1)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := t.rollups(ctx, classes); err != nil {
		return nil, err
	}
	if l == nil {
		return &t.Trace, nil
	}
	counts, err := l.Counts(ctx, p.Activity, slices.SortedFunc(maps.Keys(classes), canyu.Class.Compare))
	for _, n := range counts {
		t.Ledger.Add(n)
	}
	return &t.Trace, err
}

func (t *tracing) came(role canyu.Role, on canyu.Day, at time.Time, n int) {
	if on > t.day || !at.After(t.moment) {
		return
	}
	t.After[role] += n
	if at.Sub(t.moment) < time.Minute {
		t.Around[role] += n
	}
}

func (t *tracing) rollups(ctx context.Context, classes map[canyu.Class]bool) error {
	p := t.part
	of := func(rs []canyu.Rollup) []canyu.Rollup {
		return slices.DeleteFunc(rs, func(r canyu.Rollup) bool { return !p.concerns(r.Class) })
	}
	tallies, err := t.archive.Tallies(ctx, p.Activity, p.Schools)
	if err != nil {
		return err
	}
	rollups, err := t.archive.Rollups(ctx, p.Activity, p.Schools, canyu.MinDay, canyu.MaxDay)
	if err != nil {
		return err
	}
	tallies, rollups = of(tallies), of(rollups)
	for _, r := range rollups {
		classes[r.Class] = true
		t.Admitted[r.Role] += r.Admitted
		t.Submissions += r.Submissions
		if r.Day <= t.day {
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
