package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/canyu/canyu"
)

// ViewersCmd is canyu loadtest viewers: what live views cost those who take part. A
// server is loaded at half of its highest rate, and as fast as it can, in turn without
// and with viewers of its live streams; a school that nobody else loads is clicked
// for, and watched until the click is seen.
type ViewersCmd struct {
	Viewers     int           `help:"Live streams." default:"2000"`
	Schools     int           `help:"Schools they watch, of all." default:"200"`
	Rate        float64       `help:"Submissions per second; 0 is half of the highest rate, which is measured first."`
	Rounds      int           `help:"How often each is measured; the median counts." default:"3"`
	Round       time.Duration `help:"How long each time." default:"8s"`
	Warmup      time.Duration `help:"How long the highest rate is looked for." default:"6s"`
	Patience    time.Duration `help:"How long to wait at most, before each round, for the machine to have little to do." default:"20s"`
	Connections int           `help:"How many connections submit." default:"256"`
	Engine      string        `help:"embedded, redis (an ingest node by itself) or redis+clickhouse." enum:"embedded,redis,redis+clickhouse" default:"redis"`
	Place       `embed:""`
}

// hallProbe is a school that only the clicks of the measurement go to.
const hallProbe canyu.SchoolCode = 3499990001

// hall is the measurement under way.
type hall struct {
	ViewersCmd
	*stand
	node    *node
	next    int64 // of the source
	clicked int
	sights  []sight
}

// sight is one way of loading, without and with viewers.
type sight struct {
	name                 string
	rate, p99, serverCPU [2][]float64 // without, with; µs for each submission
	second               [2][]float64 // p99 of each second
	events               []float64    // per second, of all viewers
	clicks               []time.Duration
}

// Run measures and prints the table.
func (c *ViewersCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Viewers < 1 || c.Schools < 1 || c.Rounds < 1 || c.Round < 2*time.Second {
		return errors.New("viewers, schools, rounds and round: want at least one of each, and rounds of 2s")
	}
	const fastest = 60_000 // submissions per second; a roster that is used up ends a round early
	used := fastest * (c.Warmup + time.Duration(c.Rounds)*3*c.Round).Seconds()
	synthetic := Synthetic{Schools: max(c.Schools, int(used)/1500+1), Grades: 6, Classes: 5, Enrolled: 50}
	probe := canyu.RosterEntry{Region: 349999, School: hallProbe, Name: "现场", Grade: 3, Class: 1, Enrolled: canyu.MaxEnrolled}
	st, err := c.Place.open(synthetic, SourceOptions{}, probe)
	if err != nil {
		return err
	}
	defer st.close()
	h := &hall{ViewersCmd: *c, stand: st}
	if err := h.start(ctx); err != nil {
		return err
	}
	before, err := residentBytes(h.node.cmd.Process.Pid)
	if err != nil {
		return err
	}
	audience, err := h.watch(ctx)
	if err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	after, err := residentBytes(h.node.cmd.Process.Pid)
	audience.close()
	if err != nil {
		return err
	}
	flood, err := h.load(ctx, Flood{}, c.Warmup)
	if err != nil {
		return err
	}
	rate := cmp.Or(c.Rate, float64(int(flood.Rate/2)))
	fmt.Fprintf(st.log, "highest rate %.0f/s, load %.0f/s, memory per viewer %.1f KiB\n", flood.Rate, rate, float64(after-before)/1024/float64(c.Viewers))
	h.sights = []sight{{name: fmt.Sprintf("%.0f/s", rate)}, {name: "as fast as possible"}}
	for round := range c.Rounds {
		for i, schedule := range []Schedule{Constant(rate), Flood{}} {
			order := []bool{false, true}
			if round%2 == 1 {
				order = []bool{true, false}
			}
			for _, watched := range order {
				if err := h.measure(ctx, &h.sights[i], schedule, watched); err != nil {
					return fmt.Errorf("%w\n%s", err, h.node.lastLines())
				}
			}
		}
	}
	return h.table(out, float64(after-before)/float64(c.Viewers))
}

func (h *hall) start(ctx context.Context) (err error) {
	var redis, clickhouse, run string
	if h.Engine != "embedded" {
		if redis = h.place.Redis; redis == "" {
			if redis, err = h.ownRedis(ctx, "redis-data"); err != nil {
				return err
			}
		}
		if clickhouse, err = h.database("viewers"); err != nil {
			return err
		}
	}
	if h.Engine == "redis" {
		run = "ingest"
	}
	h.node, err = h.stand.node(ctx, "canyu", redis, clickhouse, run, nil)
	return err
}

// load submits for a while.
func (h *hall) load(ctx context.Context, s Schedule, d time.Duration) (*Result, error) {
	res, err := Run(ctx, Options{Target: h.node.target, Source: h.source, Schedule: s, Connections: h.Connections, Duration: d, First: h.next})
	if err != nil {
		return nil, err
	}
	h.next = res.Next
	if good, total := res.Outcomes[Counted], res.Total(); good < total || good == 0 {
		return nil, fmt.Errorf("%d of %d submissions did not count: %v %v", total-good, total, res.Outcomes, res.Errors)
	}
	return res, ctx.Err()
}

// measure loads once, without or with viewers.
func (h *hall) measure(ctx context.Context, b *sight, s Schedule, watched bool) error {
	with := 0
	var viewers *audience
	if watched {
		with = 1
		var err error
		if viewers, err = h.watch(ctx); err != nil {
			return err
		}
		defer viewers.close()
	}
	settle(ctx, h.Patience)
	server0, err0 := cpu(h.node.cmd.Process.Pid)
	limit, stop := context.WithTimeout(ctx, h.Round)
	defer stop()
	var clicks []time.Duration
	var clickErr error
	var clicking sync.WaitGroup
	if watched {
		clicking.Go(func() { clicks, clickErr = h.click(limit) })
	}
	events, eventErr := viewers.since(0)
	res, err := h.load(ctx, s, h.Round)
	stop()
	clicking.Wait()
	if eventErr == nil {
		events, eventErr = viewers.since(events)
	}
	server1, err1 := cpu(h.node.cmd.Process.Pid)
	if err := errors.Join(err0, err1, err, clickErr, eventErr); err != nil {
		return err
	}
	b.rate[with] = append(b.rate[with], res.Rate)
	b.p99[with] = append(b.p99[with], res.Latency.P99)
	for _, s := range res.Timeline[1:] { // in the first one the load begins
		b.second[with] = append(b.second[with], inMilliseconds(s.P99))
	}
	b.serverCPU[with] = append(b.serverCPU[with], perRequest(server1-server0, res.Requests))
	if watched {
		b.clicks = append(b.clicks, clicks...)
		b.events = append(b.events, float64(events)/res.Seconds)
	}
	fmt.Fprintf(h.log, "%s, %d viewers: %.0f/s, p99 %.2f ms, server %.1f µs per submission, %d events\n",
		b.name, with*h.Viewers, res.Rate, res.Latency.P99, perRequest(server1-server0, res.Requests), events)
	return nil
}

// table prints medians.
func (h *hall) table(out io.Writer, bytes float64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "load\tviewers\tper second\tp99 ms\tp99 of a second\tserver µs each\tevents/s\tclick seen p50\tp99\n")
	for _, b := range h.sights {
		slices.Sort(b.clicks)
		fmt.Fprintf(w, "%s\t0\t%.0f\t%.2f\t%.2f\t%.1f\t\t\t\n", b.name, median(b.rate[0]), median(b.p99[0]), median(b.second[0]), median(b.serverCPU[0]))
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.1f\t%.0f\t%s\t%s\n", b.name, h.Viewers, median(b.rate[1]), median(b.p99[1]), median(b.second[1]), median(b.serverCPU[1]),
			median(b.events), share(b.clicks, 50), share(b.clicks, 99))
		more := func(of [2][]float64) float64 { return 100 * (median(of[1])/median(of[0]) - 1) }
		fmt.Fprintf(w, "\t\t%+.1f %%\t%+.1f %%\t%+.1f %%\t%+.1f %%\n", more(b.rate), more(b.p99), more(b.second), more(b.serverCPU))
	}
	fmt.Fprintf(w, "memory of the server per viewer: %.1f KiB; %s, %d schools watched of %d, medians of %d rounds of %s\n",
		bytes/1024, h.Engine, h.Schools, h.source.Classes()/30, h.Rounds, h.Round)
	return w.Flush()
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// share is the p-th percentile of sorted durations.
func share(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Millisecond)
}
