package canyu_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

func entry(school canyu.SchoolCode, grade uint8, class uint16, enrolled int) canyu.RosterEntry {
	return canyu.RosterEntry{Region: 341802, School: school, Name: "宣城市实验小学", Grade: grade, Class: class, Enrolled: enrolled}
}

func roster(t testing.TB, entries ...canyu.RosterEntry) *canyu.Roster {
	t.Helper()
	r, err := canyu.NewRoster(entries)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRosterOrder(t *testing.T) {
	t.Parallel()
	want := []canyu.RosterEntry{
		entry(3418020001, 2, 10, 40), entry(3418020001, 3, 1, 50), entry(3418020001, 3, 2, 51), entry(3418020001, 10, 1, 52),
		entry(3418020002, 1, 1, 30),
	}
	shuffled := []canyu.RosterEntry{want[4], want[3], want[1], want[0], want[2]}
	r := roster(t, shuffled...)
	if got := r.Entries(); !slices.Equal(got, want) {
		t.Errorf("entries:\n got %v\nwant %v", got, want)
	}
	for i := 1; i < len(want); i++ {
		a, b := classOf(want[i-1]), classOf(want[i])
		if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
			t.Errorf("%s and %s: Compare does not agree with the order of the roster", a, b)
		}
	}
}

func classOf(e canyu.RosterEntry) canyu.Class {
	return canyu.Class{School: e.School, Grade: e.Grade, Number: e.Class}
}

func TestRosterSchools(t *testing.T) {
	t.Parallel()
	elsewhere := entry(3418210001, 1, 1, 20)
	elsewhere.Region, elsewhere.Name = 341821, "郎溪县第一小学"
	r := roster(t, elsewhere, entry(3418020002, 1, 1, 30), entry(3418020001, 3, 2, 50))
	for region, want := range map[canyu.Region]string{
		0:      "3418020001 3418020002 3418210001",
		340000: "3418020001 3418020002 3418210001",
		341800: "3418020001 3418020002 3418210001",
		341802: "3418020001 3418020002",
		341821: "3418210001",
		341822: "",
	} {
		var codes []string
		for _, s := range r.Schools(region) {
			codes = append(codes, s.Code.String())
		}
		if got := strings.Join(codes, " "); got != want {
			t.Errorf("schools of %s: got %q, want %q", region, got, want)
		}
	}
	s := r.School(3418020001)
	if s == nil || r.School(3418029999) != nil {
		t.Fatal("a school is not found by its code, or one is found that the roster does not have")
	}
	if n, ok := s.Enrolled(3, 2); n != 50 || !ok {
		t.Errorf("class 2 of grade 3: got %d, %v", n, ok)
	}
	for _, c := range []canyu.SchoolClass{{Grade: 3, Number: 1}, {Grade: 2, Number: 2}, {Grade: 0, Number: 0}} {
		if n, ok := s.Enrolled(c.Grade, c.Number); ok {
			t.Errorf("class %d of grade %d is not there, got %d pupils", c.Number, c.Grade, n)
		}
	}
	if got := s.Class(s.Classes[0]).String(); got != "3418020001 3(2)" {
		t.Errorf("class: got %q", got)
	}
}

func TestZeroRosterIsEmpty(t *testing.T) {
	t.Parallel()
	var r canyu.Roster
	if r.School(3418020001) != nil || len(r.Schools(0)) != 0 || len(r.Schools(341802)) != 0 || len(r.Entries()) != 0 {
		t.Error("the zero roster has something in it")
	}
}

func TestRosterEntryValidate(t *testing.T) {
	t.Parallel()
	good := entry(3418020001, 3, 2, 50)
	for _, c := range []struct {
		field  string // the one that is named, "" where all is well
		change func(*canyu.RosterEntry)
	}{
		{"", func(*canyu.RosterEntry) {}},
		{"", func(e *canyu.RosterEntry) { e.Enrolled = 0 }},
		{"", func(e *canyu.RosterEntry) { e.Grade, e.Class, e.Enrolled = 12, 999, 999 }},
		{"", func(e *canyu.RosterEntry) { e.School, e.Region = 1, 110000 }},
		{"", func(e *canyu.RosterEntry) { e.School, e.Region = 9999999999, 999999 }},
		{"region", func(e *canyu.RosterEntry) { e.Region = 0 }},
		{"region", func(e *canyu.RosterEntry) { e.Region = 109999 }},
		{"region", func(e *canyu.RosterEntry) { e.Region = 1000000 }},
		{"school", func(e *canyu.RosterEntry) { e.School = 0 }},
		{"school", func(e *canyu.RosterEntry) { e.School = 10000000000 }},
		{"name", func(e *canyu.RosterEntry) { e.Name = "" }},
		{"grade", func(e *canyu.RosterEntry) { e.Grade = 0 }},
		{"grade", func(e *canyu.RosterEntry) { e.Grade = 13 }},
		{"class", func(e *canyu.RosterEntry) { e.Class = 0 }},
		{"class", func(e *canyu.RosterEntry) { e.Class = 1000 }},
		{"enrolled", func(e *canyu.RosterEntry) { e.Enrolled = -1 }},
		{"enrolled", func(e *canyu.RosterEntry) { e.Enrolled = 1000 }},
	} {
		e := good
		c.change(&e)
		err := e.Validate()
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %v", e, err)
		case c.field != "" && (err == nil || !strings.HasPrefix(err.Error(), c.field+" ") && !strings.HasPrefix(err.Error(), c.field+":") || strings.Contains(err.Error(), "\n")):
			t.Errorf("%+v: got %v, want %s named and nothing else", e, err, c.field)
		}
	}
	if err := (canyu.RosterEntry{Enrolled: -1}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("six bad fields: got %v", err)
	}
}

// Somebody mends a file of thousands of lines: every mistake is told at once, each
// with its line.
func TestRosterTellsEveryMistake(t *testing.T) {
	t.Parallel()
	renamed, moved := entry(3418020001, 3, 3, 50), entry(3418020001, 3, 4, 50)
	renamed.Name, moved.Region = "另一所学校", 341821
	r, err := canyu.NewRoster([]canyu.RosterEntry{
		entry(3418020001, 3, 1, 50),
		entry(3418020001, 13, 1, -1),
		entry(3418020001, 3, 2, 50),
		renamed,
		moved,
		entry(3418020001, 3, 1, 49),
		entry(3418020001, 4, 1, 50),
		entry(0, 4, 2, 50),
	})
	if r != nil || err == nil {
		t.Fatalf("got %v, %v, want no roster and an error", r, err)
	}
	for number, word := range map[int]string{2: "grade 13", 4: "另一所学校", 5: "341821", 6: "listed twice", 8: "school 0"} {
		if want := fmt.Sprintf("roster entry %d: ", number); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), word) {
			t.Errorf("entry %d is not told with %q: %v", number, word, err)
		}
	}
	if !strings.Contains(err.Error(), "enrolled -1") {
		t.Errorf("only the first mistake of an entry is told: %v", err)
	}
	for _, good := range []int{1, 3, 7} {
		if strings.Contains(err.Error(), fmt.Sprintf("entry %d:", good)) {
			t.Errorf("entry %d is right, yet told: %v", good, err)
		}
	}
}
