package loadtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a named load: what RunCmd takes where its flags say nothing else.
type Scenario struct {
	Name, Help string
	set        func(*RunCmd)
}

// national2021 is how many took part in the four days of the national campaign of 2021.
const national2021 = 13_830_890

// Scenarios are the loads that have a name.
var Scenarios = []Scenario{
	{"steady", "A constant rate: 1,000 requests a second for 30 s.", func(c *RunCmd) {
		c.Rate = cmp.Or(c.Rate, 1000)
		c.Duration = cmp.Or(c.Duration, 30*time.Second)
	}},
	{"bell", "A lesson bell: up to 3,000 a second in 5 s, held for 10 s, gone after 20 s more. Every pupil for himself, from every class.", func(c *RunCmd) {
		c.Bell = cmp.Or(c.Bell, c.Rate, 3000)
		c.Rate = 0
	}},
	{"screen", "One classroom screen for each class (班班通): 600 classes at a time, whose pupils come one after the other with 10 s of thought each; with --array 100 the teacher sends a class at once, as often as its pupils would need.", func(c *RunCmd) {
		c.Screens = cmp.Or(c.Screens, 600)
		c.Think = cmp.Or(c.Think, 10*time.Second)
		c.Rate = cmp.Or(c.Rate, float64(c.Screens)/(c.Think.Seconds()*float64(max(c.Array, 1))))
		c.Duration = cmp.Or(c.Duration, time.Minute)
	}},
	{"retry-storm", "Clients that give up after a second and send the same again, up to 5 times, and every second request a double click or somebody's second visit: 2,000 a second for 30 s.", func(c *RunCmd) {
		c.Rate = cmp.Or(c.Rate, 2000)
		c.Duration = cmp.Or(c.Duration, 30*time.Second)
		c.Repeats = cmp.Or(c.Repeats, 0.5)
		c.Timeout = cmp.Or(c.Timeout, time.Second)
		c.Retries = cmp.Or(c.Retries, 5)
		c.Pause = cmp.Or(c.Pause, 200*time.Millisecond)
		c.Connections = cmp.Or(c.Connections, 1024)
	}},
	{"national-2021", "The 13,830,890 participants of four days in 2021, with eight lesson bells a day and the nights left out, within five minutes; --count makes it smaller, --duration longer. How they spread over the days is made up.", func(c *RunCmd) {
		c.Count = cmp.Or(c.Count, national2021)
		c.Duration = cmp.Or(c.Duration, 5*time.Minute)
		c.Connections = cmp.Or(c.Connections, 1024)
		c.profile = fourDays
	}},
}

// scenario fills in what a named scenario says, and then the defaults.
func (c *RunCmd) scenario() error {
	if c.Scenario != "" {
		i := slices.IndexFunc(Scenarios, func(s Scenario) bool { return s.Name == c.Scenario })
		if i < 0 {
			return fmt.Errorf("scenario %q: want one of\n%s", c.Scenario, scenarioHelp())
		}
		Scenarios[i].set(c)
	}
	c.Rise, c.Hold, c.Decay = cmp.Or(c.Rise, 5*time.Second), cmp.Or(c.Hold, 10*time.Second), cmp.Or(c.Decay, 20*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Connections = cmp.Or(c.Connections, 256)
	if c.Bell == 0 {
		c.Duration = cmp.Or(c.Duration, 10*time.Second)
	}
	return nil
}

func scenarioHelp() string {
	var b strings.Builder
	for _, s := range Scenarios {
		fmt.Fprintf(&b, "  %-14s %s\n", s.Name, s.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// schedule is when the requests are due, and how long that takes (0: not known).
func (c *RunCmd) schedule(requests int64) (s Schedule, length time.Duration) {
	switch {
	case c.profile != nil:
		return c.profile(requests, c.Duration), c.Duration
	case c.Bell > 0:
		return Bell{c.Bell, c.Rise, c.Hold, c.Decay}, c.Rise + c.Hold + c.Decay
	case c.Rate > 0:
		length = c.Duration
		if c.Count > 0 {
			length = min(length, seconds(float64(c.Count)/c.Rate))
		}
		return Constant(c.Rate), length
	}
	return Flood{}, c.Duration
}

// fourDays is a campaign of four school days: most come on the first, and at the
// beginning of lessons.
func fourDays(requests int64, in time.Duration) Schedule {
	var knots []Knot
	at := 0.0
	for _, day := range []float64{1, 0.9, 0.8, 0.5} {
		for range 8 {
			knots = append(knots, Knot{at, day * 0.15}, Knot{at + 0.1, day}, Knot{at + 0.3, day}, Knot{at + 0.8, day * 0.2}, Knot{at + 1, day * 0.15})
			at++
		}
	}
	return NewProfile("four days of eight lessons", knots, requests, in)
}
