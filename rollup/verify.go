package rollup

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Difference is a class and role about which ledger and archive do not agree.
type Difference struct {
	Class   canyu.Class // the zero Class: the activity's total
	Role    canyu.Role
	Ledger  int  // participants
	Facts   int  // participants in the archive or on their way to it in the log; for the total, the sum of the classes in the ledger
	Rollups int  // the sum of the rollups
	Days    bool // the sums agree, but rollups and facts of a day do not, or their submissions
	Members bool // ledger and facts have as many participants, but others
}

func (d Difference) String() string {
	if d.Class == (canyu.Class{}) {
		return fmt.Sprintf("the ledger's total is %d, its classes sum up to %d", d.Ledger, d.Facts)
	}
	s := fmt.Sprintf("class %s, %s: ledger %d, archive %d, rollups %d", d.Class, d.Role, d.Ledger, d.Facts, d.Rollups)
	if d.Days {
		s += ", days or submissions of the rollups differ from the archive"
	}
	if d.Members {
		s += ", but the participants are others"
	}
	return s
}

const (
	looks       = 3 // at what differs, at least 2, and more while things are moving
	betweenThem = time.Second
)

// Verify compares ledger, facts and rollups of the classes given and of those
// that archive or log know besides, and returns what differs, by class and role.
// With schools, it is about these alone; nil is all of them, and the activity's
// total, which is of no part.
//
// Ingest and rollup may be running. What was recorded before Verify looked must be
// in the facts or in the log, and nothing else may be; a class that moves is held
// against its counts before and after. Rollups lag behind the log, so classes in
// it are left out there, and what differs is looked at again before it is told.
func Verify(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity string, classes []canyu.Class, schools []canyu.SchoolCode) ([]Difference, error) {
	v := &verification{seed: maphash.MakeSeed(), ledger: l, archive: a, activity: activity, schools: schools, in: make(map[canyu.SchoolCode]bool), classes: make(map[canyu.Class]bool)}
	for _, s := range schools {
		v.in[s] = true
	}
	for _, c := range classes {
		if v.concerns(c) {
			v.classes[c] = true
		}
	}
	var differences []Difference
	for look := range looks {
		before := differences
		if look > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(betweenThem):
			}
		}
		var err error
		if differences, err = v.look(ctx); err != nil {
			return nil, fmt.Errorf("cannot verify %s: %w", activity, err)
		}
		if look > 0 {
			differences = slices.DeleteFunc(differences, func(d Difference) bool { return !contains(before, d) })
		}
		if len(differences) == 0 || look > 0 && !v.moving {
			break
		}
	}
	return differences, nil
}

// contains reports whether the same class and role differed.
func contains(ds []Difference, d Difference) bool {
	return slices.ContainsFunc(ds, func(o Difference) bool { return o.Class == d.Class && o.Role == d.Role })
}

// Repair restates the rollups of the classes that differ. It mends rollups; what
// facts and ledger disagree about it cannot know. It waits for a worker that is at
// the activity.
func Repair(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity string, differences []Difference) error {
	classes := make(map[canyu.Class]struct{})
	for _, d := range differences {
		if d.Class != (canyu.Class{}) {
			classes[d.Class] = struct{}{}
		}
	}
	err := onDuty(ctx, l, activity, func(ctx context.Context) error { return restate(ctx, a, activity, classes) })
	if err != nil {
		return fmt.Errorf("cannot repair %s: %w", activity, err)
	}
	return nil
}

type verification struct {
	seed     maphash.Seed
	ledger   canyu.Ledger
	archive  canyu.Archive
	activity string
	schools  []canyu.SchoolCode        // nil: all
	in       map[canyu.SchoolCode]bool // schools
	classes  map[canyu.Class]bool
	moving   bool // something was under way during the last look
}

func (v *verification) concerns(c canyu.Class) bool { return v.schools == nil || v.in[c.School] }

type classRole struct {
	class canyu.Class
	role  canyu.Role
}

// look compares once. The order of reading is what makes it right: total and
// counts, log, facts, rollups, counts and total again.
func (v *verification) look(ctx context.Context) ([]Difference, error) {
	v.moving = false
	totalBefore, err := v.ledger.Total(ctx, v.activity)
	if err != nil {
		return nil, err
	}
	before, err := v.counts(ctx)
	if err != nil {
		return nil, err
	}
	pending, err := v.pending(ctx)
	if err != nil {
		return nil, err
	}
	tallies, err := v.archive.Tallies(ctx, v.activity, v.schools)
	if err != nil {
		return nil, err
	}
	tallies = canyu.WithoutAdmitted(tallies) // they are in no ledger, and derived anew at each look
	facts, err := v.facts(ctx, pending)
	if err != nil {
		return nil, err
	}
	rollups, err := v.archive.Rollups(ctx, v.activity, v.schools, canyu.MinDay, canyu.MaxDay)
	if err != nil {
		return nil, err
	}
	rollups = canyu.WithoutAdmitted(rollups)
	for _, r := range slices.Concat(tallies, rollups) {
		v.learn(r.Class)
	}
	for g := range facts {
		v.learn(g.class)
	}
	after, err := v.counts(ctx)
	if err != nil {
		return nil, err
	}
	totalAfter, err := v.ledger.Total(ctx, v.activity)
	if err != nil {
		return nil, err
	}
	strangers, err := v.strangers(ctx, before, after, facts)
	if err != nil {
		return nil, err
	}
	if len(pending) > 0 || totalBefore != totalAfter {
		v.moving = true
	}
	differences := v.compare(before, after, facts, rollupsThatDiffer(tallies, rollups), sums(rollups), strangers, pending)
	if v.schools != nil {
		return differences, nil
	}
	sum := 0
	for _, n := range after {
		sum += n
	}
	if sum < totalBefore || sum > totalAfter {
		differences = append(differences, Difference{Ledger: totalAfter, Facts: sum})
	}
	return differences, nil
}

// learn adds a class that nobody named. What was counted there before is not
// known, so the next look has to tell.
func (v *verification) learn(c canyu.Class) {
	if !v.classes[c] {
		v.classes[c] = true
		v.moving = true
	}
}

func (v *verification) counts(ctx context.Context) (map[classRole]int, error) {
	classes := slices.SortedFunc(maps.Keys(v.classes), canyu.Class.Compare)
	tallies, err := v.ledger.Counts(ctx, v.activity, classes)
	if err != nil {
		return nil, err
	}
	counts := make(map[classRole]int)
	for i, t := range tallies {
		for _, role := range canyu.Roles {
			if t[role] > 0 {
				counts[classRole{classes[i], role}] = t[role]
			}
		}
	}
	return counts, nil
}

// pending are the participants that the log has, for each class that it touches.
func (v *verification) pending(ctx context.Context) (map[classRole]map[canyu.Participant]bool, error) {
	pending := make(map[classRole]map[canyu.Participant]bool)
	for shard := range v.ledger.Shards() {
		for e, err := range canyu.ReadLog(ctx, v.ledger, v.activity, shard) {
			if err != nil {
				return nil, err
			}
			for _, r := range e.Recorded {
				if !v.concerns(r.Class) {
					continue
				}
				g := classRole{r.Class, r.Role}
				if pending[g] == nil {
					pending[g] = make(map[canyu.Participant]bool)
				}
				if r.Counted {
					pending[g][r.Participant] = true
				}
			}
		}
	}
	return pending, nil
}

// facts are the participants of archive and log together. One that is in both
// (stored, not yet acknowledged) is one. The archive's rows are looked at one by one:
// as many as there should be may still be others.
func (v *verification) facts(ctx context.Context, pending map[classRole]map[canyu.Participant]bool) (map[classRole]crowd, error) {
	facts := make(map[classRole]crowd)
	add := func(g classRole, p canyu.Participant) {
		c := facts[g]
		c.add(v.seed, p)
		facts[g] = c
	}
	for r, err := range v.archive.Participants(ctx, v.activity) {
		if err != nil {
			return nil, err
		}
		if v.concerns(r.Class) {
			g := classRole{r.Class, r.Role}
			add(g, r.Participant)
			delete(pending[g], r.Participant)
		}
	}
	for g, rest := range pending {
		for p := range rest {
			add(g, p)
		}
	}
	return facts, nil
}

func sums(rs []canyu.Rollup) map[classRole]int {
	sums := make(map[classRole]int)
	for _, r := range rs {
		sums[classRole{r.Class, r.Role}] += r.Participants
	}
	return sums
}

// rollupsThatDiffer are the classes and roles with a day on which rollups and
// facts are not the same.
func rollupsThatDiffer(facts, rollups []canyu.Rollup) map[classRole]bool {
	type numbers struct{ participants, submissions int }
	days := make(map[canyu.Rollup]numbers)
	add := func(rs []canyu.Rollup, sign int) {
		for _, r := range rs {
			of := canyu.Rollup{Class: r.Class, Role: r.Role, Day: r.Day}
			n := days[of]
			days[of] = numbers{n.participants + sign*r.Participants, n.submissions + sign*r.Submissions}
		}
	}
	add(facts, 1)
	add(rollups, -1)
	differ := make(map[classRole]bool)
	for of, n := range days {
		if n != (numbers{}) {
			differ[classRole{of.Class, of.Role}] = true
		}
	}
	return differ
}

func (v *verification) compare(before, after map[classRole]int, facts map[classRole]crowd, stale map[classRole]bool, rollups map[classRole]int,
	strangers map[classRole]bool, pending map[classRole]map[canyu.Participant]bool) []Difference {
	groups := make(map[classRole]bool)
	for _, m := range []map[classRole]int{before, after, rollups} {
		for g := range m {
			groups[g] = true
		}
	}
	for g := range facts {
		groups[g] = true
	}
	for g := range stale {
		groups[g] = true
	}
	var differences []Difference
	for g := range groups {
		behind := pending[g] != nil
		n := facts[g].n
		if n >= before[g] && n <= after[g] && (behind || !stale[g]) && (before[g] != 0 || n == after[g]) && !strangers[g] {
			continue
		}
		d := Difference{Class: g.class, Role: g.role, Ledger: after[g], Facts: n, Rollups: rollups[g], Members: strangers[g]}
		d.Days = !behind && d.Facts == d.Rollups && stale[g]
		differences = append(differences, d)
	}
	slices.SortFunc(differences, func(x, y Difference) int {
		return cmp.Or(x.Class.Compare(y.Class), cmp.Compare(x.Role, y.Role))
	})
	return differences
}
