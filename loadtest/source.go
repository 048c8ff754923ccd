package loadtest

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/canyu/canyu"
)

// MaxArray is how many submissions one request may carry.
const MaxArray = 100

// Source is the requests of a load test: request n is a pure function of n, the
// roster and the seed. Nothing is made in advance but a list of the classes, so 14 M
// pupils cost no more than their 280,000 classes. Safe for concurrent use.
//
// Pupils come in pseudo-random order over all classes, each once, as when the
// bell rings everywhere, or one after the other at the screens of their classes
// (see Screens); between them some come a second time (see Repeats). A request is
// of one pupil, or of an array of them (see Array).
type Source struct {
	classes []sourceClass
	starts  []int64 // of each class, its first pupil; then the number of pupils
	guide   []int32 // the class of pupils 0, 64, 128…: where to begin to look
	order   permutation
	prefix  []byte
	steps   []byte
	seed    uint64
	array   int64
	scatter bool
	screens *screens // nil: in pseudo-random order

	repeats   float64
	exhausted int64 // the first request for which there is no pupil left
	part, of  int64 // this source's share of the requests
}

// Asked is who a request is of: Count pupils. [Source.PupilOf] says which.
type Asked struct {
	First int64
	Count int
}

type sourceClass struct {
	class  canyu.Class
	school [10]byte
}

// SourceOptions are what the requests are about.
type SourceOptions struct {
	Activity string
	Steps    []string
	Seed     uint64

	// Repeats is the share of requests, 0 ≤ Repeats < 1, that are not a pupil's
	// first. Half of them resend the very same submission (a double click, a retry
	// after a lost reply), half are made anew.
	Repeats float64

	// Array is how many pupils a request is of, at most; 0 and 1: one, and not in
	// an array.
	Array int

	// Scattered: the pupils of an array are of all classes, in the order in which they
	// come when there are no arrays.
	Scattered bool

	// Screens, where not 0, is how many classes take part at a time, each at one
	// screen: their pupils come one after the other, and then the next class's.
	Screens int

	// Part of Of, from 0: only every Of-th request, so that several generators make
	// all of them between each other. Of 0 is all of them.
	Part, Of int
}

// NewSource makes the source of all pupils of the roster.
func NewSource(r *canyu.Roster, o SourceOptions) (*Source, error) {
	if !(o.Repeats >= 0 && o.Repeats < 1) { // NaN neither
		return nil, fmt.Errorf("repeats %g: want a share of at least 0 and below 1", o.Repeats)
	}
	if o.Array < 0 || o.Array > MaxArray || o.Screens < 0 || o.Part < 0 || o.Part >= max(o.Of, 1) {
		return nil, fmt.Errorf("array %d, screens %d, part %d of %d: want arrays of at most %d, and a part below the number of parts",
			o.Array, o.Screens, o.Part, o.Of, MaxArray)
	}
	s := &Source{seed: mix(o.Seed ^ 0x63616e7975), repeats: o.Repeats, array: int64(max(o.Array, 1)),
		scatter: o.Scattered, part: int64(o.Part), of: int64(max(o.Of, 1))}
	pupils := int64(0)
	for _, school := range r.Schools(0) {
		for _, c := range school.Classes {
			if c.Enrolled == 0 {
				continue
			}
			sc := sourceClass{class: school.Class(c)}
			copy(sc.school[:], school.Code.String())
			s.classes = append(s.classes, sc)
			s.starts = append(s.starts, pupils)
			pupils += int64(c.Enrolled)
		}
	}
	if pupils == 0 {
		return nil, errors.New("the roster has no pupils")
	}
	s.starts = append(s.starts, pupils)
	for i, c := int64(0), int32(0); i < pupils; i += 64 {
		for s.starts[c+1] <= i {
			c++
		}
		s.guide = append(s.guide, c)
	}
	units := (pupils + s.array - 1) / s.array
	if o.Screens > 0 {
		s.screens = newScreens(s.starts, s.array, min(o.Screens, len(s.classes)))
		units = s.screens.units()
	}
	if s.order = newPermutation(uint64(units), s.seed); s.scatter {
		s.order = newPermutation(uint64(pupils), s.seed)
	}
	s.exhausted = int64(float64(units) / (1 - o.Repeats))
	for s.firsts(s.exhausted) > units {
		s.exhausted--
	}

	s.prefix = append(s.prefix, `{"activity":`...)
	s.prefix = strconv.AppendQuote(s.prefix, o.Activity)
	s.prefix = append(s.prefix, `,"school":"`...)
	s.steps = append(s.steps, `,"steps":[`...)
	for i, step := range o.Steps {
		if i > 0 {
			s.steps = append(s.steps, ',')
		}
		s.steps = strconv.AppendQuote(s.steps, step)
	}
	s.steps = append(s.steps, `],"message":"`...)
	return s, nil
}

// Pupils is how many there are.
func (s *Source) Pupils() int64 { return s.starts[len(s.classes)] }

// Requests is how many requests there are: one for each pupil or array, and the
// repeats.
func (s *Source) Requests() int64 { return (s.exhausted - s.part + s.of - 1) / s.of }

// Classes is the number of classes; [Source.Class] names them.
func (s *Source) Classes() int { return len(s.classes) }

// Class is class i of the source.
func (s *Source) Class(i int) canyu.Class { return s.classes[i].class }

// PupilOf is pupil i of a request. Pupils are numbered by class and seat.
func (s *Source) PupilOf(who Asked, i int) int64 {
	if s.scatter {
		return int64(s.order.at(uint64(who.First) + uint64(i)))
	}
	return who.First + int64(i)
}

// ClassOf is the class of a pupil.
func (s *Source) ClassOf(pupil int64) int {
	class := int(s.guide[pupil/64])
	for s.starts[class+1] <= pupil {
		class++
	}
	return class
}

// firsts is how many of the requests before n are a pupil's first: repeats are
// spread evenly, so that n alone says it.
func (s *Source) firsts(n int64) int64 { return n - int64(float64(n)*s.repeats) }

// Append appends the body of request n to dst and says who it is of; false where no
// pupil is left. It is of nobody where a screen has none left and others have.
func (s *Source) Append(dst []byte, n int64) (body []byte, who Asked, ok bool) {
	if n < 0 || n >= s.Requests() {
		return dst, who, false
	}
	n = n*s.of + s.part
	first, attempt := s.firsts(n), uint64(0)
	if s.firsts(n+1) == first {
		// Most people who come twice come soon.
		h := mix(s.seed + uint64(n))
		first -= 1 + int64(h%uint64(min(first, 4096)))
		if h>>63 == 0 {
			attempt = uint64(n)
		}
	}
	switch {
	case s.screens != nil:
		who = s.screens.at(first)
	case s.scatter:
		who = Asked{First: first * s.array}
		who.Count = int(min(s.array, s.Pupils()-who.First))
	default:
		who = Asked{First: int64(s.order.at(uint64(first))) * s.array}
		who.Count = int(min(s.array, s.Pupils()-who.First))
	}
	if s.array == 1 {
		if who.Count == 1 {
			dst = s.appendPupil(dst, s.PupilOf(who, 0), attempt)
		}
		return dst, who, true
	}
	for i := range who.Count {
		dst = append(dst, "[,"[min(i, 1)])
		dst = s.appendPupil(dst, s.PupilOf(who, i), attempt)
	}
	return append(dst, ']'), who, true
}

func (s *Source) appendPupil(dst []byte, pupil int64, attempt uint64) []byte {
	class := s.ClassOf(pupil)
	c := &s.classes[class]
	h := mix(mix(s.seed+uint64(pupil)) + attempt)

	dst = append(dst, s.prefix...)
	dst = append(dst, c.school[:]...)
	dst = append(dst, `","grade":`...)
	dst = strconv.AppendUint(dst, uint64(c.class.Grade), 10)
	dst = append(dst, `,"class":`...)
	dst = strconv.AppendUint(dst, uint64(c.class.Number), 10)
	dst = append(dst, `,"role":"student","seat":`...)
	dst = strconv.AppendInt(dst, pupil-s.starts[class]+1, 10)
	dst = append(dst, s.steps...)
	dst = append(dst, messages[h%uint64(len(messages))]...)
	dst = append(dst, `","id":"`...)
	dst = appendHex(dst, h)
	return append(dst, `"}`...)
}

// messages are of the length that pupils write. None needs escaping in JSON.
var messages = [...]string{
	"缅怀革命先烈，珍惜幸福生活。",
	"先烈们，我们永远不会忘记你们！",
	"向革命先烈致敬，好好学习，天天向上。",
	"吃水不忘挖井人，今天的生活来之不易。",
	"清明时节，我在网上给烈士献一束花。",
	"英雄永垂不朽！",
	"愿山河无恙，愿人间皆安。",
	"我会努力学习，长大后报效祖国。",
}

func appendHex(dst []byte, h uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[h>>shift&15])
	}
	return dst
}
