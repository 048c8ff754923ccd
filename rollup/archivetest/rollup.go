package archivetest

import (
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func testRestate(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	restate := func() { must(t, a.Restate(t.Context(), act, []canyu.Class{class32, class31, class101})) }
	restate() // of nothing
	must(t, a.Restate(t.Context(), act, nil))
	equal(t, "rollups of nothing", rollups(t, a, act), []canyu.Rollup{})
	must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, 1, noon1), repeat(class32, 1, noon2, 5), first(class101, 1, noon2)}))
	restate()
	want := []canyu.Rollup{student(class32, day1, 1, 1), student(class32, day2, 0, 1), student(class101, day2, 1, 1)}
	equal(t, "rollups", rollups(t, a, act), want)
	equal(t, "tallies", tallies(t, a, act), want)
	restate() // changes nothing
	equal(t, "rollups restated again", rollups(t, a, act), want)
}

func testRestateOnly(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	must(t, a.Store(t.Context(), act, []canyu.Recorded{first(classB, 1, noon1), first(class32, 1, noon1)}))
	must(t, a.Restate(t.Context(), act, []canyu.Class{classB, classB}))
	for _, r := range rollups(t, a, act) {
		if r.Class.School == schoolA { // a school at once is allowed, another school is not
			t.Errorf("restated unasked: %+v", r)
		}
	}
}

// testRestateFollows: an earlier row moves a participant to another day, and the
// day it was counted on before becomes empty.
func testRestateFollows(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	classes := []canyu.Class{class32}
	must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, 1, noon2)}))
	must(t, a.Restate(t.Context(), act, classes))
	equal(t, "rollups before", rollups(t, a, act), []canyu.Rollup{student(class32, day2, 1, 1)})
	for i := range 3 {
		at := noon2.AddDate(0, 0, -i-1)
		must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, 1, at)}))
		must(t, a.Restate(t.Context(), act, classes))
		equal(t, "rollups after", rollups(t, a, act), []canyu.Rollup{student(class32, day2-canyu.Day(i)-1, 1, 1)})
	}
}

func testRestateMany(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	var rs []canyu.Recorded
	var classes []canyu.Class
	for i := range 2500 {
		c := canyu.Class{School: schoolA + canyu.SchoolCode(i), Grade: 3, Number: 1}
		classes = append(classes, c)
		rs = append(rs, first(c, canyu.Participant(i), noon1.Add(time.Duration(i%3)*24*time.Hour)))
	}
	must(t, a.Store(t.Context(), act, rs))
	must(t, a.Restate(t.Context(), act, classes))
	equal(t, "rollups", rollups(t, a, act), tally(rs))
	var schools []canyu.SchoolCode
	for _, c := range classes {
		schools = append(schools, c.School)
	}
	equal(t, "rollups by school", numbers(get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, schools, day1, day7))), tally(rs))
	equal(t, "tallies by school", numbers(get[[]canyu.Rollup](t)(a.Tallies(t.Context(), act, schools))), tally(rs))
}

func testRollupRange(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	var rs []canyu.Recorded
	classes := []canyu.Class{class31, class32, classB, classC}
	for i := range 7 {
		for j, c := range classes {
			rs = append(rs, first(c, canyu.Participant(10*i+j), noon1.AddDate(0, 0, i)))
		}
	}
	must(t, a.Store(t.Context(), act, rs))
	must(t, a.Restate(t.Context(), act, classes))
	count := func(schools []canyu.SchoolCode, from, to canyu.Day) (n int) {
		for _, r := range get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, schools, from, to)) {
			n += r.Participants
		}
		return n
	}
	equal(t, "all", count(nil, day1, day7), 28)
	equal(t, "one day", count(nil, day2, day2), 4)
	equal(t, "two days of a school", count([]canyu.SchoolCode{schoolA}, day2, day2+1), 4)
	equal(t, "two schools", count([]canyu.SchoolCode{schoolB, schoolC}, day1, day7), 14)
	equal(t, "no school", count([]canyu.SchoolCode{}, day1, day7), 0)
	equal(t, "a school without any", count([]canyu.SchoolCode{1}, day1, day7), 0)
	equal(t, "no day", count(nil, day7, day1), 0)
	equal(t, "days outside", count(nil, day7+1, day7+100), 0)
	equal(t, "any day", count(nil, canyu.MinDay, canyu.MaxDay), 28)
}

func testTallies(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	must(t, a.Store(t.Context(), act, []canyu.Recorded{
		first(classC, 1, noon1), first(class101, 2, noon2), first(class101, 3, noon1), first(class31, 4, noon1), repeat(classB, 5, noon1, 1),
	}))
	want := []canyu.Rollup{
		student(class31, day1, 1, 1),
		student(class101, day1, 1, 1), student(class101, day2, 1, 1),
		student(classB, day1, 0, 1), // the participant's row is not there yet, or was lost: told, not hidden
		student(classC, day1, 1, 1),
	}
	equal(t, "all", tallies(t, a, act), want)
	equal(t, "two schools", numbers(get[[]canyu.Rollup](t)(a.Tallies(t.Context(), act, []canyu.SchoolCode{schoolC, schoolB}))), want[3:])
	equal(t, "no school", len(get[[]canyu.Rollup](t)(a.Tallies(t.Context(), act, []canyu.SchoolCode{}))), 0)
}

func testNothing(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	equal(t, "epoch", get[string](t)(a.Epoch(t.Context(), act)), "")
	equal(t, "rollups", rollups(t, a, act), []canyu.Rollup{})
	equal(t, "tallies", tallies(t, a, act), []canyu.Rollup{})
	equal(t, "participants", len(participants(t, a, act)), 0)
	equal(t, "messages", len(get[[]canyu.Message](t)(a.Messages(t.Context(), act, nil, day1, 10))), 0)
	equal(t, "frozen", len(get[[]canyu.Frozen](t)(a.Frozen(t.Context(), act, 0))), 0)
	equal(t, "deliveries", len(get[[]canyu.Delivery](t)(a.Deliveries(t.Context(), act, 0))), 0)
}
