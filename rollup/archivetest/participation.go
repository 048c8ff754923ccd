package archivetest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func testStore(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	must(t, a.Store(t.Context(), act, nil))
	equal(t, "nothing stored", tallies(t, a, act), []canyu.Rollup{})
	must(t, a.Store(t.Context(), act, []canyu.Recorded{
		first(class32, 1, noon1),
		first(class32, 2, noon1),
		repeat(class32, 2, noon1.Add(time.Hour), 77),
		repeat(class32, 2, noon2, 78),
		first(class32, 3, noon2),
		first(classB, 1, noon2), // the same number in another class is somebody else
	}))
	want := []canyu.Rollup{
		student(class32, day1, 2, 3),
		student(class32, day2, 1, 2),
		student(classB, day2, 1, 1),
	}
	equal(t, "tallies", tallies(t, a, act), want)
	equal(t, "rollups before Restate", rollups(t, a, act), []canyu.Rollup{})
}

// testStoreOrders stores the same facts in pieces that overlap, in any order, and
// some of them twice in one call: the archive is the same every time.
func testStoreOrders(t *testing.T, open Open) {
	a := begin(t, open)
	chance := rand.New(rand.NewPCG(1, 2))
	var rs []canyu.Recorded
	for p := range canyu.Participant(40) {
		class := []canyu.Class{class32, class31, classB}[p%3]
		at := noon1.Add(time.Duration(chance.IntN(100)) * time.Hour)
		rs = append(rs, first(class, p, at))
		for i := range chance.IntN(4) {
			rs = append(rs, repeat(class, p, at.Add(time.Duration(i+1)*time.Hour), uint64(1000+i)))
		}
	}
	want := tally(rs)
	for round := range 4 {
		act := activity()
		shuffled := slices.Concat(rs, rs[:len(rs)/2])
		chance.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for len(shuffled) > 0 {
			n := min(1+chance.IntN(60), len(shuffled))
			must(t, a.Store(t.Context(), act, shuffled[:n]))
			if chance.IntN(2) == 0 {
				must(t, a.Store(t.Context(), act, shuffled[:n])) // the reply was lost
			}
			shuffled = shuffled[n:]
		}
		equal(t, fmt.Sprintf("tallies, round %d", round), tallies(t, a, act), want)
	}
}

// tally is what the facts say, counted here, where no key comes with two instants.
func tally(rs []canyu.Recorded) []canyu.Rollup {
	type key struct {
		class canyu.Class
		role  canyu.Role
		p     canyu.Participant
		id    uint64
	}
	seen := make(map[key]bool)
	sums := make(map[canyu.Rollup][2]int)
	for _, r := range rs {
		k := key{r.Class, r.Role, r.Participant, r.ID}
		if seen[k] {
			continue
		}
		seen[k] = true
		of := canyu.Rollup{Class: r.Class, Role: r.Role, Day: r.Day}
		n := sums[of]
		n[1]++
		if r.Counted {
			n[0]++
		}
		sums[of] = n
	}
	all := []canyu.Rollup{}
	for of, n := range sums {
		of.Participants, of.Submissions = n[0], n[1]
		all = append(all, of)
	}
	return numbers(all)
}

func testStoreAtOnce(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	var rs []canyu.Recorded
	for p := range canyu.Participant(200) {
		rs = append(rs, first(canyu.Class{School: schoolA + canyu.SchoolCode(p%5), Grade: 3, Number: 1}, p, noon1))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			archive := []canyu.Archive{a, b}[i%2]
			for piece := range slices.Chunk(rs, 40+10*i) {
				if err := archive.Store(t.Context(), act, piece); err != nil {
					t.Errorf("Store: %v", err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "tallies", tallies(t, a, act), tally(rs))
	equal(t, "tallies, seen by another", tallies(t, b, act), tally(rs))
}

func testEarliest(t *testing.T, open Open) {
	a := begin(t, open)
	late, early := first(class32, 1, noon2), first(class32, 1, noon1)
	late.Ordinal = 9
	for name, calls := range map[string][][]canyu.Recorded{
		"early first": {{early}, {late}},
		"late first":  {{late}, {early}},
		"in one call": {{late, early, late}},
		"repeated":    {{late}, {early}, {late}, {late}},
	} {
		act := activity()
		for _, rs := range calls {
			must(t, a.Store(t.Context(), act, rs))
			must(t, a.Restate(t.Context(), act, []canyu.Class{class32}))
		}
		want := []canyu.Rollup{student(class32, day1, 1, 1)}
		equal(t, name+": tallies", tallies(t, a, act), want)
		equal(t, name+": rollups", rollups(t, a, act), want)
		row := early
		row.ID = 0
		equal(t, name+": participants", withoutID(participants(t, a, act)), []canyu.Recorded{row})
	}
	// By a millisecond, and for the submission apart from the participant.
	act := activity()
	again := repeat(class32, 1, noon1.Add(-time.Millisecond), early.ID)
	must(t, a.Store(t.Context(), act, []canyu.Recorded{early}))
	must(t, a.Store(t.Context(), act, []canyu.Recorded{again}))
	equal(t, "participant's instant", participants(t, a, act)[0].At, noon1)
	equal(t, "one submission", tallies(t, a, act), []canyu.Rollup{student(class32, day1, 1, 1)})
}

func withoutID(rs []canyu.Recorded) []canyu.Recorded {
	for i := range rs {
		rs[i].ID = 0
	}
	return rs
}

func testLimits(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	var rs []canyu.Recorded
	instant := time.Date(2099, 12, 31, 23, 59, 59, 999e6, time.UTC)
	for i, p := range []canyu.Participant{0, 1, math.MaxInt64 - 1, math.MaxInt64} {
		r := first(classC, p, instant)
		r.ID = []uint64{0, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}[i]
		r.Ordinal = []uint64{1, 2, 1 << 40, math.MaxInt64}[i]
		rs = append(rs, r, repeat(classC, p, instant, r.ID^1<<63))
	}
	for range 2 {
		must(t, a.Store(t.Context(), act, rs))
	}
	must(t, a.Restate(t.Context(), act, []canyu.Class{classC}))
	d := canyu.NewDay(2099, 12, 31)
	equal(t, "tallies", tallies(t, a, act), []canyu.Rollup{student(classC, d, 4, 8)})
	equal(t, "rollups", numbers(get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, []canyu.SchoolCode{schoolC}, d, d))), []canyu.Rollup{student(classC, d, 4, 8)})
	got := participants(t, a, act)
	slices.SortFunc(got, func(x, y canyu.Recorded) int { return cmp.Compare(x.Participant, y.Participant) })
	for i, r := range got {
		want := rs[2*i]
		want.ID = r.ID
		equal(t, "participant", r, want)
	}
}

func testApart(t *testing.T, open Open) {
	a, act, other := begin(t, open), activity(), activity()
	var want []canyu.Rollup
	for i, role := range canyu.Roles {
		var rs []canyu.Recorded
		for p := range canyu.Participant(i + 1) {
			r := first(class32, p, noon1)
			r.Role = role
			rs = append(rs, r)
		}
		must(t, a.Store(t.Context(), act, rs))
		want = append(want, canyu.Rollup{Class: class32, Role: role, Day: day1, Participants: i + 1, Submissions: i + 1})
	}
	must(t, a.Store(t.Context(), other, []canyu.Recorded{first(class32, 1, noon2)}))
	must(t, a.Restate(t.Context(), act, []canyu.Class{class32}))
	equal(t, "tallies", tallies(t, a, act), want)
	equal(t, "rollups", rollups(t, a, act), want)
	equal(t, "rollups of the other", rollups(t, a, other), []canyu.Rollup{})
	must(t, a.Restate(t.Context(), other, []canyu.Class{class32}))
	equal(t, "rollups of the other", rollups(t, a, other), []canyu.Rollup{student(class32, day2, 1, 1)})
	equal(t, "rollups after", rollups(t, a, act), want)
}

func testParticipants(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	var rs []canyu.Recorded
	for p := range canyu.Participant(3000) {
		r := first(canyu.Class{School: schoolA + canyu.SchoolCode(p%7), Grade: 4, Number: 1}, p, noon1.Add(time.Duration(p)*time.Millisecond))
		r.Role = canyu.Roles[p%4]
		rs = append(rs, r)
	}
	must(t, a.Store(t.Context(), act, rs))
	must(t, a.Store(t.Context(), act, rs[100:200]))
	got := withoutID(participants(t, a, act))
	byNumber := func(x, y canyu.Recorded) int { return cmp.Compare(x.Participant, y.Participant) }
	slices.SortFunc(got, byNumber)
	equal(t, "participants", got, withoutID(rs))
	n := 0
	for _, err := range a.Participants(t.Context(), act) { // broken off: the archive goes on working
		must(t, err)
		if n++; n == 10 {
			break
		}
	}
	equal(t, "afterwards", len(participants(t, a, act)), len(rs))
}

func testMessages(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	say := func(c canyu.Class, p canyu.Participant, at time.Time, text string) canyu.Recorded {
		r := first(c, p, at)
		r.Message = text
		return r
	}
	texts := []string{
		"缅怀先烈，致敬英雄！", "緬懷先烈🌸👨‍👩‍👧", `=HYPERLINK("http://example.org","x")`, "it's a \\ back\\nslash \"quote\" `tick`",
		"two\nlines\tand\r\ntabs", "'); DROP TABLE submissions; --", "%d {p:String} ? $1 @x :y", " blanks ", "\u202eright to left",
	}
	var rs []canyu.Recorded
	for i, text := range texts {
		r := say([]canyu.Class{class32, classB}[i%2], canyu.Participant(i), noon1.Add(time.Duration(i)*time.Millisecond), text)
		r.Role = canyu.Roles[i%4]
		rs = append(rs, r)
	}
	rs = append(rs, say(class32, 100, noon1, ""), say(class32, 101, noon2, "tomorrow"))
	slices.Reverse(rs)
	for range 2 {
		must(t, a.Store(t.Context(), act, rs))
	}
	read := func(schools []canyu.SchoolCode, d canyu.Day, limit int) (got []string) {
		for i, m := range get[[]canyu.Message](t)(a.Messages(t.Context(), act, schools, d, limit)) {
			got = append(got, m.Text)
			if schools == nil && d == day1 {
				want := canyu.Message{Class: []canyu.Class{class32, classB}[i%2], Role: canyu.Roles[i%4], At: noon1.Add(time.Duration(i) * time.Millisecond), Text: texts[i]}
				m.At = m.At.UTC()
				equal(t, "message", m, want)
			}
		}
		return got
	}
	equal(t, "all", read(nil, day1, 100), texts)
	equal(t, "the first three", read(nil, day1, 3), texts[:3])
	equal(t, "of one school", read([]canyu.SchoolCode{schoolB}, day1, 2), []string{texts[1], texts[3]})
	equal(t, "of no school", read([]canyu.SchoolCode{}, day1, 2), nil)
	equal(t, "of the next day", read(nil, day2, 2), []string{"tomorrow"})
	equal(t, "none wanted", read(nil, day1, 0), nil)
}

// testMessageOfEarliest: a row that loses takes its message and its day with it.
func testMessageOfEarliest(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	early, late := first(class32, 1, noon1), first(class32, 1, noon2)
	late.Message = "late"
	must(t, a.Store(t.Context(), act, []canyu.Recorded{late}))
	must(t, a.Store(t.Context(), act, []canyu.Recorded{early}))
	for _, d := range []canyu.Day{day1, day2} {
		equal(t, "messages", len(get[[]canyu.Message](t)(a.Messages(t.Context(), act, []canyu.SchoolCode{schoolA}, d, 10))), 0)
	}
}
