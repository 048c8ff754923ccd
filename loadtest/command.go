package loadtest

import (
	"context"
	"fmt"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"
	"io"
	"net"

	"github.com/canyu/canyu/loadtest/baseline"
	"github.com/canyu/canyu/loadtest/chaos"
)

// Command is canyu loadtest. Its commands are run with a context.Context and an
// io.Writer for the result; progress goes to standard error.
type Command struct {
	Run       RunCmd       `cmd:"" default:"withargs" help:"Load a running server, then compare what it acknowledged with what it counted."`
	Merge     MergeCmd     `cmd:"" help:"Add up the results of several generators."`
	Scenarios ScenariosCmd `cmd:"" help:"Describe the loads that have a name."`
	Roster    RosterCmd    `cmd:"" help:"Write the made-up roster, to be imported by the server under test."`
	Goals     GoalsCmd     `cmd:"" help:"Every number that canyu is to reach, in one run, each beside its baseline."`
	Bench     BenchCmd     `cmd:"" help:"Start the baselines and canyu on both engines and measure them side by side."`
	Viewers   ViewersCmd   `cmd:"" help:"What live views cost those who take part: with and without them, side by side."`
	Audience  AudienceCmd  `cmd:"" hidden:"" help:"The viewers of canyu loadtest viewers."`
	Baseline  BaselineCmd  `cmd:"" help:"Run one of the servers that canyu is measured against."`
	National  NationalCmd  `cmd:"" help:"The national campaign of 2021, 13,830,890 participants, from HTTP to the archive, exact."`
	Latency   LatencyCmd   `cmd:"" help:"p99 at half of the highest rate, and how long a click takes into the live counts and the archive."`
	Growth    GrowthCmd    `cmd:"" help:"How throughput, latency, memory and reports change with what is recorded already."`
	Capacity  CapacityCmd  `cmd:"" help:"What a county, a province or the nation needs, from measured costs."`

	Chaos chaos.Command `cmd:"" help:"Start servers and canyu, break them while clients submit, and reconcile what was acknowledged."`
}

// RosterCmd is canyu loadtest roster.
type RosterCmd struct {
	Synthetic `embed:""`
}

// Run writes the roster.
func (c *RosterCmd) Run(out io.Writer) error {
	r, err := c.Synthetic.Roster()
	if err != nil {
		return err
	}
	return WriteRoster(out, r)
}

// BaselineCmd is canyu loadtest baseline.
type BaselineCmd struct {
	Bare       BareCmd       `cmd:"" help:"fasthttp answering 204: the limit of the machine."`
	Percommand PerCommandCmd `cmd:"" help:"One Redis command after the other for each request."`
	Postgres   PostgresCmd   `cmd:"" help:"net/http, and one INSERT … ON CONFLICT into PostgreSQL for each request."`
}

// BareCmd is canyu loadtest baseline bare.
type BareCmd struct {
	Listen string `help:"Address." default:"127.0.0.1:8090"`
}

// Run serves until ctx ends.
func (c *BareCmd) Run(ctx context.Context) error {
	return serveBaseline(ctx, c.Listen, baseline.Bare)
}

// PerCommandCmd is canyu loadtest baseline percommand.
type PerCommandCmd struct {
	Listen    string `help:"Address." default:"127.0.0.1:8090"`
	Redis     string `help:"URL of the Redis." default:"redis://127.0.0.1:6379/0"`
	Prefix    string `help:"Of all keys." default:"baseline"`
	Pool      int    `help:"Connections to Redis. 64 was the fastest of 20 (what go-redis would take), 64 and 256." default:"64"`
	Pipelined bool   `help:"Send a request's last three commands in one round trip."`
}

// Run serves until ctx ends.
func (c *PerCommandCmd) Run(ctx context.Context) error {
	o, err := redis.ParseURL(c.Redis)
	if err != nil {
		return fmt.Errorf("cannot parse the Redis URL: %w", err)
	}
	if c.Pool > 0 {
		o.PoolSize = c.Pool
	}
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("cannot reach Redis: %w", err)
	}
	p := &baseline.PerCommand{Redis: client, Prefix: c.Prefix, Pipelined: c.Pipelined}
	return serveBaseline(ctx, c.Listen, p.Handle)
}

func serveBaseline(ctx context.Context, addr string, h fasthttp.RequestHandler) error {
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	return baseline.Serve(ctx, ln, h)
}
