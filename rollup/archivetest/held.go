package archivetest

import (
	"slices"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// heldOf is a submission that is held apart.
func heldOf(c canyu.Class, p canyu.Participant, at time.Time, id uint64, why canyu.Suspicion) canyu.Recorded {
	r := repeat(c, p, at, id)
	r.Held, r.Message = why, "念"
	return r
}

// decision about what was held of a class on the day of noon1, up to noon1 itself.
func decision(c canyu.Class, state canyu.HeldState, at time.Time) canyu.HeldDecision {
	return canyu.HeldDecision{HeldCase: canyu.HeldCase{Class: c, Day: day1, Why: canyu.MachinePace}, State: state, Until: noon1, By: "school, key a", At: at}
}

// testHeld: what is held is in no number until somebody lets it count, and in none
// again when that is taken back.
func testHeld(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	ctx := t.Context()
	restate := func() { must(t, a.Restate(ctx, act, []canyu.Class{class32, class31, classB})) }
	held := []canyu.Recorded{
		heldOf(class32, 1, noon1, 10, canyu.MachinePace), // counts by itself
		heldOf(class32, 2, noon1.Add(-time.Minute), 20, canyu.MachinePace),
		heldOf(class32, 2, noon1, 21, canyu.MachinePace),
		heldOf(class32, 3, noon1.Add(time.Hour), 30, canyu.MachinePace), // after the decision
		heldOf(class32, 4, noon1, 40, canyu.Invented),
		heldOf(class31, 2, noon1, 50, canyu.MachinePace),
		heldOf(classB, 9, noon2, 90, canyu.MachinePace),
	}
	plain := []canyu.Rollup{student(class32, day1, 1, 1)}
	for range 2 { // twice is once
		must(t, a.Store(ctx, act, append([]canyu.Recorded{first(class32, 1, noon1)}, held...)))
		restate()
		equal(t, "rollups", rollups(t, a, act), plain)
		equal(t, "tallies", tallies(t, a, act), plain)
		equal(t, "participants", len(participants(t, a, act)), 1)
		equal(t, "messages", len(get[[]canyu.Message](t)(a.Messages(ctx, act, nil, day1, 10))), 0)
	}
	groups := func(schools []canyu.SchoolCode) []canyu.HeldGroup {
		return get[[]canyu.HeldGroup](t)(canyu.HeldGroups(ctx, a, act, schools))
	}
	all := groups(nil)
	if len(all) != 4 {
		t.Fatalf("cases %+v, want 4", all)
	}
	equal(t, "case of a class and reason", all[1], canyu.HeldGroup{HeldCase: decision(class32, 0, noon1).HeldCase, Submissions: 4, Participants: 2, Waiting: 4,
		First: noon1.Add(-time.Minute), Last: noon1.Add(time.Hour)})
	equal(t, "another reason", all[2].Why, canyu.Invented)
	equal(t, "cases of a school", len(groups([]canyu.SchoolCode{schoolB})), 1)
	equal(t, "cases of no school", len(groups([]canyu.SchoolCode{})), 0)

	must(t, a.DecideHeld(ctx, act, nil))
	must(t, a.DecideHeld(ctx, act, []canyu.HeldDecision{decision(class32, canyu.Admitted, noon2)}))
	admitted := []canyu.Rollup{{Class: class32, Role: canyu.Student, Day: day1, Participants: 2, Submissions: 4, Admitted: 1, AdmittedSubmissions: 3}}
	for range 2 {
		equal(t, "rollups with what is admitted", rollups(t, a, act), admitted)
		equal(t, "tallies with what is admitted", tallies(t, a, act), admitted)
		equal(t, "without it", canyu.WithoutAdmitted(rollups(t, a, act)), plain)
		equal(t, "days", get[[]canyu.DaySum](t)(a.Days(ctx, act, []canyu.SchoolCode{schoolA}, day1, day2)),
			[]canyu.DaySum{{Day: day1, Role: canyu.Student, Participants: 2, Submissions: 4}})
		equal(t, "minutes", get[[]canyu.Minute](t)(a.Minutes(ctx, act, nil, day1)), []canyu.Minute{
			{Role: canyu.Student, At: noon1.Add(-time.Minute), Participants: 1}, {Role: canyu.Student, At: noon1, Participants: 1}})
		equal(t, "who is admitted", get[[]canyu.Participant](t)(canyu.AdmittedParticipants(ctx, a, act, class32, canyu.Student)), []canyu.Participant{2})
		equal(t, "rollups of other days", len(get[[]canyu.Rollup](t)(a.Rollups(ctx, act, nil, day2, day7))), 0)
		restate() // changes nothing
	}
	g := groups(nil)[1]
	equal(t, "what came later waits", []int{g.Waiting, g.Participants}, []int{1, 2})
	equal(t, "decision", g.Decision, decision(class32, canyu.Admitted, noon2))

	// Who takes part again, on another day, stays where he was counted: what was told
	// of that day stays true.
	must(t, a.Store(ctx, act, []canyu.Recorded{first(class32, 2, noon2)}))
	equal(t, "not restated yet", rollups(t, a, act), admitted)
	restate()
	again := append(slices.Clone(admitted), canyu.Rollup{Class: class32, Role: canyu.Student, Day: day2, Submissions: 1, Admitted: -1})
	equal(t, "one's own later", rollups(t, a, act), again)
	equal(t, "tallies of one's own later", tallies(t, a, act), again)
	equal(t, "without it", canyu.WithoutAdmitted(rollups(t, a, act)), append(slices.Clone(plain), student(class32, day2, 1, 1)))
	equal(t, "days of one's own later", get[[]canyu.DaySum](t)(a.Days(ctx, act, []canyu.SchoolCode{schoolA}, day1, day2)),
		[]canyu.DaySum{{Day: day1, Role: canyu.Student, Participants: 2, Submissions: 4}, {Day: day2, Role: canyu.Student, Submissions: 1}})
	equal(t, "minutes of the later day", len(get[[]canyu.Minute](t)(a.Minutes(ctx, act, nil, day2))), 0)
	equal(t, "who is in no ledger", len(get[[]canyu.Participant](t)(canyu.AdmittedParticipants(ctx, a, act, class32, canyu.Student))), 0)
	added := get[[]canyu.Rollup](t)(canyu.AdmittedRollups(ctx, a, act, nil, day1, day7))
	equal(t, "added to the ledger", added[0].Admitted+added[1].Admitted, 0)

	// An older decision that arrives late, and one that takes back.
	must(t, a.DecideHeld(ctx, act, []canyu.HeldDecision{decision(class32, canyu.LeftOut, noon2.Add(-time.Second))}))
	equal(t, "an older decision", groups(nil)[1].Decision.State, canyu.Admitted)
	must(t, a.DecideHeld(ctx, act, []canyu.HeldDecision{decision(class32, canyu.LeftOut, noon2.Add(time.Second))}))
	equal(t, "left out", groups(nil)[1].Waiting, 1)
	must(t, a.DecideHeld(ctx, act, []canyu.HeldDecision{decision(class32, canyu.Undecided, noon2.Add(time.Minute))}))
	equal(t, "taken back", groups(nil)[1].Waiting, 4)
	equal(t, "decisions", len(get[[]canyu.HeldDecision](t)(a.HeldDecisions(ctx, act, nil))), 1)
	equal(t, "afterwards", rollups(t, a, act), []canyu.Rollup{student(class32, day1, 1, 1), student(class32, day2, 1, 1)})
	equal(t, "another activity", len(get[[]canyu.HeldDecision](t)(a.HeldDecisions(ctx, activity(), nil))), 0)
}

// testHeldEarliest: of the same submission the earliest stays held; one that is also
// among the others is known there.
func testHeldEarliest(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	for _, at := range []time.Time{noon2, noon1, noon1.Add(time.Hour)} {
		must(t, a.Store(t.Context(), act, []canyu.Recorded{heldOf(class32, 1, at, 7, canyu.MachinePace)}))
	}
	must(t, a.Store(t.Context(), act, []canyu.Recorded{repeat(class32, 1, noon2, 7), heldOf(class32, 1, noon2, 8, canyu.MachinePace)}))
	n := 0
	for s, err := range a.Held(t.Context(), act, []canyu.SchoolCode{schoolA}) {
		must(t, err)
		n++
		if s.ID == 7 && (!s.At.Equal(noon1) || s.Day != day1 || !s.Known || s.Counted || s.Role != canyu.Student || s.Participant != 1) || s.ID == 8 && s.Known {
			t.Errorf("%+v", s)
		}
	}
	equal(t, "submissions", n, 2)
}
