package chaos

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/canyu/canyu"
)

// Everybody is in one county, in classes of one size.
const (
	region        = "341802"
	seats         = 45
	grades        = 12
	classesOf     = 5 // in each grade of a school
	perSchool     = grades * classesOf
	parentsEvery  = 4 // in every fourth class each child's parent takes part too
	peoplePerFour = 4*(seats+1) + seats
)

// class is one of the roster's.
type class struct {
	school string
	grade  int
	number int
}

// makeClasses is enough of them for so many people.
func makeClasses(people int) []class {
	n := max(people*4/peoplePerFour+1, perSchool)
	classes := make([]class, n)
	for i := range classes {
		classes[i] = class{
			school: fmt.Sprintf("%s%04d", region, i/perSchool+1),
			grade:  i%perSchool/classesOf + 1,
			number: i%classesOf + 1,
		}
	}
	return classes
}

// makePeople is everybody who may take part, class by class, students first, by seat.
func makePeople(classes []class) []person {
	var people []person
	for i := range classes {
		for seat := range seats {
			people = append(people, person{class: int32(i), role: canyu.Student, seat: uint8(seat + 1)})
		}
		if i%parentsEvery == 0 {
			for seat := range seats {
				people = append(people, person{class: int32(i), role: canyu.Parent, seat: uint8(seat + 1)})
			}
		}
		people = append(people, person{class: int32(i), role: canyu.Teacher})
	}
	return people
}

// task is what a client does next: submit for these people, whom one request
// carries together; twice at the same time where it is a double click.
type task struct {
	people []int32
	double bool // two requests at once
	again  bool // with the id of the last time: a browser's retry
}

// source decides who comes when: every class of two at one screen, in one request,
// the others one by one, all in random order, with repeats in between.
type source struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	order []int32 // a person, or ^class for a whole class
	first []int32 // of each class, its first person
	next  int
}

const (
	repeats      = 0.10 // of the tasks
	doubleClicks = 0.10
)

func newSource(seed uint64, people []person, classes int) *source {
	s := &source{rnd: rand.New(rand.NewPCG(seed, 0x50)), first: make([]int32, classes)}
	for i := len(people) - 1; i >= 0; i-- {
		s.first[people[i].class] = int32(i)
	}
	for i := range people {
		p := &people[i]
		switch {
		case p.role != canyu.Student || p.class%2 == 0:
			s.order = append(s.order, int32(i))
		case p.seat == 1:
			s.order = append(s.order, ^p.class)
		}
	}
	s.rnd.Shuffle(len(s.order), func(i, j int) { s.order[i], s.order[j] = s.order[j], s.order[i] })
	return s
}

// take is the next task. When everybody has been, only repeats are left.
func (s *source) take() task {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := task{double: s.rnd.Float64() < doubleClicks}
	var who int32
	if s.next > 0 && (s.next >= len(s.order) || s.rnd.Float64() < repeats) {
		who = s.order[s.rnd.IntN(s.next)]
		t.again = s.rnd.IntN(2) == 0
	} else {
		who = s.order[s.next]
		s.next++
	}
	if who >= 0 {
		t.people = []int32{who}
		return t
	}
	for seat := range int32(seats) {
		t.people = append(t.people, s.first[^who]+seat)
	}
	return t
}
