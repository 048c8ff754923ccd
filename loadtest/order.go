package loadtest

import (
	"math"
	"slices"
)

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

// screens is the order of classes that take part at one screen each: class c is at
// screen c mod n, after the classes before it there. A class comes in chunks: single
// pupils, or arrays.
type screens struct {
	n, array int64
	starts   []int64   // of each class, its first pupil; then the number of pupils
	chunks   [][]int64 // by screen: chunks before each of its classes, and in all
}

func newScreens(starts []int64, array int64, n int) *screens {
	s := &screens{n: int64(n), array: array, starts: starts, chunks: make([][]int64, n)}
	for i := range s.chunks {
		before := int64(0)
		for c := i; c < len(starts)-1; c += n {
			s.chunks[i] = append(s.chunks[i], before)
			before += (starts[c+1] - starts[c] + array - 1) / array
		}
		s.chunks[i] = append(s.chunks[i], before)
	}
	return s
}

// units is how many turns there are: as many at each screen as at the longest one.
func (s *screens) units() int64 {
	longest := int64(0)
	for _, c := range s.chunks {
		longest = max(longest, c[len(c)-1])
	}
	return longest * s.n
}

// at is whose turn number u is: nobody's, where the screen has no pupil left.
func (s *screens) at(u int64) Asked {
	screen, chunk := u%s.n, u/s.n
	chunks := s.chunks[screen]
	if chunk >= chunks[len(chunks)-1] {
		return Asked{}
	}
	i, exact := slices.BinarySearch(chunks, chunk)
	if !exact {
		i--
	}
	class := screen + int64(i)*s.n
	pupil := s.starts[class] + (chunk-chunks[i])*s.array
	return Asked{pupil, int(min(s.array, s.starts[class+1]-pupil))}
}
