package chaos_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest/chaos"
)

func planOptions(seed uint64) chaos.PlanOptions {
	return chaos.PlanOptions{Seed: seed, Duration: time.Minute, Kills: 100, Faults: chaos.Faults, Away: 5 * time.Second,
		Targets: func(f chaos.Fault) int {
			if f == chaos.Clock {
				return 0
			}
			return 8
		}}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	plan := chaos.Plan(planOptions(7))
	if !reflect.DeepEqual(plan, chaos.Plan(planOptions(7))) {
		t.Error("a seed makes two plans")
	}
	if reflect.DeepEqual(plan, chaos.Plan(planOptions(8))) {
		t.Error("two seeds make one plan")
	}
	times := make(map[chaos.Fault]int)
	targets := make(map[int]int) // of kills
	modes := make(map[chaos.Mode]int)
	for i, e := range plan {
		times[e.Fault]++
		if e.Fault == chaos.Kill {
			targets[e.Target]++
		}
		modes[e.Mode]++
		if i > 0 && e.At < plan[i-1].At {
			t.Errorf("%s comes after %s", e, plan[i-1])
		}
		if e.At <= 0 || e.At >= time.Minute || e.For < 0 {
			t.Errorf("%s is outside of the minute", e)
		}
	}
	if times[chaos.Kill] != 100 || times[chaos.Clock] != 0 {
		t.Errorf("%d kills and %d wrong clocks, want 100 and, where nothing can have one, 0", times[chaos.Kill], times[chaos.Clock])
	}
	for _, f := range chaos.Faults {
		if f != chaos.Clock && times[f] == 0 {
			t.Errorf("%s never happens", f)
		}
	}
	for target := range 8 {
		if targets[target] < 5 {
			t.Errorf("target %d is killed %d times of 100", target, targets[target])
		}
	}
	for _, m := range []chaos.Mode{chaos.Delay, chaos.Drop, chaos.Reset, chaos.BlackHole, chaos.HalfOpen, chaos.LostReply} {
		if modes[m] == 0 {
			t.Errorf("the network is never in %s", m)
		}
	}
}

// To leave one kind of fault out leaves the kills where they are: that is how one
// looks for what it takes to break something.
func TestPlanOfFewerFaults(t *testing.T) {
	t.Parallel()
	kills := func(plan []chaos.Event) []chaos.Event {
		return slices.DeleteFunc(plan, func(e chaos.Event) bool { return e.Fault != chaos.Kill })
	}
	all, some := planOptions(7), planOptions(7)
	some.Faults = []chaos.Fault{chaos.Kill}
	alone := chaos.Plan(some)
	if !reflect.DeepEqual(kills(chaos.Plan(all)), alone) {
		t.Error("other kills without the other faults, or others with them")
	}
}
