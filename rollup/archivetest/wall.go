package archivetest

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// wrote is a student's submission with a message.
func wrote(c canyu.Class, p canyu.Participant, at time.Time, text string) canyu.Recorded {
	r := first(c, p, at)
	r.Message = text
	return r
}

// entry is what the wall makes of a submission.
func entry(r canyu.Recorded) canyu.WallMessage {
	return canyu.WallMessage{Key: r.Key(), Message: canyu.Message{Class: r.Class, Role: r.Role, At: r.At, Text: r.Message}}
}

func decided(m canyu.WallMessage, s canyu.WallState, at time.Time) canyu.WallMessage {
	m.State, m.Reason, m.By, m.Decided = s, "word: it's \\ '", "school 3418020001, key a", at
	return m
}

func wall(t *testing.T, a canyu.Archive, activity string, q canyu.WallQuery) []canyu.WallMessage {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	got := get[[]canyu.WallMessage](t)(a.Wall(t.Context(), activity, q))
	for i := range got {
		got[i].At = got[i].At.UTC()
		if got[i].Decided = got[i].Decided.UTC(); got[i].State == canyu.Waiting && !got[i].Decided.IsZero() {
			t.Errorf("decided, but waiting: %+v", got[i])
		}
	}
	return append([]canyu.WallMessage{}, got...)
}

// testWall follows messages from waiting to shown, reported and hidden.
func testWall(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	one, two := wrote(class32, 1, noon1, "缅怀先烈 🙏 it's \\ 'so'"), wrote(class31, 1<<62+7, noon1.Add(time.Second), "second")
	other, late := wrote(classB, 3, noon1.Add(time.Minute), "other school"), wrote(class32, 4, noon2, "late")
	late.Role, late.ID = canyu.Parent, 1<<63+5
	must(t, a.Store(t.Context(), act, []canyu.Recorded{late, other, two, one, first(class32, 9, noon1)})) // the last left none
	must(t, a.Store(t.Context(), act, []canyu.Recorded{one}))                                             // once more
	all := []canyu.WallMessage{entry(one), entry(two), entry(other), entry(late)}
	equal(t, "waiting", wall(t, b, act, canyu.WallQuery{}), all)
	equal(t, "waiting of one school", wall(t, b, act, canyu.WallQuery{Schools: []canyu.SchoolCode{schoolB}}), all[2:3])
	equal(t, "waiting of no school", len(wall(t, b, act, canyu.WallQuery{Schools: []canyu.SchoolCode{}})), 0)
	equal(t, "waiting by key", wall(t, b, act, canyu.WallQuery{Schools: []canyu.SchoolCode{schoolA}, Keys: []canyu.MessageKey{all[1].Key, all[2].Key, 5}}), all[1:2])
	equal(t, "waiting of no key", len(wall(t, b, act, canyu.WallQuery{Keys: []canyu.MessageKey{}})), 0)
	equal(t, "of another activity", len(wall(t, b, activity(), canyu.WallQuery{})), 0)
	must(t, a.Decide(t.Context(), act, nil))

	shown := []canyu.WallMessage{decided(all[0], canyu.Shown, noon2), decided(all[2], canyu.Shown, noon2), decided(all[3], canyu.Hidden, noon2)}
	for range 2 { // the reply was lost
		must(t, a.Decide(t.Context(), act, shown))
	}
	equal(t, "still waiting", wall(t, b, act, canyu.WallQuery{}), all[1:2])
	equal(t, "shown, newest first", wall(t, b, act, canyu.WallQuery{State: canyu.Shown}), []canyu.WallMessage{shown[1], shown[0]})
	equal(t, "shown of a school", wall(t, b, act, canyu.WallQuery{State: canyu.Shown, Schools: []canyu.SchoolCode{schoolA}}), shown[:1])
	equal(t, "hidden", wall(t, b, act, canyu.WallQuery{State: canyu.Hidden}), shown[2:])
	count := func(schools []canyu.SchoolCode, want map[canyu.WallState]int) {
		t.Helper()
		got := get[map[canyu.WallState]int](t)(b.WallCounts(t.Context(), act, schools))
		for _, s := range canyu.WallStates {
			equal(t, "how many "+s.String(), got[s], want[s])
		}
	}
	count(nil, map[canyu.WallState]int{canyu.Waiting: 1, canyu.Shown: 2, canyu.Hidden: 1})
	count([]canyu.SchoolCode{schoolB, schoolC}, map[canyu.WallState]int{canyu.Shown: 1})
	count([]canyu.SchoolCode{}, nil)

	// The newest decision stays in whatever order they come, at one moment the more careful.
	reported := decided(all[0], canyu.Reported, noon2.Add(time.Millisecond))
	must(t, a.Decide(t.Context(), act, []canyu.WallMessage{decided(all[0], canyu.Shown, reported.Decided)}))
	must(t, b.Decide(t.Context(), act, []canyu.WallMessage{reported}))
	must(t, a.Decide(t.Context(), act, shown[:1]))
	must(t, a.Decide(t.Context(), act, []canyu.WallMessage{decided(all[0], canyu.Shown, reported.Decided)}))
	equal(t, "reported", wall(t, b, act, canyu.WallQuery{State: canyu.Reported}), []canyu.WallMessage{reported})
	count([]canyu.SchoolCode{schoolA}, map[canyu.WallState]int{canyu.Waiting: 1, canyu.Reported: 1, canyu.Hidden: 1})

	// A submission that becomes an earlier one with another text is another message,
	// and what somebody has read stays on the wall.
	early := other
	early.At, early.Message = other.At.Add(-time.Hour), "not what was read"
	must(t, a.Store(t.Context(), act, []canyu.Recorded{early}))
	equal(t, "waiting again", wall(t, b, act, canyu.WallQuery{Schools: []canyu.SchoolCode{schoolB}}), []canyu.WallMessage{entry(early)})
	equal(t, "shown as read", wall(t, b, act, canyu.WallQuery{State: canyu.Shown}), shown[1:2])

	// Counting knows nothing of all this.
	equal(t, "participants", len(participants(t, a, act)), 5)
}

func testWallPages(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	var rs []canyu.Recorded
	for i := range 25 { // three in each instant
		rs = append(rs, wrote([]canyu.Class{class32, classB}[i%2], canyu.Participant(i), noon1.Add(time.Duration(i/3)*time.Millisecond), fmt.Sprint("message ", i)))
	}
	must(t, a.Store(t.Context(), act, rs))
	earliest := make([]canyu.WallMessage, 0, len(rs))
	for _, r := range rs {
		earliest = append(earliest, entry(r))
	}
	slices.SortFunc(earliest, func(x, y canyu.WallMessage) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Key, y.Key)) })
	pages := func(q canyu.WallQuery) (all []canyu.WallMessage) {
		for range 10 {
			q.Limit = 4
			got := wall(t, a, act, q)
			if all = append(all, got...); len(got) < 4 {
				return all
			}
			q.After = canyu.WallPlace{At: got[3].At, Key: got[3].Key}
		}
		t.Error("the pages have no end")
		return all
	}
	equal(t, "waiting", pages(canyu.WallQuery{}), earliest)
	for i := range earliest {
		earliest[i] = decided(earliest[i], canyu.Shown, noon2)
	}
	must(t, a.Decide(t.Context(), act, earliest))
	slices.SortFunc(earliest, func(x, y canyu.WallMessage) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.Key, y.Key)) })
	equal(t, "shown", pages(canyu.WallQuery{State: canyu.Shown}), earliest)
	equal(t, "of no limit", len(get[[]canyu.WallMessage](t)(a.Wall(t.Context(), act, canyu.WallQuery{State: canyu.Shown}))), 0)

	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			m := decided(earliest[0], canyu.WallStates[1+i%3], noon2.Add(time.Duration(i+1)*time.Second))
			if err := a.Decide(t.Context(), act, []canyu.WallMessage{m}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "of several at once", wall(t, a, act, canyu.WallQuery{State: canyu.Hidden}), []canyu.WallMessage{decided(earliest[0], canyu.Hidden, noon2.Add(6*time.Second))})
}

func testWallSwitches(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	read := func() []canyu.WallSwitch {
		t.Helper()
		got := get[[]canyu.WallSwitch](t)(b.WallSwitches(t.Context(), act))
		for i := range got {
			got[i].At = got[i].At.UTC()
		}
		return append([]canyu.WallSwitch{}, got...)
	}
	equal(t, "none", read(), []canyu.WallSwitch{})
	off := func(r canyu.Region, off bool, at time.Time) canyu.WallSwitch {
		return canyu.WallSwitch{Region: r, Off: off, By: "region " + r.String() + ", key 'a'", At: at}
	}
	county, nation := off(341802, true, noon1), off(canyu.Nation, true, noon2)
	for _, s := range []canyu.WallSwitch{county, off(canyu.Nation, false, noon2), nation, county, off(canyu.Nation, false, noon1), off(canyu.Nation, false, noon2), nation} {
		must(t, a.SetWallSwitch(t.Context(), act, s))
	}
	equal(t, "the newest of each", read(), []canyu.WallSwitch{nation, county})
	on := off(canyu.Nation, false, noon2.Add(time.Millisecond))
	must(t, b.SetWallSwitch(t.Context(), act, on))
	equal(t, "on again", read(), []canyu.WallSwitch{on, county})
	must(t, a.SetWallSwitch(t.Context(), activity(), off(341821, true, noon2)))
	equal(t, "of one activity", len(read()), 2)
	if s := canyu.WallOff(read(), 341802); s == nil || s.Region != 341802 || canyu.WallOff(read(), 341821) != nil {
		t.Errorf("off in 341802: %v", s)
	}
}
