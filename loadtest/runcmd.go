package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/canyu/canyu"
)

// RunCmd is canyu loadtest run. Zeros are what the scenario says, or the default.
type RunCmd struct {
	Target      string `help:"URL of the server." default:"http://127.0.0.1:8080"`
	AllowRemote bool   `help:"Allow a target that is another machine."`
	Activity    string `help:"Id of the activity." required:""`
	Steps       string `help:"Steps that are submitted, separated by commas." default:"bow,flower,message"`
	RosterFile  string `name:"roster" help:"The roster (CSV, UTF-8) that the server has imported; otherwise a made-up one as canyu loadtest roster writes it." type:"existingfile"`
	Synthetic   `embed:""`

	Scenario string        `help:"A load with a name: steady, bell, screen, retry-storm or national-2021; canyu loadtest scenarios describes them. Other flags change what it says." placeholder:"NAME"`
	Rate     float64       `help:"Requests per second at a constant rate; 0 is as fast as possible." xor:"schedule"`
	Bell     float64       `help:"Lesson bell: rise to this many requests per second, hold, decay." xor:"schedule"`
	Rise     time.Duration `help:"Of the bell. (5s)"`
	Hold     time.Duration `help:"Of the bell. (10s)"`
	Decay    time.Duration `help:"Of the bell. (20s)"`
	Screens  int           `help:"Classes take part at one screen each, this many at a time, one pupil after the other; 0: everybody for himself."`
	Think    time.Duration `help:"How long a pupil takes at such a screen. (10s)"`
	Array    int           `help:"Pupils in one request, at most 100; 0: one, and not in an array."`

	Duration    time.Duration `help:"How long; a bell ends by itself. (10s)"`
	Count       int64         `help:"How many requests at most; 0 is no limit."`
	Warmup      time.Duration `help:"Load the server for so long before, at the same rate and with the same connections; those requests are in no number."`
	First       int64         `help:"Begin at this request of the source: --first of a second run is the first's next."`
	Part        string        `help:"I/N: make the I-th of N parts of the requests, for N generators at once (see canyu loadtest merge)."`
	Seed        uint64        `help:"Of the order of the pupils: the same seed makes the same requests." default:"1"`
	Repeats     float64       `help:"Share of requests that come from somebody who has taken part already."`
	Connections int           `help:"How many connections. (256)"`
	Timeout     time.Duration `help:"Of one request. (10s)"`
	Retries     int           `help:"How often a request is sent again that had no answer, 429 or 5xx."`
	Pause       time.Duration `help:"Before that."`
	Reconcile   bool          `help:"Compare with the server's counts at the end." default:"true" negatable:""`
	Compare     string        `help:"Afterwards send the same requests to this URL, another system's, path included, and print both." placeholder:"URL"`
	Save        string        `help:"Write everything that canyu loadtest merge needs to this file." placeholder:"FILE"`
	Quiet       bool          `help:"No progress."`
	Output      `embed:""`

	profile func(requests int64, in time.Duration) Schedule
}

// Output is how a result is given, and when it is a failure.
type Output struct {
	JSON bool     `help:"Print the result as JSON."`
	HTML string   `help:"Also write a page with charts to this file." placeholder:"FILE"`
	Fail []string `help:"Exit with status 1 unless this is kept; may be repeated: p99=5ms (p50, p90, p99.9, max), errors=0.1%, lost=0, twice=0, rate=1000." placeholder:"NAME=VALUE"`
}

func (o *Output) write(out io.Writer, rep *report, ts []Threshold) error {
	write := rep.Result.WriteText
	if o.JSON {
		write = rep.Result.WriteJSON
	}
	if err := write(out); err != nil {
		return err
	}
	if rep.Other != nil && !o.JSON {
		if err := rep.writeComparison(out); err != nil {
			return err
		}
	}
	err := rep.Result.check(ts)
	rep.Thresholds, rep.failed = ts, err
	if o.HTML != "" {
		if err := rep.writeFile(o.HTML); err != nil {
			return err
		}
	}
	if rep.Result.Reconciliation != nil {
		err = errors.Join(rep.Result.Reconciliation.Err(), err)
	}
	return err
}

// Run does it. The error is [ErrDifference] where the numbers do not agree, and
// [ErrThreshold] where a threshold was not kept.
func (c *RunCmd) Run(ctx context.Context, out io.Writer) error {
	ts, err := thresholds(c.Fail)
	if err != nil {
		return err
	}
	if err := c.scenario(); err != nil {
		return err
	}
	o, roster, length, err := c.options(ctx)
	if err != nil {
		return err
	}
	if err := c.warm(ctx, &o); err != nil {
		return err
	}
	rep := &report{Activity: c.Activity, Scenario: c.Scenario, Target: c.Target}
	var before Counts
	if c.Reconcile {
		if before, err = FetchCounts(ctx, o.Target, c.Activity, roster.Schools(0)); err != nil {
			return err
		}
	}
	if rep.Result, err = c.load(ctx, o, length); err != nil {
		return err
	}
	if c.Save != "" {
		if err := rep.Result.save(c.Save, c.Activity, before); err != nil {
			return err
		}
	}
	if c.Reconcile {
		// Ctrl-C ends the load, not the reconciliation.
		after, err := FetchCounts(context.WithoutCancel(ctx), o.Target, c.Activity, roster.Schools(0))
		if err != nil {
			return err
		}
		rep.Result.Reconciliation = Reconcile(before, after, rep.Result.Acknowledged, rep.Result.Unknown)
	}
	if c.Compare != "" && ctx.Err() == nil {
		if rep.Other, err = c.compare(ctx, o, length); err != nil {
			return err
		}
		rep.OtherTarget = c.Compare
	}
	return c.write(out, rep, ts)
}

// options are what is run, and how long it takes (0: not known).
func (c *RunCmd) options(ctx context.Context) (o Options, roster *canyu.Roster, length time.Duration, err error) {
	if o.Target, err = NewTarget(ctx, c.Target, c.AllowRemote); err != nil {
		return o, nil, 0, err
	}
	if roster, err = c.roster(); err != nil {
		return o, nil, 0, err
	}
	source := SourceOptions{Activity: c.Activity, Steps: splitList(c.Steps), Seed: c.Seed, Repeats: c.Repeats, Array: c.Array, Screens: c.Screens}
	if c.Part != "" {
		if n, err := fmt.Sscanf(c.Part, "%d/%d", &source.Part, &source.Of); n != 2 || err != nil || source.Part < 1 || source.Of < source.Part {
			return o, nil, 0, fmt.Errorf("part %q: want such as 1/3", c.Part)
		}
		source.Part--
		share := int64(source.Of)
		c.Rate, c.Bell, c.Count = c.Rate/float64(share), c.Bell/float64(share), (c.Count+share-1)/share
	}
	if o.Source, err = NewSource(roster, source); err != nil {
		return o, nil, 0, err
	}
	o.Connections, o.Timeout, o.Retries, o.Pause = c.Connections, c.Timeout, c.Retries, c.Pause
	o.Duration, o.Count, o.First = c.Duration, c.Count, c.First
	o.Schedule, length = c.schedule(min(max(c.Count, 1), o.Source.Requests()-c.First))
	if c.Bell > 0 || c.profile != nil {
		o.Duration = 0 // they end by themselves
	}
	return o, roster, length, nil
}

func (c *RunCmd) load(ctx context.Context, o Options, length time.Duration) (*Result, error) {
	if !c.Quiet {
		each, end := progress(os.Stderr, length)
		defer end()
		o.Every = each
	}
	return Run(ctx, o)
}

// warm loads the server for a while and moves o behind those requests.
func (c *RunCmd) warm(ctx context.Context, o *Options) error {
	if c.Warmup <= 0 {
		return nil
	}
	w := *o
	w.Schedule, w.Duration, w.Count = Flood{}, c.Warmup, 0
	if rate := max(c.Rate, c.Bell); rate > 0 {
		w.Schedule = Constant(rate)
	}
	res, err := c.load(ctx, w, c.Warmup)
	if err != nil {
		return fmt.Errorf("cannot warm up: %w", err)
	}
	o.First = res.Next
	return nil
}

// compare sends the same requests elsewhere, after the same warm-up.
func (c *RunCmd) compare(ctx context.Context, o Options, length time.Duration) (*Result, error) {
	u, err := url.Parse(c.Compare)
	if err != nil {
		return nil, fmt.Errorf("compare %q: want a URL with a path", c.Compare)
	}
	path := u.Path
	u.Path, u.RawQuery = "", ""
	if o.Target, err = NewTarget(ctx, u.String(), c.AllowRemote); err != nil {
		return nil, err
	}
	o.Path, o.First = path, c.First
	if err := c.warm(ctx, &o); err != nil {
		return nil, err
	}
	return c.load(ctx, o, length)
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

// ScenariosCmd is canyu loadtest scenarios.
type ScenariosCmd struct{}

// Run describes them.
func (ScenariosCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, scenarioHelp())
	return err
}
