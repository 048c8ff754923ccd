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

// NationalCmd is canyu loadtest national: the four days of 2021 in one go, as fast as
// the machine takes them, timed from the first request until the archive has every
// participant; then held against the ledger class by class (canyu verify), and both
// against what was acknowledged.
type NationalCmd struct {
	Engine       string        `help:"embedded, or redis+clickhouse." enum:"embedded,redis+clickhouse" default:"redis+clickhouse"`
	Participants int64         `help:"How many." default:"13830890"`
	Array        int           `help:"Pupils in one request, of one class as long as it has any: what a teacher at the class's screen sends; 0: each for himself." default:"100"`
	Connections  int           `help:"How many connections." default:"64"`
	Limit        time.Duration `help:"Give up after this long." default:"30m"`
	Quiet        bool          `help:"No progress."`
	Place        `embed:""`
}

// campaign is what one replay of it came to.
type campaign struct {
	res    *Result
	rec    *Reconciliation
	took   time.Duration // from the first request until the archive had the last
	verify time.Duration
	spent  costs
	memory int64 // of the server
}

// Run does it and prints a table.
func (c *NationalCmd) Run(ctx context.Context, out io.Writer) error {
	found, err := c.measured(ctx)
	if err != nil {
		return err
	}
	how := fmt.Sprintf("arrays of %d", c.Array)
	if c.Array < 2 {
		how = "each for himself"
	}
	counted, spent := found.rec.Counted, found.spent
	each := func(d time.Duration) string { return fmt.Sprintf("%.1f", perRequest(d, int64(counted))) }
	fmt.Fprintf(out, "\n%d CPUs, %s, %d connections\n\n", runtime.NumCPU(), runtime.Version(), c.Connections)
	return table(out, [][]string{
		{"engine", "requests", "participants", "HTTP s", "participants/s", "archive = ledger after s", "p99 ms", "CPU µs each: server", "store", "ClickHouse", "client", "server memory", "verified"},
		{c.Engine, how, thousands(int64(counted)), fmt.Sprintf("%.1f", found.res.Seconds), thousands(int64(float64(counted) / found.res.Seconds)),
			fmt.Sprintf("%.1f", found.took.Seconds()), fmt.Sprintf("%.1f", found.res.Latency.P99), each(spent.server), each(spent.store), each(spent.archive), each(spent.client),
			megabytes(found.memory), fmt.Sprintf("%d classes in %.1f s, no difference", found.rec.Classes, found.verify.Seconds())},
	})
}

// measured does it; a difference is an error.
func (c *NationalCmd) measured(ctx context.Context) (*campaign, error) {
	if c.Participants < 1 {
		return nil, errors.New("participants: want at least one")
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	const perSchool = 12 * 5 * 50
	st, err := c.Place.open(Synthetic{Schools: int((c.Participants-1)/perSchool) + 1, Grades: 12, Classes: 5, Enrolled: 50}, SourceOptions{Array: c.Array})
	if err != nil {
		return nil, err
	}
	defer st.close()
	n, err := st.engine(ctx, "national", c.Engine)
	if err != nil {
		return nil, err
	}
	store, archive := listener(n.redis), listener(n.clickhouse)
	pids := []int{n.cmd.Process.Pid}
	o := Options{Target: n.target, Source: st.source, Schedule: Flood{}, Connections: c.Connections, Timeout: 30 * time.Second}
	// An array is of consecutive pupils, and the last one of the roster may be short:
	// so many requests are at least so many participants.
	o.Count = (c.Participants + int64(max(c.Array, 1)) - 1) / int64(max(c.Array, 1))
	if !c.Quiet {
		each, end := progress(os.Stderr, 0)
		defer end()
		o.Every = each
	}
	before := costsOf(pids, store, archive)
	began := time.Now()
	found := &campaign{}
	if found.res, err = Run(ctx, o); err != nil {
		return nil, err
	}
	if err := errors.Join(ctx.Err(), allCounted(found.res)); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, n.lastLines())
	}
	if err := n.archived(ctx, c.Limit); err != nil {
		return nil, err
	}
	found.took = time.Since(began)
	found.spent = costsOf(pids, store, archive).since(before)
	found.memory = resident(pids[0])

	counts, err := st.fetch(ctx, n.target)
	if err != nil {
		return nil, err
	}
	found.rec = Reconcile(nil, counts, found.res.Acknowledged, found.res.Unknown)
	if err := found.rec.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, found.rec)
	}
	verifying := time.Now()
	said, err := st.command(ctx, "verify", "--config", n.config)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(said, "ledger, archive and rollups agree") {
		return nil, fmt.Errorf("%w: canyu verify said %s", ErrDifference, said)
	}
	found.verify = time.Since(verifying)
	return found, nil
}

// engine starts a canyu that does everything, on a Redis of its own if it needs one.
func (s *stand) engine(ctx context.Context, name, engine string) (*node, error) {
	var redis, clickhouse, run string
	var err error
	switch engine {
	case "embedded":
	case "redis", "redis+clickhouse":
		if clickhouse, err = s.database(name); err != nil {
			return nil, err
		}
		if redis, err = s.ownRedis(ctx, name+"-redis"); err != nil {
			return nil, err
		}
		if engine == "redis" {
			run = "ingest"
		}
	default:
		return nil, fmt.Errorf("engine %q: want embedded, redis or redis+clickhouse", engine)
	}
	return s.node(ctx, name, redis, clickhouse, run, nil)
}
