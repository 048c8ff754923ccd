package reports

import (
	"slices"

	"github.com/canyu/canyu"
)

// count fills in the numbers of r: pure arithmetic over roster and rollups.
func count(r *Report, schools []*canyu.School, rollups []canyu.Rollup, base baseline) {
	a := r.activity
	public := slices.Contains(a.Roles, canyu.Public)
	r.Schools = make([]School, len(schools))
	index := make(map[canyu.SchoolCode]int, len(schools))
	students := make(map[canyu.Class]int)
	for i, s := range schools {
		r.Schools[i] = School{School: s.Code, Name: s.Name, Region: s.Region}
		if public {
			r.Schools[i].Public = new(Count)
		}
		index[s.Code] = i
		for _, c := range s.Classes {
			students[s.Class(c)] = 0
		}
	}
	r.Days = make([]DayCount, max(0, min(r.Day, a.LastDay)-a.FirstDay+1))
	for i := range r.Days {
		r.Days[i].Day = a.FirstDay + canyu.Day(i)
	}
	for _, u := range rollups {
		i, ok := index[u.Class.School]
		if !ok || u.Day > r.Day {
			continue
		}
		s := &r.Schools[i]
		c := s.role(u.Role)
		c.Total += u.Participants
		s.Submissions.Total += u.Submissions
		if u.Day == r.Day {
			c.Today += u.Participants
			s.Submissions.Today += u.Submissions
		}
		if base.told == nil && u.Day > base.day {
			c.Since += u.Participants
		}
		if u.Role == canyu.Student {
			students[u.Class] += u.Participants // also of a class that the roster no longer has
		}
		if d := int(u.Day - a.FirstDay); d >= 0 && d < len(r.Days) {
			r.Days[d].add(u)
		}
	}
	addClasses(r, schools, index, students)
	for i := range r.Schools {
		s := &r.Schools[i]
		if base.told != nil {
			s.countSince(base.told[s.School])
		}
		s.setRates()
		r.Total.add(&s.Numbers)
	}
	r.Total.setRates()
	r.addParts()
}

func (d *DayCount) add(u canyu.Rollup) {
	d.Submissions += u.Submissions
	if n := d.at(u.Role); n != nil {
		*n += u.Participants
	}
}

func (d *DayCount) at(role canyu.Role) *int {
	switch role {
	case canyu.Student:
		return &d.Student
	case canyu.Parent:
		return &d.Parent
	case canyu.Teacher:
		return &d.Teacher
	case canyu.Public:
		return &d.Public
	}
	return nil
}

// countSince is the difference to what the last report told of the school, which
// has late data in it too.
func (n *Numbers) countSince(told *Numbers) {
	for _, role := range canyu.Roles {
		if role == canyu.Public && n.Public == nil {
			continue
		}
		c := n.role(role)
		c.Since = c.Total
		if told != nil && (role != canyu.Public || told.Public != nil) {
			c.Since -= told.role(role).Total
		}
	}
}

// addClasses also counts the pupils of the required grades. Students of a class that
// the roster no longer has are none of those who are enrolled.
func addClasses(r *Report, schools []*canyu.School, index map[canyu.SchoolCode]int, students map[canyu.Class]int) {
	classes := make([]canyu.Class, 0, len(students))
	for c := range students {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, canyu.Class.Compare)
	for i := range r.Schools {
		r.Schools[i].Classes = []Class{}
	}
	for _, c := range classes {
		i := index[c.School]
		s := &r.Schools[i]
		enrolled, known := schools[i].Enrolled(c.Grade, c.Number)
		s.Classes = append(s.Classes, Class{Grade: c.Grade, Class: c.Number, Enrolled: enrolled, Student: students[c]})
		s.Enrolled += enrolled
		if known && r.activity.Required(c.Grade) {
			s.Required.Enrolled += enrolled
			s.Required.Count += students[c]
		}
	}
}

// addParts adds the counties of a city or the cities of a province. A county has
// none, and its schools need not say which county they are in.
func (r *Report) addParts() {
	for i := range r.Schools {
		s := &r.Schools[i]
		if r.Region%100 != 0 {
			s.Region = 0
			continue
		}
		part := r.Region.Part(s.Region)
		j, found := slices.BinarySearchFunc(r.Regions, part, func(p Part, region canyu.Region) int { return int(p.Region) - int(region) })
		if !found {
			r.Regions = slices.Insert(r.Regions, j, Part{Region: part})
		}
		r.Regions[j].Schools++
		r.Regions[j].add(&s.Numbers)
	}
	for i := range r.Regions {
		r.Regions[i].setRates()
	}
}

// gaps are those of all schools, and of the schools of each part.
func (r *Report) gaps() (all gaps, parts map[canyu.Region]gaps) {
	parts = make(map[canyu.Region]gaps)
	for i := range r.Schools {
		s := &r.Schools[i]
		g := s.gaps(r.activity)
		all = all.add(g)
		parts[r.Region.Part(s.Region)] = parts[r.Region.Part(s.Region)].add(g)
	}
	return all, parts
}

// notes are about the quality of the numbers.
func notes(r *Report) []Note {
	var silent, below, over, above int
	for i := range r.Schools {
		s := &r.Schools[i]
		if s.Enrolled > 0 && s.Student.Total == 0 {
			silent++
		}
		below += s.below(r.activity)
		above += s.gaps(r.activity).above
		for _, c := range s.Classes {
			if c.Student > c.Enrolled {
				over++
			}
		}
	}
	var ns []Note
	for _, n := range []Note{{SilentSchools, silent}, {BelowTarget, below}, {OverEnrolled, over}, {AboveEnrolment, above}} {
		if n.Count > 0 {
			ns = append(ns, n)
		}
	}
	return ns
}

// below is how many classes of required grades are not complete.
func (s *School) below(a *canyu.Activity) int {
	n := 0
	for _, c := range s.Classes {
		if a.Required(c.Grade) && c.Student < c.Enrolled {
			n++
		}
	}
	return n
}

// gaps are the pupils whom classes of the grades that count lack, and the students
// whom they have above their enrolment: these make up for nobody in another class.
type gaps struct{ missing, above int }

func (g gaps) add(o gaps) gaps { return gaps{g.missing + o.missing, g.above + o.above} }

func gapsOf(a *canyu.Activity, grade uint8, students, enrolled int) gaps {
	if !a.Required(grade) && len(a.RequiredGrades) > 0 {
		return gaps{}
	}
	return gaps{max(0, enrolled-students), max(0, students-enrolled)}
}

func (s *School) gaps(a *canyu.Activity) (sum gaps) {
	for _, c := range s.Classes {
		sum = sum.add(gapsOf(a, c.Grade, c.Student, c.Enrolled))
	}
	return sum
}
