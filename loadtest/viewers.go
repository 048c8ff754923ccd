package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"sync"
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
	Apart       string        `help:"Viewers have an ingest node of their own, beside the one that takes submissions: on these processors, as taskset names them. Run the rest under taskset on others."`
	Place       `embed:""`
}

// hallProbe is a school that only the clicks of the measurement go to.
const hallProbe canyu.SchoolCode = 3499990001

// hall is the measurement under way.
type hall struct {
	ViewersCmd
	*stand
	node    *node // takes submissions
	shows   *node // has the live streams
	next    int64 // of the source
	clicked int
	sights  []sight
}

// sight is one way of loading, without and with viewers.
type sight struct {
	name   string
	rounds [2][]viewing // without, with
	clicks []time.Duration
}

// viewing is one round: per second, ms, and µs of the server for each submission.
type viewing struct{ rate, p99, second, serverCPU, events float64 }

// Run measures and prints the table.
func (c *ViewersCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Viewers < 1 || c.Schools < 1 || c.Rounds < 1 || c.Round < 2*time.Second {
		return errors.New("viewers, schools, rounds and round: want at least one of each, and rounds of 2s")
	}
	if c.Apart != "" && c.Engine == "embedded" {
		return errors.New("apart: want an engine on Redis: an embedded ledger is of one process")
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
	before, err := residentBytes(h.shows.cmd.Process.Pid)
	if err != nil {
		return err
	}
	audience, err := h.watch(ctx)
	if err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	after, err := residentBytes(h.shows.cmd.Process.Pid)
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
	if h.node, err = h.stand.node(ctx, "canyu", redis, clickhouse, run, nil); err != nil || h.Apart == "" {
		h.shows = h.node
		return err
	}
	if h.shows, err = h.stand.node(ctx, "shows", redis, clickhouse, run, h.node); err != nil {
		return err
	}
	pid := strconv.Itoa(h.shows.cmd.Process.Pid)
	if out, err := exec.CommandContext(ctx, "taskset", "--all-tasks", "--cpu-list", "--pid", h.Apart, pid).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot move a node to processors %s: %w\n%s", h.Apart, err, out)
	}
	return nil
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
	v := viewing{rate: res.Rate, p99: res.Latency.P99, second: typicalSecond(res), serverCPU: perRequest(server1-server0, res.Requests), events: float64(events) / res.Seconds}
	b.rounds[with] = append(b.rounds[with], v)
	b.clicks = append(b.clicks, clicks...)
	fmt.Fprintf(h.log, "%s, %d viewers: %.0f/s, p99 %.2f ms, server %.1f µs per submission, %d events\n",
		b.name, with*h.Viewers, v.rate, v.p99, v.serverCPU, events)
	return nil
}

// table prints medians, and ratios within each round.
func (h *hall) table(out io.Writer, bytes float64) error {
	rows := [][]string{{"load", "viewers", "per second", "p99 ms", "p99 of the median second, ms", "server CPU µs", "events/s", "click seen p50 / p99, ms"}}
	columns := []struct {
		format string
		of     func(viewing) float64
	}{
		{"%.0f", func(v viewing) float64 { return v.rate }}, {"%.1f", func(v viewing) float64 { return v.p99 }},
		{"%.1f", func(v viewing) float64 { return v.second }}, {"%.1f", func(v viewing) float64 { return v.serverCPU }},
	}
	for _, b := range h.sights {
		slices.Sort(b.clicks)
		none, with, ratio := []string{b.name, "0"}, []string{b.name, strconv.Itoa(h.Viewers)}, []string{"", "with ÷ without"}
		for _, c := range columns {
			var both [2][]float64
			var ratios []float64
			for i := range b.rounds[0] {
				both[0] = append(both[0], c.of(b.rounds[0][i]))
				both[1] = append(both[1], c.of(b.rounds[1][i]))
				ratios = append(ratios, both[1][i]/both[0][i])
			}
			none, with = append(none, spreadOf(both[0]).text(c.format)), append(with, spreadOf(both[1]).text(c.format))
			ratio = append(ratio, spreadOf(ratios).text("%.2f"))
		}
		var events []float64
		for _, v := range b.rounds[1] {
			events = append(events, v.events)
		}
		seen := fmt.Sprintf("%.0f / %.0f", inMilliseconds(share(b.clicks, 50)), inMilliseconds(share(b.clicks, 99)))
		rows = append(rows, append(none, "", ""), append(with, spreadOf(events).text("%.0f"), seen), append(ratio, "", ""))
	}
	if err := table(out, rows); err != nil {
		return err
	}
	apart := ""
	if h.Apart != "" {
		apart = ", which have a node of their own on processors " + h.Apart
	}
	_, err := fmt.Fprintf(out, "\n%.1f KiB of memory for each viewer; %s, %d schools of %d are watched%s; %d rounds of %s, medians (least–greatest), ratios within a round\n",
		bytes/1024, h.Engine, h.Schools, h.source.Classes()/30, apart, h.Rounds, h.Round)
	return err
}

// share is the p-th percentile of sorted durations.
func share(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
