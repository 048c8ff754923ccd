package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Fault is one way to break something.
type Fault string

// The faults. Those of the network are the modes of a Proxy.
const (
	Kill     Fault = "kill"     // kill -9, started again a moment later
	Stop     Fault = "stop"     // SIGSTOP, a while later SIGCONT
	Power    Fault = "power"    // kill -9, and what was not synced is gone
	Blackout Fault = "blackout" // power, of everything at once
	Full     Fault = "full"     // no room on the disk
	Memory   Fault = "memory"   // Redis refuses to write: OOM
	ReadOnly Fault = "readonly" // Redis refuses to write: NOREPLICAS
	Clock    Fault = "clock"    // Redis' clock jumps, and back
	Network  Fault = "network"  // a proxy's mode
	Away     Fault = "away"     // Redis or ClickHouse killed, gone for long
	Empty    Fault = "empty"    // Redis comes back without its data
	Older    Fault = "older"    // Redis comes back with data of a while ago

	// Of a Redis of several processes.
	Failover Fault = "failover" // a master killed, and gone until its replica is in its place
	Reshard  Fault = "reshard"  // 1,000 slots go from one master to another
	Rolling  Fault = "rolling"  // every Redis restarted, one after the other
)

// usual are the faults that happen unless others are asked for.
var usual = []Fault{Kill, Stop, Power, Blackout, Full, Memory, ReadOnly, Clock, Network, Empty, Older}

// together are the faults of a Redis of several processes.
var together = []Fault{Failover, Reshard, Rolling}

// Faults are all that there are.
var Faults = slices.Concat(usual, []Fault{Away}, together)

// Event is a fault of the plan.
type Event struct {
	At     time.Duration
	Fault  Fault
	Target int           // of the nodes or edges that the fault can happen to
	For    time.Duration // how long it lasts, or how long a killed process is gone
	Early  bool          // also while the process is starting
	Skew   time.Duration // of the clock
	Condition
}

func (e Event) String() string {
	s := fmt.Sprintf("%s %s, target %d, for %s", e.At.Round(time.Millisecond), e.Fault, e.Target, e.For.Round(time.Millisecond))
	if e.Fault == Network {
		s += ", " + string(e.Mode)
	}
	return s
}

// PlanOptions are what a plan depends on.
type PlanOptions struct {
	Seed     uint64
	Duration time.Duration
	Kills    int
	Faults   []Fault
	Away     time.Duration         // how long Away lasts
	Modes    []Mode                // of Network; all by default
	Targets  func(fault Fault) int // how many nodes or edges it can happen to
}

var modes = []Mode{Delay, Drop, Reset, BlackHole, HalfOpen, LostReply, LostReply}

// Plan is the same for the same options. Kills are as many as asked for; for three
// of them there are about two of the lighter faults, and for ten one of the heavy.
func Plan(o PlanOptions) []Event {
	rnd := rand.New(rand.NewPCG(o.Seed, 0xfa017))
	among := o.Modes
	if among == nil {
		among = modes
	}
	var plan []Event
	add := func(fault Fault, times int, make func(*Event)) {
		targets := o.Targets(fault)
		for i := range times {
			// Drawn also where the fault is left out: the others stay where they were.
			e := Event{Fault: fault, Early: rnd.IntN(4) == 0}
			e.At = time.Duration((0.03 + 0.92*rnd.Float64()) * float64(o.Duration))
			pick := rnd.Uint32()
			make(&e)
			if targets > 0 && slices.Contains(o.Faults, fault) {
				e.Target = (i + int(pick%2)) % targets // each gets its share
				plan = append(plan, e)
			}
		}
	}
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rnd.Int64N(int64(most-least)))
	}
	short := min(3*time.Second, o.Duration/8+1) // so that a short run has some time without faults
	brief := func(e *Event) { e.For = between(short/30, short) }
	some := func(share int) int { return max(1, o.Kills/share) }

	add(Kill, o.Kills, func(e *Event) { e.For = between(0, short/3) })
	add(Stop, some(3), brief)
	add(Network, max(len(among), o.Kills/2), brief)
	network := 0
	for i := range plan {
		if e := &plan[i]; e.Fault == Network {
			e.Mode = among[network%len(among)]
			e.Delay = between(2*time.Millisecond, 400*time.Millisecond)
			e.Bytes = int(rnd.Uint32N(2000)) * int(rnd.Uint32N(2))
			e.Replies = rnd.IntN(2) == 0
			e.Spare = rnd.IntN(2) == 0
			e.Target = rnd.IntN(o.Targets(Network))
			network++
		}
	}
	add(Power, some(10), func(e *Event) { e.For = between(0, short/3) })
	add(Blackout, some(40), func(e *Event) { e.For = between(0, short/3) })
	add(Full, some(20), brief)
	add(Memory, some(20), brief)
	add(ReadOnly, some(20), brief)
	add(Clock, some(20), func(e *Event) {
		brief(e)
		e.Skew = between(-30*time.Second, 30*time.Second)
	})
	for _, f := range []Fault{Away, Empty, Older} {
		add(f, 1, func(e *Event) {
			e.At = o.Duration/4 + o.Duration*time.Duration(rnd.IntN(100))/400
			e.For = time.Second
			if f == Away {
				e.For = o.Away
			}
		})
	}
	add(Failover, some(10), func(e *Event) { e.For = between(0, short/3) })
	add(Reshard, some(15), func(*Event) {})
	add(Rolling, 1, func(e *Event) { e.At = o.Duration/4 + o.Duration*time.Duration(rnd.IntN(100))/400 }) // it takes a while
	slices.SortFunc(plan, func(a, b Event) int { return int(a.At - b.At) })
	return plan
}

// parseFaults is nil where none are named: the usual ones.
func parseFaults(s []string) ([]Fault, error) {
	var faults []Fault
	for _, name := range s {
		f := Fault(name)
		if !slices.Contains(Faults, f) {
			return nil, fmt.Errorf("fault %q: want some of %s", name, strings.Join(names(Faults), ","))
		}
		faults = append(faults, f)
	}
	return faults, nil
}

func names[T ~string](all []T) []string {
	s := make([]string, len(all))
	for i, v := range all {
		s[i] = string(v)
	}
	return s
}
