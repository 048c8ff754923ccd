package canyu

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// SchoolCode is a school's 標識碼: ten digits.
type SchoolCode uint64

// ParseSchoolCode reads ten digits.
func ParseSchoolCode(s string) (SchoolCode, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) != 10 || n == 0 { // ParseUint refuses signs
		return 0, fmt.Errorf("school %q: want the ten digits of its code", s)
	}
	return SchoolCode(n), nil
}

func (c SchoolCode) String() string { return fmt.Sprintf("%010d", uint64(c)) }

// MarshalText and UnmarshalText use the ten digits.
func (c SchoolCode) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseSchoolCode.
func (c *SchoolCode) UnmarshalText(b []byte) (err error) {
	*c, err = ParseSchoolCode(string(b))
	return err
}

// Limits of the roster. Grades are the twelve of primary (1–6), junior (7–9) and
// senior (10–12) school. No class of a Chinese school comes near the others; they
// keep a slip of the keyboard out.
const (
	MaxGrade    = 12
	MaxClass    = 999
	MaxEnrolled = 999
)

// Class is one class of a school: class Number of Grade.
type Class struct {
	School SchoolCode
	Grade  uint8
	Number uint16
}

func (c Class) String() string { return fmt.Sprintf("%s %d(%d)", c.School, c.Grade, c.Number) }

// Compare orders classes by school code, grade and number.
func (c Class) Compare(o Class) int {
	return cmp.Or(cmp.Compare(c.School, o.School), cmp.Compare(c.Grade, o.Grade), cmp.Compare(c.Number, o.Number))
}

// RosterEntry is one line of a roster: a class, where it is and how many pupils
// it has (應參與).
type RosterEntry struct {
	Region   Region
	School   SchoolCode
	Name     string // of the school
	Grade    uint8
	Class    uint16
	Enrolled int
}

// Validate names every field that is out of its range.
func (e RosterEntry) Validate() error {
	var errs []error
	field := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	field(e.Region < 110000 || e.Region > 999999, "region %d: want a six-digit code", uint32(e.Region))
	field(e.School == 0 || e.School > 9999999999, "school %d: want a ten-digit code", uint64(e.School))
	field(e.Name == "", "name: missing")
	field(e.Grade < 1 || e.Grade > MaxGrade, "grade %d: want 1–%d", e.Grade, MaxGrade)
	field(e.Class < 1 || e.Class > MaxClass, "class %d: want 1–%d", e.Class, MaxClass)
	field(e.Enrolled < 0 || e.Enrolled > MaxEnrolled, "enrolled %d: want 0–%d", e.Enrolled, MaxEnrolled)
	return errors.Join(errs...)
}

// School is one school of the roster with its classes, by grade and number.
type School struct {
	Code    SchoolCode
	Region  Region
	Name    string
	Classes []SchoolClass

	enrolled [MaxGrade + 1][]int16 // by grade and number; noClass where there is none
}

const noClass = -1

// SchoolClass is a class as its school sees it.
type SchoolClass struct {
	Grade    uint8
	Number   uint16
	Enrolled int
}

// Class is the class of the school with c's grade and number.
func (s *School) Class(c SchoolClass) Class {
	return Class{School: s.Code, Grade: c.Grade, Number: c.Number}
}

// Enrolled is the enrolment of a class, and whether the school has that class.
func (s *School) Enrolled(grade uint8, number uint16) (int, bool) {
	if grade > MaxGrade || int(number) >= len(s.enrolled[grade]) || s.enrolled[grade][number] == noClass {
		return 0, false
	}
	return int(s.enrolled[grade][number]), true
}

// enrol sets the enrolment of a class within the limits.
func (s *School) enrol(grade uint8, number uint16, enrolled int) {
	of := s.enrolled[grade]
	for len(of) <= int(number) {
		of = append(of, noClass)
	}
	of[number] = int16(enrolled)
	s.enrolled[grade] = of
}

// Roster is every class there is, and so the denominator of every rate. It does
// not change: an import makes a new one. The zero Roster is empty.
type Roster struct {
	schools []*School // by code
	byCode  map[SchoolCode]*School
}

// NewRoster checks the entries and joins every mistake into one error. A class
// listed twice and a school with two names or regions are mistakes.
func NewRoster(entries []RosterEntry) (*Roster, error) {
	r := &Roster{byCode: make(map[SchoolCode]*School)}
	var errs []error
	for i, e := range entries {
		fail := func(err error) { errs = append(errs, fmt.Errorf("roster entry %d: %w", i+1, err)) }
		if err := e.Validate(); err != nil {
			fail(err)
			continue
		}
		s := r.byCode[e.School]
		if s == nil {
			s = &School{Code: e.School, Region: e.Region, Name: e.Name}
			r.byCode[e.School] = s
			r.schools = append(r.schools, s)
		}
		if s.Region != e.Region || s.Name != e.Name {
			fail(fmt.Errorf("school %s is %s in %s here, but %s in %s above", e.School, e.Name, e.Region, s.Name, s.Region))
			continue
		}
		if _, twice := s.Enrolled(e.Grade, e.Class); twice {
			fail(fmt.Errorf("class %d of grade %d of school %s is listed twice", e.Class, e.Grade, e.School))
			continue
		}
		s.enrol(e.Grade, e.Class, e.Enrolled)
		s.Classes = append(s.Classes, SchoolClass{Grade: e.Grade, Number: e.Class, Enrolled: e.Enrolled})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(r.schools, func(a, b *School) int { return cmp.Compare(a.Code, b.Code) })
	for _, s := range r.schools {
		slices.SortFunc(s.Classes, func(a, b SchoolClass) int {
			return cmp.Or(cmp.Compare(a.Grade, b.Grade), cmp.Compare(a.Number, b.Number))
		})
	}
	return r, nil
}

// School is nil where the roster has none with this code.
func (r *Roster) School(code SchoolCode) *School { return r.byCode[code] }

// Schools of a region, by code; of everywhere for region 0. Not to be modified.
func (r *Roster) Schools(region Region) []*School {
	if region == 0 {
		return r.schools
	}
	var in []*School
	for _, s := range r.schools {
		if region.Contains(s.Region) {
			in = append(in, s)
		}
	}
	return in
}

// Entries is the roster as a list, in the order of [Class.Compare].
func (r *Roster) Entries() []RosterEntry {
	var es []RosterEntry
	for _, s := range r.schools {
		for _, c := range s.Classes {
			es = append(es, RosterEntry{s.Region, s.Code, s.Name, c.Grade, c.Number, c.Enrolled})
		}
	}
	return es
}

// With is the roster with the schools of o instead of its own of the same codes.
func (r *Roster) With(o *Roster) (*Roster, error) {
	mine := slices.DeleteFunc(r.Entries(), func(e RosterEntry) bool { return o.School(e.School) != nil })
	return NewRoster(append(mine, o.Entries()...))
}

// Without is the roster without some schools.
func (r *Roster) Without(schools []SchoolCode) (*Roster, error) {
	return NewRoster(slices.DeleteFunc(r.Entries(), func(e RosterEntry) bool { return slices.Contains(schools, e.School) }))
}

// Missing are the classes that o has not, in the order of [Class.Compare].
func (r *Roster) Missing(o *Roster) []Class {
	var missing []Class
	for _, s := range r.schools {
		there := o.School(s.Code)
		for _, c := range s.Classes {
			if there != nil {
				if _, ok := there.Enrolled(c.Grade, c.Number); ok {
					continue
				}
			}
			missing = append(missing, s.Class(c))
		}
	}
	return missing
}
