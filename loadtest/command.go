package loadtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/loadtest/baseline"
	"github.com/canyu/canyu/loadtest/chaos"
)

// Command is canyu loadtest. Its commands are run with a context.Context and an
// io.Writer for the result; progress goes to standard error.
type Command struct {
	Run      RunCmd      `cmd:"" default:"withargs" help:"Load a running server, then compare what it acknowledged with what it counted."`
	Roster   RosterCmd   `cmd:"" help:"Write the made-up roster, to be imported by the server under test."`
	Bench    BenchCmd    `cmd:"" help:"Start the baselines and canyu on both engines and measure them side by side."`
	Baseline BaselineCmd `cmd:"" help:"Run one of the servers that canyu is measured against."`

	Chaos chaos.Command `cmd:"" help:"Start servers and canyu, break them while clients submit, and reconcile what was acknowledged."`
}

// RunCmd is canyu loadtest run.
type RunCmd struct {
	Target      string `help:"URL of the server." default:"http://127.0.0.1:8080"`
	AllowRemote bool   `help:"Allow a target that is another machine."`
	Activity    string `help:"Id of the activity." required:""`
	Steps       string `help:"Steps that are submitted, separated by commas." default:"bow,flower,message"`
	RosterFile  string `name:"roster" help:"The roster (CSV, UTF-8) that the server has imported; otherwise a made-up one as canyu loadtest roster writes it." type:"existingfile"`
	Synthetic   `embed:""`

	Rate  float64       `help:"Requests per second at a constant rate; 0 is as fast as possible." xor:"schedule"`
	Bell  float64       `help:"Lesson bell: rise to this many requests per second, hold, decay." xor:"schedule"`
	Rise  time.Duration `help:"Of the bell." default:"5s"`
	Hold  time.Duration `help:"Of the bell." default:"10s"`
	Decay time.Duration `help:"Of the bell." default:"20s"`

	Duration    time.Duration `help:"How long; a bell ends by itself." default:"10s"`
	Count       int64         `help:"How many requests at most; 0 is no limit."`
	First       int64         `help:"Begin at this request of the source: --first of a second run is the first's next."`
	Seed        uint64        `help:"Of the order of the pupils: the same seed makes the same requests." default:"1"`
	Repeats     float64       `help:"Share of requests that come from somebody who has taken part already."`
	Connections int           `help:"How many connections." default:"256"`
	Timeout     time.Duration `help:"Of one request." default:"10s"`
	Reconcile   bool          `help:"Compare with the server's counts at the end." default:"true" negatable:""`
	JSON        bool          `help:"Print the result as JSON."`
	Quiet       bool          `help:"No progress."`
}

// Run does it. The error is [ErrDifference] where the numbers do not agree.
func (c *RunCmd) Run(ctx context.Context, out io.Writer) error {
	target, err := NewTarget(ctx, c.Target, c.AllowRemote)
	if err != nil {
		return err
	}
	roster, err := c.roster()
	if err != nil {
		return err
	}
	source, err := NewSource(roster, SourceOptions{
		Activity: c.Activity, Steps: splitList(c.Steps), Seed: c.Seed, Repeats: c.Repeats,
	})
	if err != nil {
		return err
	}
	o := Options{
		Target: target, Source: source, Connections: c.Connections, Timeout: c.Timeout,
		Duration: c.Duration, Count: c.Count, First: c.First,
	}
	switch {
	case c.Bell > 0:
		o.Schedule, o.Duration = Bell{c.Bell, c.Rise, c.Hold, c.Decay}, 0
	case c.Rate > 0:
		o.Schedule = Constant(c.Rate)
	default:
		o.Schedule = Flood{}
	}
	end := func() {}
	if !c.Quiet {
		o.Every, end = progress(os.Stderr)
	}
	var before Counts
	if c.Reconcile {
		if before, err = FetchCounts(ctx, target, c.Activity, roster.Schools(0)); err != nil {
			return err
		}
	}
	res, err := Run(ctx, o)
	end()
	if err != nil {
		return err
	}
	if c.Reconcile {
		// Ctrl-C ends the load, not the reconciliation.
		after, err := FetchCounts(context.WithoutCancel(ctx), target, c.Activity, roster.Schools(0))
		if err != nil {
			return err
		}
		res.Reconciliation = Reconcile(before, after, res.Acknowledged, res.Unknown)
	}
	write := res.WriteText
	if c.JSON {
		write = res.WriteJSON
	}
	if err := write(out); err != nil {
		return err
	}
	if res.Reconciliation != nil {
		return res.Reconciliation.Err()
	}
	return nil
}

func (c *RunCmd) roster() (*canyu.Roster, error) {
	if c.RosterFile == "" {
		return c.Synthetic.Roster()
	}
	f, err := os.Open(c.RosterFile)
	if err != nil {
		return nil, fmt.Errorf("cannot open the roster: %w", err)
	}
	defer f.Close()
	return ReadRoster(f)
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
