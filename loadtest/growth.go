package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// GrowthCmd is canyu loadtest growth: how throughput, latency and memory change with
// what there is already. What is compared is measured in turn, round by round, by the
// same client. Recorded participants come over HTTP, in arrays of 100 pupils of all
// classes, and the archive has them before anything is measured: that is how they
// come in life, and leaves everything (logs, parts, caches) as life does.
type GrowthCmd struct {
	Tables      string        `help:"Which tables: participants, schools, batch, two, memory, reports, shards, endurance." default:"participants,schools,batch,two,memory,reports"`
	Engines     string        `help:"Engines: embedded, redis+clickhouse; for the table participants also redis, an ingest node by itself." default:"embedded,redis+clickhouse"`
	Sizes       string        `help:"Participants that are recorded already, for the table participants." default:"1000000,10000000"`
	Schools     string        `help:"For the table schools." default:"1,20,200,2000"`
	Batch       string        `help:"Connections, for the table batch." default:"1,4,16,64,256,1024"`
	Memory      string        `help:"Participants, for the table memory." default:"1000000,5000000,10000000"`
	Reports     string        `help:"Schools of one county with 30 classes of 50 each, half of whom have taken part, for the table reports." default:"30,300,3000"`
	Shards      string        `help:"Shards on one Redis, for the table shards." default:"1,4,16,64"`
	Masters     string        `help:"Masters of a Redis Cluster, a shard on each, for the table shards: with one ingest process, and with as many." default:"1,2,4"`
	Processes   string        `help:"Ingest processes on one Redis, for the table shards." default:"1,2,4"`
	Rate        float64       `help:"Submissions a second, for the table endurance." default:"500"`
	Endure      time.Duration `help:"How long, for the table endurance." default:"1h"`
	Rounds      int           `help:"How often each is measured." default:"3"`
	Round       time.Duration `help:"How long each time." default:"5s"`
	Warmup      time.Duration `help:"How long each is loaded before that, each time." default:"1s"`
	Connections int           `help:"How many connections." default:"256"`
	Patience    time.Duration `help:"How long to wait at most for a quiet machine." default:"30s"`
	Quiet       bool          `help:"No progress while participants are recorded beforehand."`
	Limit       time.Duration `help:"Give up after this long." default:"2h"`
	Place       `embed:""`

	out io.Writer
}

// Run measures and prints the tables, each as soon as it is done.
func (c *GrowthCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Rounds < 1 || c.Round <= 0 {
		return errors.New("rounds and round: want at least one round of some length")
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	c.out = out
	tables := map[string]func(context.Context) error{
		"participants": c.participants, "schools": c.schools, "batch": c.batch, "two": c.two, "memory": c.memory, "reports": c.reports, "shards": c.shards, "endurance": c.endurance,
	}
	for _, name := range splitList(c.Tables) {
		if tables[name] == nil {
			return fmt.Errorf("table %q: want participants, schools, batch, two, memory, reports, shards or endurance", name)
		}
	}
	fmt.Fprintf(out, "%d CPUs, %s, %d connections, %d rounds of %s, %s before each; median (least–greatest)\n",
		runtime.NumCPU(), runtime.Version(), c.Connections, c.Rounds, c.Round, c.Warmup)
	for _, name := range splitList(c.Tables) {
		if err := tables[name](ctx); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}

// perRound is how many pupils a row may need in a round, warm-up included.
func (c *GrowthCmd) perRound() int64 {
	const fastest = 150_000 // requests per second that no engine reaches
	return int64(fastest * (c.Round + c.Warmup).Seconds())
}

func schoolsFor(pupils int64) Synthetic {
	return Synthetic{Schools: int(pupils/3000) + 1, Grades: 12, Classes: 5, Enrolled: 50}
}

// subject is something that is measured round by round.
type subject struct {
	label   string
	nodes   []*node
	sources []*Source // one for each node
	next    []int64
	rounds  []subjectRound
	memory  [2]int64 // of the server and of Redis, where that was looked at

	connections int
}

type subjectRound struct{ rate, p50, p99, server, store, batch float64 }

func newSubject(label string, connections int, nodes []*node, sources ...*Source) *subject {
	return &subject{label: label, nodes: nodes, sources: sources, next: make([]int64, len(nodes)), connections: connections}
}

// round loads the subject's nodes at the same time.
func (c *GrowthCmd) round(ctx context.Context, st *stand, s *subject) error {
	settle(ctx, c.Patience)
	if _, err := c.load(ctx, s, c.Warmup); err != nil {
		return err
	}
	var pids []int
	for _, n := range s.nodes {
		pids = append(pids, n.cmd.Process.Pid)
	}
	var stores []int
	for _, addr := range addresses(s.nodes[0].redis) {
		stores = append(stores, listener(addr))
	}
	batches0, err := batches(ctx, s.nodes)
	if err != nil {
		return err
	}
	storesCPU := func() (sum time.Duration) {
		for _, pid := range stores {
			sum += family(pid)
		}
		return sum
	}
	before, storesBefore := costsOf(pids, 0, 0), storesCPU()
	res, err := c.load(ctx, s, c.Round)
	if err != nil {
		return err
	}
	spent := costsOf(pids, 0, 0).since(before)
	spent.store = storesCPU() - storesBefore
	batches1, err := batches(ctx, s.nodes)
	if err != nil {
		return err
	}
	good := res.Outcomes[Counted]
	r := subjectRound{rate: res.Rate, p50: res.Latency.P50, p99: res.Latency.P99, server: perRequest(spent.server, good), store: perRequest(spent.store, good)}
	if n := batches1[1] - batches0[1]; n > 0 {
		r.batch = (batches1[0] - batches0[0]) / n
	}
	s.rounds = append(s.rounds, r)
	fmt.Fprintf(st.log, "%-28s round %d: %.0f/s, p50 %.2f, p99 %.2f ms, %.1f in a commit\n", s.label, len(s.rounds), r.rate, r.p50, r.p99, r.batch)
	return nil
}

// batches are the sums of the participations and of the commits.
func batches(ctx context.Context, nodes []*node) (sums [2]float64, err error) {
	for _, n := range nodes {
		m, err := metrics(ctx, n.target)
		if err != nil {
			return sums, err
		}
		sums[0] += m["canyu_batch_participations_sum"]
		sums[1] += m["canyu_batch_participations_count"]
	}
	return sums, nil
}

func (c *GrowthCmd) load(ctx context.Context, s *subject, d time.Duration) (*Result, error) {
	return c.loadAt(ctx, s, Flood{}, d)
}

func (c *GrowthCmd) loadAt(ctx context.Context, s *subject, schedule Schedule, d time.Duration) (*Result, error) {
	type done struct {
		i   int
		res *Result
		err error
	}
	results := make(chan done)
	for i, n := range s.nodes {
		go func() {
			res, err := Run(ctx, Options{Target: n.target, Source: s.sources[i], Schedule: schedule, First: s.next[i],
				Connections: max(1, s.connections/len(s.nodes)), Duration: d})
			if err == nil {
				err = errors.Join(ctx.Err(), allCounted(res))
			}
			if err != nil {
				err = fmt.Errorf("%s: %w\n%s", s.label, err, n.lastLines())
			}
			results <- done{i, res, err}
		}()
	}
	var all *Result
	var errs error
	for range s.nodes {
		r := <-results
		errs = errors.Join(errs, r.err)
		if r.err != nil {
			continue
		}
		s.next[r.i] = r.res.Next
		if all == nil {
			all = r.res
		} else {
			all.merge(r.res)
		}
	}
	return all, errs
}

// fill records participants over HTTP, from request first of the single ones on, and
// waits for the archive. It returns the next.
func (c *GrowthCmd) fill(ctx context.Context, st *stand, n *node, first, participants int64) (int64, error) {
	const array = MaxArray
	source, err := NewSource(st.loaded, SourceOptions{Activity: st.activity, Steps: benchSteps, Seed: 1, Array: array, Scattered: true})
	if err != nil {
		return 0, err
	}
	o := Options{Target: n.target, Source: source, Schedule: Flood{}, Connections: 32, First: first / array,
		Count: (participants - first + array - 1) / array, Timeout: time.Minute}
	if o.Count <= 0 {
		return first, nil
	}
	fmt.Fprintf(st.log, "%s: %s participants beforehand\n", n.name, thousands(participants))
	if !c.Quiet {
		each, end := progress(os.Stderr, 0)
		defer end()
		o.Every = each
	}
	res, err := Run(ctx, o)
	if err == nil {
		err = errors.Join(ctx.Err(), allCounted(res))
	}
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, n.lastLines())
	}
	return (o.First + o.Count) * array, n.archived(ctx, time.Hour)
}

// text is a column of the subject's rounds.
func (s *subject) text(format string, of func(subjectRound) float64) string {
	v := make([]float64, len(s.rounds))
	for i, r := range s.rounds {
		v[i] = of(r)
	}
	return spreadOf(v).text(format)
}

// ratio is of the rates, each to the same round of the other.
func (s *subject) ratio(to *subject) spread {
	v := make([]float64, len(s.rounds))
	for i, r := range s.rounds {
		v[i] = r.rate / to.rounds[i].rate
	}
	return spreadOf(v)
}

func (s *subject) columns(to *subject) []string {
	return []string{s.text("%.0f", func(r subjectRound) float64 { return r.rate }), s.ratio(to).text("%.2f"),
		s.text("%.1f", func(r subjectRound) float64 { return r.p50 }), s.text("%.1f", func(r subjectRound) float64 { return r.p99 }),
		s.text("%.0f", func(r subjectRound) float64 { return r.batch }),
		s.text("%.1f", func(r subjectRound) float64 { return r.server }), s.text("%.1f", func(r subjectRound) float64 { return r.store })}
}

var subjectColumns = []string{"requests/s", "÷ first", "p50 ms", "p99 ms", "in a commit", "server CPU µs", "Redis CPU µs"}

// title heads a table.
func (c *GrowthCmd) title(format string, args ...any) {
	fmt.Fprintf(c.out, "\n### %s\n\n", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
