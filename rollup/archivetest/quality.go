package archivetest

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// testOddHours: 06:00 to 22:00 in Shanghai, but on the second day, which has hours
// of its own, and on the seventh, which has none.
func testOddHours(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	shanghai := time.FixedZone("", 8*3600)
	var rs []canyu.Recorded
	add := func(class canyu.Class, d canyu.Day, clock string) {
		at := get[time.Time](t)(time.ParseInLocation("2006-01-02 15:04:05.000", d.String()+" "+clock, shanghai))
		r := first(class, canyu.Participant(len(rs)), at)
		r.Day, r.Role = d, canyu.Roles[len(rs)%4]
		rs = append(rs, r)
	}
	for _, clock := range []string{"00:00:00.000", "05:59:59.999", "06:00:00.000", "12:00:00.000", "21:59:59.999", "22:00:00.000", "23:59:59.999"} {
		for _, d := range []canyu.Day{day1, day2, day7} {
			add(class32, d, clock)
		}
	}
	add(class101, day1, "03:00:00.000")
	add(classB, day1+2, "03:00:00.000")
	add(classC, day1, "12:00:00.000")
	// Twice the same submission, and a late copy that came in earlier: once, at 12.
	add(classC, day2, "23:00:00.000")
	early := rs[len(rs)-1]
	early.At = early.At.Add(-11 * time.Hour)
	must(t, a.Store(t.Context(), act, rs))
	must(t, a.Store(t.Context(), act, append(rs[:3:3], early)))
	usual := []canyu.Hours{
		{First: day1 - 100, Last: day1, Opens: -2 * time.Hour, Closes: 14 * time.Hour},
		{First: day2, Last: day2, Opens: -2*time.Hour + time.Millisecond, Closes: 15 * time.Hour},
		{First: day1 + 2, Last: day1 + 4, Opens: -2 * time.Hour, Closes: 14 * time.Hour},
	}
	read := func(act string, schools []canyu.SchoolCode, hours []canyu.Hours) []canyu.OddHours {
		got := get[[]canyu.OddHours](t)(a.OddHours(t.Context(), act, schools, hours))
		slices.SortFunc(got, func(x, y canyu.OddHours) int {
			return cmp.Or(cmp.Compare(x.School, y.School), cmp.Compare(x.Day, y.Day))
		})
		return append([]canyu.OddHours{}, got...)
	}
	want := []canyu.OddHours{{School: schoolA, Day: day1, Submissions: 5}, {School: schoolA, Day: day2, Submissions: 4}, {School: schoolB, Day: day1 + 2, Submissions: 1}}
	equal(t, "all", read(act, nil, usual), want)
	equal(t, "of one school", read(act, []canyu.SchoolCode{schoolB, schoolC}, usual), want[2:])
	equal(t, "of no school", read(act, []canyu.SchoolCode{}, usual), []canyu.OddHours{})
	equal(t, "of one day", read(act, nil, usual[1:2]), want[1:2])
	equal(t, "of no day", read(act, nil, nil), []canyu.OddHours{})
	equal(t, "of another activity", read(activity(), nil, usual), []canyu.OddHours{})
}

func testRefusals(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	set := func(act, writer string, rs ...canyu.Refusal) {
		t.Helper()
		must(t, a.SetRefusals(t.Context(), act, writer, rs))
	}
	read := func(schools []canyu.SchoolCode, to canyu.Day) []canyu.Refusal {
		t.Helper()
		got := get[[]canyu.Refusal](t)(b.Refusals(t.Context(), act, schools, to))
		slices.SortFunc(got, func(x, y canyu.Refusal) int {
			return cmp.Or(cmp.Compare(x.School, y.School), cmp.Compare(x.Day, y.Day), cmp.Compare(x.Reason, y.Reason))
		})
		return append([]canyu.Refusal{}, got...)
	}
	set(act, "one")
	equal(t, "nothing stored", read(nil, day7), []canyu.Refusal{})
	for range 2 { // the reply was lost
		set(act, "one", canyu.Refusal{School: schoolA, Day: day1, Reason: "seat", Count: 3}, canyu.Refusal{School: 0, Day: day1, Reason: "school", Count: 2})
	}
	set(act, "two", canyu.Refusal{School: schoolA, Day: day1, Reason: "seat", Count: 10}, canyu.Refusal{School: schoolA, Day: day1, Reason: "it's \\ '", Count: 1})
	set(act, "one", canyu.Refusal{School: schoolA, Day: day1, Reason: "seat", Count: 5}, canyu.Refusal{School: schoolB, Day: day2, Reason: "closed", Count: 1 << 40})
	set(act, "one", canyu.Refusal{School: schoolA, Day: day1, Reason: "seat", Count: 4}) // came late
	set(activity(), "one", canyu.Refusal{School: schoolA, Day: day1, Reason: "seat", Count: 100})
	want := []canyu.Refusal{
		{School: 0, Day: day1, Reason: "school", Count: 2}, {School: schoolA, Day: day1, Reason: "it's \\ '", Count: 1},
		{School: schoolA, Day: day1, Reason: "seat", Count: 15}, {School: schoolB, Day: day2, Reason: "closed", Count: 1 << 40},
	}
	equal(t, "all", read(nil, day7), want)
	equal(t, "to the first day", read(nil, day1), want[:3])
	equal(t, "to the day before", read(nil, day1-1), []canyu.Refusal{})
	equal(t, "of two schools", read([]canyu.SchoolCode{schoolA, schoolC}, day7), want[1:3])
	equal(t, "of no school", read([]canyu.SchoolCode{}, day7), []canyu.Refusal{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if err := []canyu.Archive{a, b}[i%2].SetRefusals(t.Context(), act, []string{"three", "four"}[i%2], []canyu.Refusal{{School: schoolC, Day: day7, Reason: "seat", Count: i + 1}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "of several at once", read([]canyu.SchoolCode{schoolC}, day7), []canyu.Refusal{{School: schoolC, Day: day7, Reason: "seat", Count: 11}})
}
