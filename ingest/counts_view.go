package ingest

import (
	"maps"
	"slices"

	"github.com/canyu/canyu"
)

// The JSON of GET /v1/activities/{activity}/counts.
type (
	countsView struct {
		Activity     string        `json:"activity"`
		School       string        `json:"school,omitempty"`
		Region       string        `json:"region,omitempty"`
		Participants people        `json:"participants"`
		Submissions  *int          `json:"submissions"`       // null while the archive is away
		Spooled      int           `json:"spooled,omitempty"` // accepted, of the whole activity, and not counted yet
		Enrolled     int           `json:"enrolled"`
		Rate         *float64      `json:"rate"`     // students ÷ enrolled; null where nobody is enrolled
		Required     *requiredView `json:"required"` // null where it is not public: see Server.public
		Grades       []gradeView   `json:"grades"`
		Classes      []classView   `json:"classes,omitempty"` // of a school
		Regions      []regionView  `json:"regions,omitempty"` // of a region, one level below
		Schools      []schoolView  `json:"schools,omitempty"` // of a region
		Today        *todayView    `json:"today"`             // null while the archive is away
		AsOf         string        `json:"as_of"`
	}
	requiredView struct {
		Enrolled int      `json:"enrolled"`
		Count    int      `json:"count"`
		Rate     *float64 `json:"rate"`
		Left     int      `json:"left"` // who lack, class by class; of all grades where none must
	}
	gradeView struct {
		Grade        uint8    `json:"grade"`
		Enrolled     int      `json:"enrolled"`
		Participants people   `json:"participants"`
		Rate         *float64 `json:"rate"`
	}
	classView struct {
		Grade        uint8    `json:"grade"`
		Class        uint16   `json:"class"`
		Enrolled     int      `json:"enrolled"`
		Participants people   `json:"participants"`
		Rate         *float64 `json:"rate"`
	}
	schoolView struct {
		School       canyu.SchoolCode `json:"school"`
		Name         string           `json:"name"`
		Enrolled     int              `json:"enrolled"`
		Required     *requiredView    `json:"required"`
		Participants people           `json:"participants"`
		Rate         *float64         `json:"rate"`
	}
	regionView struct {
		Region       canyu.Region  `json:"region"`
		Name         string        `json:"name"`
		Schools      int           `json:"schools"`
		Enrolled     int           `json:"enrolled"`
		Required     *requiredView `json:"required"`
		Participants people        `json:"participants"`
		Rate         *float64      `json:"rate"`
	}
	todayView struct {
		Day          canyu.Day `json:"day"`
		Participants people    `json:"participants"`
		Submissions  int       `json:"submissions"`
	}
	// people is a number of participants for each role of the activity.
	people map[string]int
)

func (a *activity) people(t canyu.Tally) people {
	p := make(people, len(a.Roles))
	for _, r := range a.Roles {
		p[r.String()] = t[r]
	}
	return p
}

func rate(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	r := float64(n) / float64(of)
	return &r
}

// sums are of a group of classes.
type sums struct {
	enrolled, required, count int // count: students of the required grades
	left, requiredLeft        int // pupils whom classes lack: more students than pupils in one make up for nobody in another
	tally                     canyu.Tally
}

func (s *sums) add(o sums) {
	s.enrolled += o.enrolled
	s.required += o.required
	s.count += o.count
	s.left += o.left
	s.requiredLeft += o.requiredLeft
	s.tally.Add(o.tally)
}

func (s *sums) requiredView() *requiredView {
	left := s.requiredLeft
	if s.required == 0 {
		left = s.left
	}
	return &requiredView{s.required, s.count, rate(s.count, s.required), left}
}

func (s *sums) rate() *float64 { return rate(s.tally[canyu.Student], s.enrolled) }

// view adds up the tallies of the schools' classes, which are in the same order.
func (a *activity) view(where scope, schools []*canyu.School, tallies []canyu.Tally) countsView {
	var v countsView
	var all sums
	var byGrade [canyu.MaxGrade + 1]sums
	below := make(map[canyu.Region]*regionSums)
	for _, sc := range schools {
		var school sums
		for _, c := range sc.Classes {
			class := sums{enrolled: c.Enrolled, tally: tallies[0], left: max(0, c.Enrolled-tallies[0][canyu.Student])}
			tallies = tallies[1:]
			if a.Required(c.Grade) {
				class.required, class.count, class.requiredLeft = class.enrolled, class.tally[canyu.Student], class.left
			}
			school.add(class)
			byGrade[c.Grade].add(class)
			if where.school != 0 {
				v.Classes = append(v.Classes, classView{c.Grade, c.Number, c.Enrolled, a.people(class.tally), class.rate()})
			}
		}
		if where.school == 0 {
			v.Schools = append(v.Schools, schoolView{sc.Code, sc.Name, school.enrolled, school.requiredView(), a.people(school.tally), school.rate()})
			if r := where.region.Part(sc.Region); r != where.region {
				if below[r] == nil {
					below[r] = new(regionSums)
				}
				below[r].add(school)
				below[r].schools++
			}
		}
		all.add(school)
	}
	for g, sum := range byGrade {
		if sum.enrolled > 0 || sum.tally != (canyu.Tally{}) {
			v.Grades = append(v.Grades, gradeView{uint8(g), sum.enrolled, a.people(sum.tally), sum.rate()})
		}
	}
	for _, r := range slices.Sorted(maps.Keys(below)) {
		sum := below[r]
		v.Regions = append(v.Regions, regionView{r, r.Name(), sum.schools, sum.enrolled, sum.requiredView(), a.people(sum.tally), sum.rate()})
	}
	v.Activity = a.ID
	if where.school != 0 {
		v.School = where.school.String()
	} else {
		v.Region = where.region.String()
	}
	v.Enrolled, v.Required = all.enrolled, all.requiredView()
	v.Participants, v.Rate = a.people(all.tally), all.rate()
	return v
}

type regionSums struct {
	sums
	schools int
}
