// Package archivetest is the contract of canyu.Archive as a test that every
// engine passes unchanged.
package archivetest

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// Open opens the archive of one place; each call is a process of its own.
type Open func(ctx context.Context) (canyu.Archive, error)

// Test runs the contract. place makes a new empty place for an archive, cleared
// away at the end of the test, and returns what opens it.
func Test(t *testing.T, place func(t *testing.T) Open) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open Open)
	}{
		{"Epoch", testEpoch},
		{"Terms", testTerms},
		{"Store", testStore},
		{"Store in pieces and orders", testStoreOrders},
		{"Store at once", testStoreAtOnce},
		{"The earliest stays", testEarliest},
		{"Numbers at their limits", testLimits},
		{"Roles and activities apart", testApart},
		{"Restate", testRestate},
		{"Restate only what was asked", testRestateOnly},
		{"Restate follows the facts", testRestateFollows},
		{"Restate many", testRestateMany},
		{"Rollups of schools and days", testRollupRange},
		{"Tallies", testTallies},
		{"Odd hours", testOddHours},
		{"Refusals", testRefusals},
		{"Participants", testParticipants},
		{"Messages", testMessages},
		{"Message of the earliest", testMessageOfEarliest},
		{"Minutes", testMinutes},
		{"Days", testDays},
		{"Latest", testLatest},
		{"Wall", testWall},
		{"Wall in pages", testWallPages},
		{"Wall switches", testWallSwitches},
		{"Held", testHeld},
		{"Held, the earliest", testHeldEarliest},
		{"Roster", testRoster},
		{"Roster is replaced by school", testRosterReplaced},
		{"Roster whole or not at all", testRosterWhole},
		{"Schools removed from the roster", testSchoolsRemoved},
		{"Freeze", testFreeze},
		{"Deliveries", testDeliveries},
		{"Signatures", testSignatures},
		{"Audit log", testAudit},
		{"Salt", testSalt},
		{"Purge of messages", testPurgeMessages},
		{"Purge of participants", testPurgeParticipants},
		{"Person", testPerson},
		{"Erase", testErase},
		{"Nothing there", testNothing},
		{"Opened again", testReopen},
		{"Opened by several at once", testOpenAtOnce},
		{"Cancelled", testCancelled},
		{"Cancelled afterwards", testCancelledAfterwards},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, place(t))
		})
	}
}

// The week of the notice.
var (
	day1  = canyu.NewDay(2017, 4, 1)
	day2  = day1 + 1
	day7  = day1 + 6
	noon1 = time.Date(2017, 4, 1, 12, 0, 0, 0, time.UTC)
	noon2 = noon1.AddDate(0, 0, 1)
)

const (
	schoolA canyu.SchoolCode = 3418020001
	schoolB canyu.SchoolCode = 3418020002
	schoolC canyu.SchoolCode = 9999999999
)

var (
	class32  = canyu.Class{School: schoolA, Grade: 3, Number: 2}
	class31  = canyu.Class{School: schoolA, Grade: 3, Number: 1}
	class101 = canyu.Class{School: schoolA, Grade: 10, Number: 1}
	classB   = canyu.Class{School: schoolB, Grade: 1, Number: 999}
	classC   = canyu.Class{School: schoolC, Grade: 12, Number: 12}
)

func begin(t *testing.T, open Open) canyu.Archive {
	t.Helper()
	a, err := open(t.Context())
	if err != nil {
		t.Fatalf("cannot open: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// activity is a name that no other test has.
func activity() string {
	b := []byte("qingming-")
	for range 8 {
		b = append(b, 'a'+byte(rand.IntN(26)))
	}
	return string(b)
}

// first is a student's first participation at an instant.
func first(c canyu.Class, p canyu.Participant, at time.Time) canyu.Recorded {
	r := repeat(c, p, at, uint64(p)+1)
	r.Outcome = canyu.Outcome{Counted: true, Ordinal: uint64(p)}
	return r
}

// repeat is a later participation with another submission ID.
func repeat(c canyu.Class, p canyu.Participant, at time.Time, id uint64) canyu.Recorded {
	return canyu.Recorded{Participation: canyu.Participation{
		Class: c, Role: canyu.Student, Participant: p, ID: id, At: at, Day: canyu.DayAt(at, time.UTC),
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// numbers are rollups in order, without the empty ones.
func numbers(rs []canyu.Rollup) []canyu.Rollup {
	rs = slices.DeleteFunc(append([]canyu.Rollup{}, rs...), func(r canyu.Rollup) bool { return r.Participants == 0 && r.Submissions == 0 })
	slices.SortFunc(rs, compare)
	return rs
}

func compare(x, y canyu.Rollup) int {
	if c := x.Class.Compare(y.Class); c != 0 {
		return c
	}
	if x.Role != y.Role {
		return int(x.Role) - int(y.Role)
	}
	return int(x.Day) - int(y.Day)
}

func student(c canyu.Class, d canyu.Day, participants, submissions int) canyu.Rollup {
	return canyu.Rollup{Class: c, Role: canyu.Student, Day: d, Participants: participants, Submissions: submissions}
}

func tallies(t *testing.T, a canyu.Archive, activity string) []canyu.Rollup {
	t.Helper()
	got := get[[]canyu.Rollup](t)(a.Tallies(t.Context(), activity, nil))
	if !slices.IsSortedFunc(got, compare) {
		t.Errorf("tallies are not in order: %v", got)
	}
	return numbers(got)
}

func rollups(t *testing.T, a canyu.Archive, activity string) []canyu.Rollup {
	t.Helper()
	return numbers(get[[]canyu.Rollup](t)(a.Rollups(t.Context(), activity, nil, day1-1000, day7+1000)))
}

func participants(t *testing.T, a canyu.Archive, activity string) []canyu.Recorded {
	t.Helper()
	var all []canyu.Recorded
	for r, err := range a.Participants(t.Context(), activity) {
		must(t, err)
		r.At = r.At.UTC()
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y canyu.Recorded) int {
		if c := x.Class.Compare(y.Class); c != 0 {
			return c
		}
		if x.Role != y.Role {
			return int(x.Role) - int(y.Role)
		}
		return strings.Compare(string(rune(x.Participant)), string(rune(y.Participant)))
	})
	return all
}
