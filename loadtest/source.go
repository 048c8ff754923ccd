package loadtest

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/canyu/canyu"
)

// Source is the requests of a load test: request n is a pure function of n, the
// roster and the seed. Nothing is made in advance but a list of the classes, so 14 M
// pupils cost no more than their 280,000 classes. Safe for concurrent use.
//
// Pupils come in pseudo-random order over all classes, each once, as when the
// bell rings everywhere; between them some come a second time (see Repeats).
type Source struct {
	classes []sourceClass
	starts  []int64 // of each class, its first pupil; then the number of pupils
	guide   []int32 // the class of pupils 0, 64, 128…: where to begin to look
	order   permutation
	prefix  []byte
	steps   []byte
	seed    uint64

	repeats   float64
	exhausted int64 // the first request for which there is no pupil left
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
}

// NewSource makes the source of all pupils of the roster.
func NewSource(r *canyu.Roster, o SourceOptions) (*Source, error) {
	if !(o.Repeats >= 0 && o.Repeats < 1) { // NaN neither
		return nil, fmt.Errorf("repeats %g: want a share of at least 0 and below 1", o.Repeats)
	}
	s := &Source{seed: mix(o.Seed ^ 0x63616e7975), repeats: o.Repeats}
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
	s.order = newPermutation(uint64(pupils), s.seed)
	s.exhausted = int64(float64(pupils) / (1 - o.Repeats))
	for s.firsts(s.exhausted) > pupils {
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

// Requests is how many requests there are: one for each pupil, and the repeats.
func (s *Source) Requests() int64 { return s.exhausted }

// Classes is the number of classes; [Source.Class] names them.
func (s *Source) Classes() int { return len(s.classes) }

// Class is class i of the source.
func (s *Source) Class(i int) canyu.Class { return s.classes[i].class }

// firsts is how many of the requests before n are a pupil's first: repeats are
// spread evenly, so that n alone says it.
func (s *Source) firsts(n int64) int64 { return n - int64(float64(n)*s.repeats) }

// Append appends the body of request n to dst and says which class it is of; false
// where no pupil is left.
func (s *Source) Append(dst []byte, n int64) (body []byte, class int, ok bool) {
	if n < 0 || n >= s.exhausted {
		return dst, 0, false
	}
	first, attempt := s.firsts(n), uint64(0)
	if s.firsts(n+1) == first {
		// Most people who come twice come soon.
		h := mix(s.seed + uint64(n))
		first -= 1 + int64(h%uint64(min(first, 4096)))
		if h>>63 == 0 {
			attempt = uint64(n)
		}
	}
	pupil := int64(s.order.at(uint64(first)))
	class = int(s.guide[pupil/64])
	for s.starts[class+1] <= pupil {
		class++
	}
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
	return append(dst, `"}`...), class, true
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

// mix is the finisher of splitmix64: every bit of x moves half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// permutation shuffles 0…n-1 without a table: a generalised Feistel network over
// side², walked again where it leads outside (Black and Rogaway 2002).
type permutation struct {
	n, side uint64
	keys    [4]uint64
}

func newPermutation(n, seed uint64) permutation {
	p := permutation{n: n, side: uint64(math.Ceil(math.Sqrt(float64(n))))}
	for i := range p.keys {
		p.keys[i] = mix(seed + uint64(i))
	}
	return p
}

func (p *permutation) at(i uint64) uint64 {
	for {
		l, r := i/p.side, i%p.side
		for _, k := range p.keys {
			l, r = r, (l+mix(r^k))%p.side
		}
		if i = l*p.side + r; i < p.n {
			return i
		}
	}
}
