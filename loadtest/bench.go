package loadtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// BenchCmd is canyu loadtest bench: the rows of the throughput table, measured
// side by side. Every server is a process of its own that stays up for the whole
// bench; they are loaded in turn (A B C D, A B C D, …) by the same client with the
// same requests, and only one at a time. Every request is a new pupil's, so that
// every one counts. After each round canyu's counts are reconciled.
type BenchCmd struct {
	Rows        string        `help:"Rows to measure." default:"bare,percommand,embedded,redis,redis+clickhouse"`
	Rounds      int           `help:"How often each row is measured." default:"3"`
	Round       time.Duration `help:"How long each time." default:"6s"`
	Warmup      time.Duration `help:"How long each server is loaded before that." default:"2s"`
	Patience    time.Duration `help:"How long to wait at most, before each round, for the machine to have little to do." default:"30s"`
	Connections int           `help:"How many connections." default:"256"`
	Schools     int           `help:"Schools of 3,000 pupils in the roster; 0 is as many as the rounds can use up."`
	Redis       string        `help:"URL of the Redis; without one, redis-server is started." env:"CANYU_TEST_REDIS"`
	Clickhouse  string        `help:"DSN of the ClickHouse for the redis row." env:"CANYU_TEST_CLICKHOUSE"`
	Pool        int           `help:"Connections of the percommand row to Redis: the fastest number." default:"64"`
	Dir         string        `help:"Where the servers keep their data: a real disk, or fsync costs nothing. It is removed at the end." type:"existingdir"`
	Program     string        `help:"The canyu that is measured; this one if empty." type:"existingfile"`
	JSON        bool          `help:"Print the table as JSON."`
}

// bench is one under way.
type bench struct {
	BenchCmd
	out      io.Writer // the table
	log      io.Writer // what is done
	dir      string
	activity string
	roster   *canyu.Roster
	source   *Source
	rows     []*benchRow
	closers  []func()
}

type benchRow struct {
	*server
	reconciles bool
	next       int64
	counts     Counts
	rounds     []measure
}

// measure is one round of one row.
type measure struct {
	Rate      float64 `json:"rate"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	ServerCPU float64 `json:"server_cpu_us"` // per acknowledged request, until nothing is left to do for it
	AfterCPU  float64 `json:"after_cpu_us"`  // of that, after the load: rollups that catch up
	ClientCPU float64 `json:"client_cpu_us"`
	OtherCPU  float64 `json:"other_cpu_us"` // all other processes during the load: Redis, ClickHouse, strangers
	Busy      float64 `json:"busy"`         // how busy the machine was with something else before
}

// Run measures and prints the table. It fails where a server did, or where its
// counts are not what it acknowledged.
func (c *BenchCmd) Run(ctx context.Context, out io.Writer) (err error) {
	if c.Rounds < 1 || c.Round <= 0 {
		return errors.New("rounds and round: want at least one round of some length")
	}
	b := &bench{BenchCmd: *c, out: out, log: os.Stderr, activity: "bench-" + randomID()}
	if b.dir, err = os.MkdirTemp(c.Dir, "canyu-bench-"); err != nil {
		return fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(b.dir)
	defer func() {
		for _, f := range slices.Backward(b.closers) {
			f()
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, name := range splitList(c.Rows) {
		row, err := b.start(ctx, name)
		if err != nil {
			return err
		}
		b.rows = append(b.rows, row)
		b.closers = append(b.closers, row.stop)
	}
	for round := range c.Rounds + 1 { // the first warms up
		for _, row := range b.rows {
			if err := b.measure(ctx, row, round); err != nil {
				return fmt.Errorf("%s: %w\n%s", row.name, err, row.lastLines())
			}
		}
	}
	return b.table()
}

func randomID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// prepare makes the roster and the requests, and finds Redis.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.Program == "" {
		if b.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("cannot find canyu itself: %w", err)
		}
	}
	synthetic := Synthetic{Schools: b.Schools, Grades: 12, Classes: 5, Enrolled: 50}
	if b.Schools == 0 {
		const fastest = 200_000 // requests per second that no row reaches
		used := fastest * (b.Warmup + time.Duration(b.Rounds)*b.Round).Seconds()
		synthetic.Schools = int(used)/3000 + 1
	}
	if b.roster, err = synthetic.Roster(); err != nil {
		return err
	}
	b.source, err = NewSource(b.roster, SourceOptions{
		Activity: b.activity, Steps: []string{"bow", "flower", "message"}, Seed: 1,
	})
	if err != nil {
		return err
	}
	f, err := os.Create(b.rosterFile())
	if err != nil {
		return fmt.Errorf("cannot write the roster: %w", err)
	}
	if err := errors.Join(WriteRoster(f, b.roster), f.Close()); err != nil {
		return err
	}
	if !strings.Contains(b.Rows, "redis") && !strings.Contains(b.Rows, "percommand") && !strings.Contains(b.Rows, "pipelined") {
		b.Redis = ""
		return nil
	}
	if b.Redis == "" {
		stop, url, err := startRedis(ctx, b.log, b.dir)
		if err != nil {
			return err
		}
		b.Redis = url
		b.closers = append(b.closers, stop)
	}
	return nil
}

func (b *bench) rosterFile() string { return filepath.Join(b.dir, "roster.csv") }

// start starts the server of a row.
func (b *bench) start(ctx context.Context, name string) (*benchRow, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	var args []string
	row := &benchRow{}
	switch name {
	case "bare":
		args = []string{b.Program, "loadtest", "baseline", "bare", "--listen", addr}
	case "percommand", "pipelined":
		args = []string{b.Program, "loadtest", "baseline", "percommand", "--listen", addr,
			"--redis", b.Redis, "--prefix", name, "--pool", fmt.Sprint(b.Pool)}
		if name == "pipelined" {
			args = append(args, "--pipelined")
		}
	case "embedded", "redis", "redis+clickhouse":
		config, err := b.config(name, addr)
		if err != nil {
			return nil, err
		}
		if err := b.command(ctx, b.Program, "roster", "import", b.rosterFile(), "--config", config); err != nil {
			return nil, err
		}
		args = []string{b.Program, "serve", "--config", config}
		if name == "redis" {
			// The ingest node by itself: rollup and ClickHouse are other machines'
			// work. The row redis+clickhouse has all of it on this one.
			args = append(args, "--run", "ingest")
		}
		row.reconciles = true
	default:
		return nil, fmt.Errorf("row %q: want bare, percommand, pipelined, embedded, redis or redis+clickhouse", name)
	}
	if row.server, err = startServer(ctx, b.log, b.dir, name, addr, args...); err != nil {
		return nil, err
	}
	if row.reconciles {
		if row.counts, err = b.fetch(ctx, row); err != nil {
			row.stop()
			return nil, fmt.Errorf("%s: %w\n%s", name, err, row.lastLines())
		}
	}
	return row, nil
}

// config writes canyu's configuration for a row. The activity is open today.
func (b *bench) config(name, addr string) (string, error) {
	var engines string
	if name != "embedded" {
		dsn := splitList(b.Clickhouse)
		if len(dsn) == 0 {
			return "", errors.New("the redis row needs a ClickHouse: set CANYU_TEST_CLICKHOUSE, or name the other --rows")
		}
		redis, clickhouse := b.Redis, dsn[0]
		if name == "redis+clickhouse" { // the same pupils count once more
			var err error
			if redis, err = withPath(redis, "/1"); err == nil {
				clickhouse, err = withPath(clickhouse, "/canyu_bench")
			}
			if err != nil {
				return "", err
			}
		}
		engines = fmt.Sprintf("redis: %q\nclickhouse: %q\n", redis, clickhouse)
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return "", fmt.Errorf("cannot load the time zone: %w", err)
	}
	today := canyu.DayAt(time.Now(), zone)
	text := fmt.Sprintf(`listen: %q
data: %q
key_file: %q
%sactivities:
  - id: %s
    title: {zh-Hans: 压力测试}
    timezone: Asia/Shanghai
    first_day: %s
    last_day: %s
    steps: [bow, flower, message]
    required_grades: [3, 4, 5, 6, 7, 8, 10, 11]
    roles: [student, parent, teacher]
    identify: seat
    report: {at: "16:30", days: working, recipients: {}}
`, addr, filepath.Join(b.dir, name), filepath.Join(b.dir, name+".key"), engines, b.activity, today-1, today+1)
	path := filepath.Join(b.dir, name+".yaml")
	key := make([]byte, 32)
	rand.Read(key)
	return path, errors.Join(
		os.Mkdir(filepath.Join(b.dir, name), 0o700),
		os.WriteFile(filepath.Join(b.dir, name+".key"), []byte(hex.EncodeToString(key)+"\n"), 0o600),
		os.WriteFile(path, []byte(text), 0o600),
	)
}

func withPath(raw, path string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("the URL of a server cannot be read")
	}
	u.Path = path
	return u.String(), nil
}

func (b *bench) command(ctx context.Context, args ...string) error {
	fmt.Fprintf(b.log, "$ %s\n", commandLine(args))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s: %w\n%s", strings.Join(args[1:], " "), err, out)
	}
	return nil
}

func (b *bench) fetch(ctx context.Context, row *benchRow) (Counts, error) {
	return FetchCounts(ctx, row.target, b.activity, b.roster.Schools(0))
}

// measure loads the row for a round; round 0 is the warm-up.
func (b *bench) measure(ctx context.Context, row *benchRow, round int) error {
	d := b.Round
	if round == 0 {
		d = b.Warmup
	}
	busy := settle(ctx, b.Patience)
	server0, err0 := cpu(row.cmd.Process.Pid)
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
	client1, err2 := cpu(os.Getpid())
	server1, err3 := cpu(row.cmd.Process.Pid)
	settle(ctx, b.Patience) // what the server does afterwards for these requests is part of their price
	server2, err4 := cpu(row.cmd.Process.Pid)
	if err := errors.Join(err0, err1, err2, err3, err4); err != nil {
		return err
	}
	row.next = res.Next
	good := res.Outcomes[Counted] + res.Outcomes[Empty]
	if total := res.Total(); good < total || good == 0 {
		return fmt.Errorf("%d of %d requests did not count: %v %v", total-good, total, res.Outcomes, res.Errors)
	}
	if row.reconciles {
		after, err := b.fetch(ctx, row)
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
		OtherCPU:  perRequest(max(0, all1-all0-(idle1-idle0)-(server1-server0)-(client1-client0)), good),
	}
	name := "warm-up"
	if round > 0 {
		name = fmt.Sprintf("round %d", round)
		row.rounds = append(row.rounds, m)
	}
	fmt.Fprintf(b.log, "%-10s %s: %.0f/s, p99 %.2f ms, server %.1f µs (%.1f afterwards), client %.1f µs, others %.1f µs of CPU per request; machine %.0f %% busy before\n",
		row.name, name, m.Rate, m.P99, m.ServerCPU, m.AfterCPU, m.ClientCPU, m.OtherCPU, m.Busy*100)
	return nil
}

func perRequest(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// conditions are what the numbers depend on.
func (b *bench) conditions() string {
	text := fmt.Sprintf("%d CPUs, %s, %d connections, %d rounds of %s, %d classes of 50",
		runtime.NumCPU(), runtime.Version(), b.Connections, b.Rounds, b.Round, b.source.Classes())
	if b.Redis == "" {
		return text
	}
	o, err := redis.ParseURL(b.Redis)
	if err != nil {
		return text
	}
	client := redis.NewClient(o)
	defer client.Close()
	settings := client.ConfigGet(context.Background(), "append*").Val()
	return fmt.Sprintf("%s; Redis appendonly %s, appendfsync %s", text, settings["appendonly"], settings["appendfsync"])
}
