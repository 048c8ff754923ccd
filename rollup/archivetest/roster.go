package archivetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/canyu/canyu"
)

func roster(t *testing.T, entries ...canyu.RosterEntry) *canyu.Roster {
	t.Helper()
	return get[*canyu.Roster](t)(canyu.NewRoster(entries))
}

func entries(t *testing.T, a canyu.Archive) []canyu.RosterEntry {
	t.Helper()
	r := get[*canyu.Roster](t)(a.Roster(t.Context()))
	if r == nil {
		t.Fatal("the roster is nil")
	}
	return r.Entries()
}

func testRoster(t *testing.T, open Open) {
	a := begin(t, open)
	equal(t, "no roster", len(entries(t, a)), 0)
	r := roster(t,
		canyu.RosterEntry{Region: 341802, School: schoolA, Name: "宣城市实验小学（𠮷）", Grade: 3, Class: 2, Enrolled: 50},
		canyu.RosterEntry{Region: 341802, School: schoolA, Name: "宣城市实验小学（𠮷）", Grade: 3, Class: 1, Enrolled: 0},
		canyu.RosterEntry{Region: 341802, School: schoolA, Name: "宣城市实验小学（𠮷）", Grade: 12, Class: 999, Enrolled: 999},
		canyu.RosterEntry{Region: 999999, School: schoolC, Name: `it's \ "the" last`, Grade: 1, Class: 1, Enrolled: 7},
		canyu.RosterEntry{Region: 110000, School: 1, Name: "=1+1", Grade: 1, Class: 1, Enrolled: 1},
	)
	for range 2 {
		must(t, a.ImportRoster(t.Context(), r))
		equal(t, "roster", entries(t, a), r.Entries())
	}
	must(t, a.ImportRoster(t.Context(), roster(t)))
	equal(t, "after an empty import", entries(t, a), r.Entries())
}

func testRosterReplaced(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	at := func(s canyu.SchoolCode, region canyu.Region, name string, class uint16, enrolled int) canyu.RosterEntry {
		return canyu.RosterEntry{Region: region, School: s, Name: name, Grade: 3, Class: class, Enrolled: enrolled}
	}
	must(t, a.ImportRoster(t.Context(), roster(t, at(schoolA, 341802, "A", 1, 40), at(schoolA, 341802, "A", 2, 41), at(schoolB, 341802, "B", 1, 30))))
	// The school has a new name and region, class 1 is gone, class 3 is new.
	must(t, b.ImportRoster(t.Context(), roster(t, at(schoolA, 341821, "A′", 2, 42), at(schoolA, 341821, "A′", 3, 43), at(schoolC, 341802, "C", 1, 20))))
	want := []canyu.RosterEntry{at(schoolA, 341821, "A′", 2, 42), at(schoolA, 341821, "A′", 3, 43), at(schoolB, 341802, "B", 1, 30), at(schoolC, 341802, "C", 1, 20)}
	equal(t, "roster", entries(t, a), want)
	must(t, a.ImportRoster(t.Context(), roster(t, at(schoolB, 341802, "B", 1, 31))))
	want[2].Enrolled = 31
	for range 2 { // unchanged
		equal(t, "roster", entries(t, b), want)
	}
}

// testRosterWhole imports rosters that differ in every number while others read:
// what they see is always one of them.
func testRosterWhole(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	version := func(v int) *canyu.Roster {
		var es []canyu.RosterEntry
		for s := range canyu.SchoolCode(40) {
			for c := range uint16(5) {
				es = append(es, canyu.RosterEntry{Region: 341802, School: schoolA + s, Name: fmt.Sprint("v", v), Grade: 3, Class: c + 1 + uint16(v), Enrolled: v})
			}
		}
		return roster(t, es...)
	}
	must(t, a.ImportRoster(t.Context(), version(0)))
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for v := range 5 {
			if err := a.ImportRoster(t.Context(), version(v+1)); err != nil {
				t.Errorf("ImportRoster: %v", err)
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		got := entries(t, b)
		if len(got) == 0 {
			t.Fatal("the roster is empty")
		}
		equal(t, "roster", got, version(got[0].Enrolled).Entries())
	}
	wg.Wait()
	equal(t, "roster in the end", entries(t, b), version(5).Entries())
}

func testSchoolsRemoved(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	entry := func(s canyu.SchoolCode, class uint16) canyu.RosterEntry {
		return canyu.RosterEntry{Region: 341802, School: s, Name: "A", Grade: 3, Class: class, Enrolled: 40}
	}
	all := roster(t, entry(schoolA, 1), entry(schoolA, 2), entry(schoolB, 1), entry(schoolC, 1))
	must(t, a.ImportRoster(t.Context(), all))
	equal(t, "roster", entries(t, b), all.Entries())
	for range 2 {
		must(t, a.RemoveSchools(t.Context(), []canyu.SchoolCode{schoolA, schoolC}))
		equal(t, "roster", entries(t, b), []canyu.RosterEntry{entry(schoolB, 1)})
	}
	must(t, a.RemoveSchools(t.Context(), nil))
	must(t, b.ImportRoster(t.Context(), roster(t, entry(schoolA, 7))))
	equal(t, "roster", entries(t, a), []canyu.RosterEntry{entry(schoolA, 7), entry(schoolB, 1)})
	must(t, a.RemoveSchools(t.Context(), []canyu.SchoolCode{schoolA, schoolB}))
	equal(t, "roster", len(entries(t, b)), 0)
}
