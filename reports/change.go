package reports

import (
	"slices"

	"github.com/canyu/canyu"
)

// Change is what a correction corrects: the students, parents and teachers of a
// school to date, before and now.
type Change struct {
	School canyu.SchoolCode `json:"school"`
	Name   string           `json:"name"`
	Role   canyu.Role       `json:"role"`
	Before int              `json:"before"`
	Now    int              `json:"now"`
}

// RosterChange is what the roster changed in the numbers of a school. A school that
// was not in the report, or is not any more, has nobody enrolled there.
type RosterChange struct {
	School canyu.SchoolCode `json:"school"`
	Name   string           `json:"name"`
	What   RosterItem       `json:"what"`
	Before int              `json:"before"`
	Now    int              `json:"now"`
}

// RosterItem is what a RosterChange is about.
type RosterItem string

// What the roster changes.
const (
	ChangedEnrolled RosterItem = "enrolled"
	ChangedRequired RosterItem = "required_enrolled"
	ChangedCount    RosterItem = "required_count" // students whose class came or went
	ChangedRegion   RosterItem = "region"         // its county, in the report of a city or province
	ChangedClasses  RosterItem = "classes"        // how many differ, of a school that is otherwise the same; Before is 0
)

// corrects reports whether anything is told otherwise than in the revision before.
func (r *Report) corrects() bool { return len(r.Changes)+len(r.RosterChanges) > 0 }

// compare fills in the differences of a correction to the revision before.
func (r *Report) compare(before *Report) {
	i, j := 0, 0
	for i < len(before.Schools) || j < len(r.Schools) { // both by code
		was, is := new(School), new(School)
		if i < len(before.Schools) {
			was = &before.Schools[i]
		}
		if j < len(r.Schools) {
			is = &r.Schools[j]
		}
		switch {
		case is.School == 0 || was.School != 0 && was.School < is.School:
			is = &School{School: was.School, Name: was.Name, Region: was.Region}
			i++
		case was.School == 0 || is.School < was.School:
			was = &School{Region: is.Region}
			j++
		default:
			i++
			j++
		}
		r.compareSchool(was, is)
	}
}

func (r *Report) compareSchool(was, is *School) {
	known := len(r.Changes) + len(r.RosterChanges)
	for _, role := range r.activity.Roles {
		if b, n := was.role(role).Total, is.role(role).Total; b != n {
			r.Changes = append(r.Changes, Change{is.School, is.Name, role, b, n})
		}
	}
	students := was.Student.Total != is.Student.Total
	roster := func(what RosterItem, before, now int) {
		if before != now {
			r.RosterChanges = append(r.RosterChanges, RosterChange{is.School, is.Name, what, before, now})
		}
	}
	roster(ChangedRegion, int(was.Region), int(is.Region))
	roster(ChangedEnrolled, was.Enrolled, is.Enrolled)
	roster(ChangedRequired, was.Required.Enrolled, is.Required.Enrolled)
	if !students {
		roster(ChangedCount, was.Required.Count, is.Required.Count)
	}
	if len(r.Changes)+len(r.RosterChanges) == known {
		roster(ChangedClasses, 0, differing(was.Classes, is.Classes))
	}
}

// differing is how many classes are in one list only, or otherwise in the other.
func differing(was, is []Class) int {
	type key struct {
		grade uint8
		class uint16
	}
	other := make(map[key]Class, len(was))
	for _, c := range was {
		other[key{c.Grade, c.Class}] = c
	}
	n := 0
	for _, c := range is {
		k := key{c.Grade, c.Class}
		if b, ok := other[k]; !ok || b != c {
			n++
		}
		delete(other, k)
	}
	return n + len(other)
}

// sameSchools reports whether both reports are about the same schools.
func sameSchools(a, b *Report) bool {
	return slices.EqualFunc(a.Schools, b.Schools, func(a, b School) bool { return a.School == b.School })
}

// schoolNotes say that the last report was about other schools.
func (r *Report) schoolNotes(told map[canyu.SchoolCode]*Numbers) (ns []Note) {
	if told == nil {
		return nil
	}
	stayed := 0
	for i := range r.Schools {
		if told[r.Schools[i].School] != nil {
			stayed++
		}
	}
	if n := len(r.Schools) - stayed; n > 0 {
		ns = append(ns, Note{NewSchools, n})
	}
	if n := len(told) - stayed; n > 0 {
		ns = append(ns, Note{GoneSchools, n})
	}
	return ns
}
