package archivetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func testSalt(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	equal(t, "none", len(get[[]byte](t)(a.Salt(t.Context(), act))), 0)
	first, second := bytes.Repeat([]byte{1}, canyu.SaltSize), bytes.Repeat([]byte{0xff}, canyu.SaltSize)
	equal(t, "made", get[[]byte](t)(a.MakeSalt(t.Context(), act, first)), first)
	equal(t, "made again", get[[]byte](t)(b.MakeSalt(t.Context(), act, second)), first)
	equal(t, "of another activity", get[[]byte](t)(b.MakeSalt(t.Context(), activity(), second)), second)
	equal(t, "read", get[[]byte](t)(b.Salt(t.Context(), act)), first)
}

// purgeable is an activity of two classes with messages, one of them on the wall and one
// held apart and admitted.
func purgeable(t *testing.T, a canyu.Archive) string {
	t.Helper()
	act := activity()
	held := wrote(classB, 9, noon2, "held message")
	held.Counted, held.Ordinal, held.Held = false, 0, canyu.MachinePace
	rs := []canyu.Recorded{wrote(class32, 1, noon1, "first message"), wrote(class32, 2, noon2, "second message"), first(classB, 3, noon2), held}
	get[[]byte](t)(a.MakeSalt(t.Context(), act, bytes.Repeat([]byte{7}, canyu.SaltSize)))
	must(t, a.SetEpoch(t.Context(), act, "epoch"))
	must(t, a.Store(t.Context(), act, rs))
	must(t, a.Restate(t.Context(), act, []canyu.Class{class32, classB}))
	must(t, a.Decide(t.Context(), act, []canyu.WallMessage{decided(entry(rs[0]), canyu.Shown, noon2)}))
	must(t, a.DecideHeld(t.Context(), act, []canyu.HeldDecision{{HeldCase: canyu.HeldCase{Class: classB, Day: day2, Why: canyu.MachinePace},
		State: canyu.Admitted, Until: noon2, By: "a link", At: noon2}}))
	return act
}

func testPurgeMessages(t *testing.T, open Open) {
	a := begin(t, open)
	act, other := purgeable(t, a), purgeable(t, a)
	before := get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, nil, day1, day7))
	must(t, a.SetPurged(t.Context(), act, canyu.Purged{Announced: noon1, Messages: noon2}))
	for range 2 {
		must(t, a.PurgeMessages(t.Context(), act))
	}
	messages := func(act string, want int) {
		t.Helper()
		n := 0
		for day := day1; day <= day2; day++ {
			n += len(get[[]canyu.Message](t)(a.Messages(t.Context(), act, nil, day, 100)))
		}
		for _, state := range get[map[canyu.WallState]int](t)(a.WallCounts(t.Context(), act, nil)) {
			n += state
		}
		equal(t, "messages and those of the wall", n, want)
	}
	messages(act, 0)
	messages(other, 4)
	p := get[canyu.Person](t)(a.Person(t.Context(), act, classB, canyu.Student, 9))
	if len(p.Held) != 1 || p.Held[0].Message != "" {
		t.Errorf("held: %+v", p.Held)
	}
	equal(t, "rollups", numbers(get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, nil, day1, day7))), numbers(before))
	equal(t, "participants", len(participants(t, a, act)), 3)

	// What comes late leaves no message.
	must(t, a.Store(t.Context(), act, []canyu.Recorded{wrote(class32, 5, noon2, "late message")}))
	messages(act, 0)
	equal(t, "participants", len(participants(t, a, act)), 4)
}

func testPurgeParticipants(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	act, other := purgeable(t, a), purgeable(t, a)
	with := get[[]canyu.Rollup](t)(a.Rollups(t.Context(), act, nil, day1, day7))
	equal(t, "as the purge sees it", sumOf(with), [2]int{4, 4})
	must(t, a.SetRollups(t.Context(), act, with))
	state := canyu.Purged{Ordered: noon1, Messages: noon2, Participants: noon2.Add(time.Millisecond)}
	must(t, a.SetPurged(t.Context(), act, state))
	equal(t, "how far", get[canyu.Purged](t)(b.Purged(t.Context(), act)), state)
	for range 2 {
		must(t, a.PurgeParticipants(t.Context(), act))
	}
	state.ParticipantsDone = noon2.Add(time.Hour)
	must(t, b.SetPurged(t.Context(), act, state))
	equal(t, "how far", get[canyu.Purged](t)(a.Purged(t.Context(), act)), state)

	equal(t, "salt", len(get[[]byte](t)(b.Salt(t.Context(), act))), 0)
	equal(t, "participants", len(participants(t, b, act)), 0)
	equal(t, "facts", len(get[[]canyu.Rollup](t)(b.Tallies(t.Context(), act, nil))), 0)
	for s, err := range b.Held(t.Context(), act, nil) {
		t.Errorf("held: %v, %v", s, err)
	}
	for state, n := range get[map[canyu.WallState]int](t)(b.WallCounts(t.Context(), act, nil)) {
		equal(t, "on the wall as "+state.String(), n, 0)
	}
	equal(t, "rollups stay, with what was admitted", sumOf(get[[]canyu.Rollup](t)(b.Rollups(t.Context(), act, nil, day1, day7))), [2]int{4, 4})
	equal(t, "epoch", get[string](t)(b.Epoch(t.Context(), act)), "epoch")

	for what, err := range map[string]error{
		"Store":   a.Store(t.Context(), act, []canyu.Recorded{first(class32, 1, noon1)}),
		"Restate": a.Restate(t.Context(), act, []canyu.Class{class32}),
	} {
		if !errors.Is(err, canyu.ErrPurged) {
			t.Errorf("%s: %v, want ErrPurged", what, err)
		}
	}
	if _, err := a.MakeSalt(t.Context(), act, bytes.Repeat([]byte{7}, canyu.SaltSize)); !errors.Is(err, canyu.ErrPurged) {
		t.Errorf("MakeSalt: %v, want ErrPurged", err)
	}
	equal(t, "the other activity", len(participants(t, b, other)), 3)
	equal(t, "its salt", len(get[[]byte](t)(b.Salt(t.Context(), other))), canyu.SaltSize)
}

func sumOf(rs []canyu.Rollup) (sum [2]int) {
	for _, r := range rs {
		sum[0], sum[1] = sum[0]+r.Participants, sum[1]+r.Submissions
	}
	return sum
}

func testPerson(t *testing.T, open Open) {
	a := begin(t, open)
	act := purgeable(t, a)
	again := repeat(class32, 1, noon2, 99)
	must(t, a.Store(t.Context(), act, []canyu.Recorded{again}))
	of := func(act string, c canyu.Class, r canyu.Role, p canyu.Participant) canyu.Person {
		t.Helper()
		return get[canyu.Person](t)(a.Person(t.Context(), act, c, r, p))
	}
	p := of(act, class32, canyu.Student, 1)
	equal(t, "counted", p.Counted && p.At.Equal(noon1) && p.Day == day1, true)
	equal(t, "ordinal", p.Ordinal, uint64(1))
	if len(p.Submissions) != 2 || p.Submissions[0].Message != "first message" || p.Submissions[1] != again.Participation {
		t.Errorf("submissions %+v", p.Submissions)
	}
	if len(p.Wall) != 1 || p.Wall[0].Text != "first message" || p.Wall[0].State != canyu.Shown {
		t.Errorf("wall %+v", p.Wall)
	}
	p = of(act, classB, canyu.Student, 9)
	if p.Counted || len(p.Submissions) != 0 || len(p.Held) != 1 || p.Held[0].Held != canyu.MachinePace || p.Held[0].Message != "held message" {
		t.Errorf("held: %+v", p)
	}
	for what, p := range map[string]canyu.Person{
		"another role":     of(act, class32, canyu.Parent, 1),
		"another class":    of(act, class31, canyu.Student, 1),
		"another":          of(act, class32, canyu.Student, 4),
		"another activity": of(activity(), class32, canyu.Student, 1),
	} {
		if p.Counted || len(p.Submissions)+len(p.Held)+len(p.Wall) > 0 {
			t.Errorf("%s: %+v", what, p)
		}
	}
}

func testErase(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	act := purgeable(t, a)
	must(t, a.Store(t.Context(), act, []canyu.Recorded{repeat(class32, 1, noon2, 99)}))
	for range 2 {
		must(t, a.Erase(t.Context(), act, class32, canyu.Student, 1))
		must(t, a.Erase(t.Context(), act, classB, canyu.Student, 9))
		must(t, a.Erase(t.Context(), activity(), classB, canyu.Student, 9))
	}
	must(t, a.Restate(t.Context(), act, []canyu.Class{class32, classB}))
	for _, c := range []canyu.Class{class32, classB} {
		for _, p := range []canyu.Participant{1, 9} {
			if p := get[canyu.Person](t)(b.Person(t.Context(), act, c, canyu.Student, p)); p.Counted || len(p.Submissions)+len(p.Held)+len(p.Wall) > 0 {
				t.Errorf("left: %+v", p)
			}
		}
	}
	equal(t, "on the wall", len(wall(t, b, act, canyu.WallQuery{State: canyu.Shown})), 0)
	rollups := get[[]canyu.Rollup](t)(b.Rollups(t.Context(), act, nil, day1, day7))
	equal(t, "who is left", sumOf(rollups), [2]int{2, 2})
	equal(t, "participants", len(participants(t, b, act)), 2)
}
