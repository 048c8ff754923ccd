package archivetest

import (
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func testMinutes(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	of := func(r canyu.Recorded, role canyu.Role) canyu.Recorded {
		r.Role = role
		return r
	}
	must(t, a.Store(t.Context(), act, []canyu.Recorded{
		first(class32, 1, noon1), first(class31, 2, noon1.Add(59*time.Second+999*time.Millisecond)), first(classB, 3, noon1.Add(time.Minute)),
		of(first(class32, 4, noon1.Add(time.Second)), canyu.Teacher), first(class32, 5, noon1.Add(-13*time.Hour)), first(class32, 6, noon2),
		repeat(class32, 1, noon1.Add(5*time.Minute), 9), // no new participant
	}))
	must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, 6, noon1.Add(2*time.Minute))})) // the earliest stays, and with it its day
	at := func(after time.Duration, role canyu.Role, n int) canyu.Minute {
		return canyu.Minute{Role: role, At: noon1.Add(after), Participants: n}
	}
	want := []canyu.Minute{at(0, canyu.Student, 2), at(0, canyu.Teacher, 1), at(time.Minute, canyu.Student, 1), at(2*time.Minute, canyu.Student, 1)}
	minutes := get[[]canyu.Minute](t)
	equal(t, "all schools", minutes(a.Minutes(t.Context(), act, nil, day1)), want)
	equal(t, "one school", minutes(a.Minutes(t.Context(), act, []canyu.SchoolCode{schoolB}, day1)), want[2:3])
	equal(t, "no school", len(minutes(a.Minutes(t.Context(), act, []canyu.SchoolCode{}, day1))), 0)
	equal(t, "another day", len(minutes(a.Minutes(t.Context(), act, nil, day2))), 0)
	equal(t, "another activity", len(minutes(a.Minutes(t.Context(), activity(), nil, day1))), 0)
}

func testDays(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	teacher := first(class31, 3, noon1)
	teacher.Role = canyu.Teacher
	must(t, a.Store(t.Context(), act, []canyu.Recorded{
		first(class32, 1, noon1), first(class101, 2, noon1), first(classB, 3, noon2), repeat(class32, 1, noon2, 5), teacher,
	}))
	for range 2 { // restating again adds nothing
		must(t, a.Restate(t.Context(), act, []canyu.Class{class31, class32, class101, classB}))
	}
	of := func(day canyu.Day, role canyu.Role, participants, submissions int) canyu.DaySum {
		return canyu.DaySum{Day: day, Role: role, Participants: participants, Submissions: submissions}
	}
	want := []canyu.DaySum{of(day1, canyu.Student, 2, 2), of(day1, canyu.Teacher, 1, 1), of(day2, canyu.Student, 1, 2)}
	days := get[[]canyu.DaySum](t)
	equal(t, "all", days(a.Days(t.Context(), act, nil, day1, day7)), want)
	equal(t, "one day", days(a.Days(t.Context(), act, nil, day2, day2)), want[2:])
	equal(t, "one school", days(a.Days(t.Context(), act, []canyu.SchoolCode{schoolA}, day2, day7)), []canyu.DaySum{of(day2, canyu.Student, 0, 1)})
	equal(t, "no school", len(days(a.Days(t.Context(), act, []canyu.SchoolCode{}, day1, day7))), 0)
}

func testLatest(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	parent := first(class31, 3, noon1)
	parent.Role = canyu.Parent
	must(t, a.Store(t.Context(), act, []canyu.Recorded{
		first(class101, 1, noon1), first(class32, 1, noon1), repeat(class32, 1, noon2, 5), first(class32, 2, noon1), parent, first(classB, 1, noon2),
	}))
	latest := get[[]canyu.Latest](t)
	equal(t, "latest", latest(a.Latest(t.Context(), act, schoolA)), []canyu.Latest{
		{Class: class31, Role: canyu.Parent, At: noon1}, {Class: class32, Role: canyu.Student, At: noon2}, {Class: class101, Role: canyu.Student, At: noon1},
	})
	equal(t, "a school without any", len(latest(a.Latest(t.Context(), act, schoolC))), 0)
}
