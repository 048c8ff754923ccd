package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// BenchCmd is canyu loadtest bench: the rows of the throughput table, measured
// side by side. Every server is a process of its own that stays up for the whole
// bench; they are loaded in turn (A B C D, A B C D, …) by the same client with the
// same requests, and only one at a time. Every request is a new pupil's, so that
// every one counts. After each round canyu's counts are reconciled.
type BenchCmd struct {
	Rows         string        `help:"Rows to measure, separated by commas: bare, percommand, pipelined, postgres (these three also with another number of connections, as in postgres/32), embedded, redis, redis+clickhouse." default:"bare,percommand,embedded,redis,redis+clickhouse"`
	Rounds       int           `help:"How often each row is measured." default:"3"`
	Round        time.Duration `help:"How long each time." default:"6s"`
	Warmup       time.Duration `help:"How long each server is loaded before that." default:"2s"`
	Patience     time.Duration `help:"How long to wait at most, before each round, for the machine to have little to do." default:"30s"`
	Connections  int           `help:"How many connections." default:"256"`
	Schools      int           `help:"Schools of 3,000 pupils in the roster; 0 is as many as the rounds can use up."`
	Pool         int           `help:"Connections of the percommand and pipelined rows to Redis: the fastest number." default:"64"`
	PostgresPool int           `help:"Connections of the postgres row to PostgreSQL." default:"64"`
	JSON         bool          `help:"Print the table as JSON."`
	Place        `embed:""`
}

// bench is one under way.
type bench struct {
	BenchCmd
	*stand
	postgres string // the DSN of the one that was started
	rows     []*benchRow
}

type benchRow struct {
	*server
	reconciles bool
	store      int // the process of Redis or PostgreSQL, where it is known
	archive    int // of ClickHouse
	next       int64
	counts     Counts
	rounds     []measure
}

// measure is one round of one row.
type measure struct {
	Rate       float64 `json:"rate"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	ServerCPU  float64 `json:"server_cpu_us"`  // per acknowledged request, until nothing is left to do for it
	AfterCPU   float64 `json:"after_cpu_us"`   // of that, after the load: rollups that catch up
	StoreCPU   float64 `json:"store_cpu_us"`   // of Redis or PostgreSQL, during the load
	ArchiveCPU float64 `json:"archive_cpu_us"` // of ClickHouse, during the load
	ClientCPU  float64 `json:"client_cpu_us"`
	OtherCPU   float64 `json:"other_cpu_us"` // all other processes during the load: strangers
	Busy       float64 `json:"busy"`         // how busy the machine was with something else before
}

// Run measures and prints the table. It fails where a server did, or where its
// counts are not what it acknowledged.
func (c *BenchCmd) Run(ctx context.Context, out io.Writer) error {
	return c.measured(ctx, func(b *bench) error { return b.table(out) })
}

// measured measures, and tells what was found while the servers still run.
func (c *BenchCmd) measured(ctx context.Context, tell func(*bench) error) (err error) {
	if c.Rounds < 1 || c.Round <= 0 {
		return errors.New("rounds and round: want at least one round of some length")
	}
	b := &bench{BenchCmd: *c}
	synthetic := Synthetic{Schools: c.Schools, Grades: 12, Classes: 5, Enrolled: 50}
	if c.Schools == 0 {
		const fastest = 200_000 // requests per second that no row reaches
		used := fastest * (c.Warmup + time.Duration(c.Rounds)*c.Round).Seconds()
		synthetic.Schools = int(used)/3000 + 1
	}
	if b.stand, err = c.Place.open(synthetic, SourceOptions{}); err != nil {
		return err
	}
	defer b.close()
	for _, name := range splitList(c.Rows) {
		row, err := b.start(ctx, name)
		if err != nil {
			return err
		}
		b.rows = append(b.rows, row)
	}
	for round := range c.Rounds + 1 { // the first warms up
		for _, row := range b.rows {
			if err := b.measure(ctx, row, round); err != nil {
				return fmt.Errorf("%s: %w\n%s", row.name, err, row.lastLines())
			}
		}
	}
	return tell(b)
}

// start starts the server of a row.
func (b *bench) start(ctx context.Context, name string) (row *benchRow, err error) {
	row = &benchRow{}
	kind, connections, _ := strings.Cut(name, "/")
	switch kind {
	case "bare", "percommand", "pipelined", "postgres":
		row.server, row.store, err = b.baseline(ctx, kind, name, connections)
		row.reconciles = kind == "postgres"
	case "embedded", "redis", "redis+clickhouse":
		row.reconciles = true
		var redis, clickhouse, run string
		if name != "embedded" {
			if clickhouse, err = b.database(name); err != nil {
				return nil, err
			}
			if redis, err = b.redis(ctx, name); err != nil {
				return nil, err
			}
			row.store, row.archive = listener(redis), listener(clickhouse)
		}
		if name == "redis" {
			// The ingest node by itself: rollup and ClickHouse are other machines'
			// work. The row redis+clickhouse has all of it on this one.
			run = "ingest"
		}
		var n *node
		if n, err = b.node(ctx, name, redis, clickhouse, run, nil); err == nil {
			row.server = n.server
		}
	default:
		err = fmt.Errorf("row %q: want bare, percommand, pipelined, postgres, embedded, redis or redis+clickhouse", name)
	}
	if err != nil {
		return nil, err
	}
	if row.reconciles {
		if row.counts, err = b.fetch(ctx, row.target); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", name, err, row.lastLines())
		}
	}
	return row, nil
}

// baseline starts one of the servers that canyu is measured against.
func (b *bench) baseline(ctx context.Context, kind, name, connections string) (*server, int, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, 0, err
	}
	file := strings.ReplaceAll(name, "/", "-")
	args := []string{b.place.Program, "loadtest", "baseline", kind, "--listen", addr}
	store := 0
	switch kind {
	case "percommand", "pipelined":
		redis, err := b.redis(ctx, "")
		if err != nil {
			return nil, 0, err
		}
		store = listener(redis)
		args[3] = "percommand"
		args = append(args, "--redis", redis, "--prefix", file+"-"+b.id, "--pool", cmp.Or(connections, fmt.Sprint(b.Pool)))
		if kind == "pipelined" {
			args = append(args, "--pipelined")
		}
	case "postgres":
		if b.postgres == "" {
			stop, dsn, err := startPostgres(ctx, b.log, b.dir)
			if err != nil {
				return nil, 0, err
			}
			b.closers = append(b.closers, stop)
			b.postgres = dsn
		}
		store = listener(b.postgres)
		dsn, err := ownDatabase(ctx, b.postgres, strings.ReplaceAll(file, "-", "_"))
		if err != nil {
			return nil, 0, err
		}
		args = append(args, "--dsn", dsn, "--roster", b.rosterFile(), "--pool", cmp.Or(connections, fmt.Sprint(b.PostgresPool)))
	}
	s, err := startServer(ctx, b.log, b.dir, file, addr, args...)
	if err != nil {
		return nil, 0, err
	}
	s.name = name
	b.closers = append(b.closers, s.stop)
	return s, store, nil
}

// redis is the one that is given or was started, with a database for each canyu, for
// the same pupils count again in each.
func (b *bench) redis(ctx context.Context, name string) (server string, err error) {
	if b.place.Redis == "" {
		if b.place.Redis, err = b.ownRedis(ctx, "redis-data"); err != nil {
			return "", err
		}
	}
	if name == "redis+clickhouse" {
		return withPath(b.place.Redis, "/1")
	}
	return b.place.Redis, nil
}

// measure loads the row for a round; round 0 is the warm-up.
func (b *bench) measure(ctx context.Context, row *benchRow, round int) error {
	d := b.Round
	if round == 0 {
		d = b.Warmup
	}
	busy := settle(ctx, b.Patience)
	server0, err0 := cpu(row.cmd.Process.Pid)
	store0, archive0 := family(row.store), family(row.archive)
	client0, err1 := cpu(os.Getpid())
	idle0, all0 := machine()
	res, err := Run(ctx, Options{
		Target: row.target, Source: b.source, Schedule: Flood{},
		Connections: b.Connections, Duration: d, First: row.next,
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	idle1, all1 := machine()
	store, archive := family(row.store)-store0, family(row.archive)-archive0
	client1, err2 := cpu(os.Getpid())
	server1, err3 := cpu(row.cmd.Process.Pid)
	settle(ctx, b.Patience) // what the server does afterwards for these requests is part of their price
	server2, err4 := cpu(row.cmd.Process.Pid)
	if err := errors.Join(err0, err1, err2, err3, err4); err != nil {
		return err
	}
	if row.name != "bare" { // to which no pupil is new
		row.next = res.Next
	}
	good := res.Outcomes[Counted] + res.Outcomes[Empty]
	if total := res.Total(); good < total || good == 0 {
		return fmt.Errorf("%d of %d requests did not count: %v %v", total-good, total, res.Outcomes, res.Errors)
	}
	if row.reconciles {
		after, err := b.fetch(ctx, row.target)
		if err != nil {
			return err
		}
		rec := Reconcile(row.counts, after, res.Acknowledged, res.Unknown)
		fmt.Fprintf(b.log, "%-10s reconciled: %s\n", row.name, rec)
		if err := rec.Err(); err != nil {
			return err
		}
		row.counts = after
	}
	m := measure{
		Rate: res.Rate, P50: res.Latency.P50, P99: res.Latency.P99, Busy: busy,
		ServerCPU: perRequest(server2-server0, good), AfterCPU: perRequest(server2-server1, good),
		ClientCPU: perRequest(client1-client0, good),
		StoreCPU:  perRequest(store, good), ArchiveCPU: perRequest(archive, good),
		OtherCPU: perRequest(max(0, all1-all0-(idle1-idle0)-(server1-server0)-(client1-client0)-store-archive), good),
	}
	name := "warm-up"
	if round > 0 {
		name = fmt.Sprintf("round %d", round)
		row.rounds = append(row.rounds, m)
	}
	fmt.Fprintf(b.log, "%-10s %s: %.0f/s, p99 %.2f ms, server %.1f µs (%.1f afterwards), store %.1f, archive %.1f, client %.1f, others %.1f µs of CPU per request; machine %.0f %% busy before\n",
		row.name, name, m.Rate, m.P99, m.ServerCPU, m.AfterCPU, m.StoreCPU, m.ArchiveCPU, m.ClientCPU, m.OtherCPU, m.Busy*100)
	return nil
}

func perRequest(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// conditions are what the numbers depend on.
func (b *bench) conditions() string {
	text := fmt.Sprintf("%d CPUs, %s, %d connections, %d rounds of %s, %d classes of 50",
		runtime.NumCPU(), runtime.Version(), b.Connections, b.Rounds, b.Round, b.source.Classes())
	if b.place.Redis == "" {
		return text
	}
	o, err := redis.ParseURL(b.place.Redis)
	if err != nil {
		return text
	}
	client := redis.NewClient(o)
	defer client.Close()
	settings := client.ConfigGet(context.Background(), "append*").Val()
	return fmt.Sprintf("%s; Redis appendonly %s, appendfsync %s", text, settings["appendonly"], settings["appendfsync"])
}
