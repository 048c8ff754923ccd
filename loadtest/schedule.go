package loadtest

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Schedule says when requests are meant to start. It is a pure function: it
// knows no clock, and n may be asked for in any order.
type Schedule interface {
	// Due is the intended start of request n (0, 1, 2…), counted from the start of
	// the run, and false for a request that the schedule no longer has. [Whenever]
	// means: as soon as a connection is free.
	Due(n int64) (time.Duration, bool)
	String() string
}

// Whenever is the intended start of a request that has none: its latency counts
// from when it was sent.
const Whenever time.Duration = -1

// Constant is a steady rate of requests per second, without end.
type Constant float64

// Due implements [Schedule].
func (c Constant) Due(n int64) (time.Duration, bool) {
	return seconds(float64(n) / float64(c)), c > 0
}

func (c Constant) String() string { return fmt.Sprintf("%g/s", float64(c)) }

// Flood is as fast as possible: every connection sends again as soon as it is
// answered (a closed loop). It finds the highest rate; its latencies say what a
// server that is never idle does, and nothing about a lesson bell.
type Flood struct{}

// Due implements [Schedule].
func (Flood) Due(int64) (time.Duration, bool) { return Whenever, true }

func (Flood) String() string { return "as fast as possible" }

// Bell is a lesson bell: the rate rises evenly from nothing to Peak, stays there,
// and decays evenly to nothing as the last pupils finish.
type Bell struct {
	Peak              float64 // requests per second
	Rise, Hold, Decay time.Duration
}

// Total is how many requests the bell has.
func (b Bell) Total() int64 {
	return int64(math.Floor(b.Peak*(b.Rise.Seconds()/2+b.Hold.Seconds()+b.Decay.Seconds()/2) + 1e-9))
}

// Due implements [Schedule]. It inverts the number of requests due by t, which is
// Peak·t²/2Rise while the rate rises, then a line, then the mirrored parabola.
func (b Bell) Due(n int64) (time.Duration, bool) {
	if n < 0 || n >= b.Total() {
		return 0, false
	}
	rise, hold, decay := b.Rise.Seconds(), b.Hold.Seconds(), b.Decay.Seconds()
	k := float64(n) / b.Peak // in seconds at the peak rate
	if k < rise/2 {
		return seconds(math.Sqrt(2 * rise * k)), true
	}
	if k -= rise / 2; k < hold {
		return seconds(rise + k), true
	}
	left := decay/2 - (k - hold)
	return seconds(rise + hold + decay - math.Sqrt(2*decay*max(left, 0))), true
}

func (b Bell) String() string {
	return fmt.Sprintf("bell to %g/s (rise %s, hold %s, decay %s)", b.Peak, b.Rise, b.Hold, b.Decay)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Knot is a rate at an instant, both in units of their own.
type Knot struct{ At, Rate float64 }

// Profile is a rate that goes evenly from knot to knot.
type Profile struct {
	name  string
	knots []Knot
	sums  []float64 // of the rates up to each knot
	total int64
	scale time.Duration // of one unit of At
}

// NewProfile stretches the knots, which must be in order, to a number of requests and
// a duration.
func NewProfile(name string, knots []Knot, requests int64, in time.Duration) *Profile {
	p := &Profile{name: name, knots: knots, sums: make([]float64, len(knots)), total: requests}
	for i := 1; i < len(knots); i++ {
		a, b := knots[i-1], knots[i]
		p.sums[i] = p.sums[i-1] + (a.Rate+b.Rate)/2*(b.At-a.At)
	}
	p.scale = seconds(in.Seconds() / (knots[len(knots)-1].At - knots[0].At))
	return p
}

// Due implements [Schedule].
func (p *Profile) Due(n int64) (time.Duration, bool) {
	if n < 0 || n >= p.total {
		return 0, false
	}
	sum := p.sums[len(p.sums)-1] * float64(n) / float64(p.total)
	i, exact := slices.BinarySearch(p.sums, sum)
	if !exact {
		i--
	}
	if i == len(p.knots)-1 { // a request at the very end, by rounding
		i--
	}
	a, b := p.knots[i], p.knots[i+1]
	sum -= p.sums[i]
	x := 0.0 // solves a.Rate·x + slope·x²/2 = sum, without the difference that loses digits
	if sum > 0 {
		slope := (b.Rate - a.Rate) / (b.At - a.At)
		x = 2 * sum / (a.Rate + math.Sqrt(max(0, a.Rate*a.Rate+2*slope*sum)))
	}
	return time.Duration((a.At - p.knots[0].At + x) * float64(p.scale)), true
}

func (p *Profile) String() string { return fmt.Sprintf("%s, %d requests", p.name, p.total) }

// dueBy is how many requests of a schedule are due before t.
func dueBy(s Schedule, t time.Duration) int64 {
	late := func(n int64) bool {
		due, ok := s.Due(n)
		return !ok || due >= t
	}
	top := int64(1)
	for !late(top) {
		top *= 2
	}
	return int64(sort.Search(int(top), func(n int) bool { return late(int64(n)) }))
}
