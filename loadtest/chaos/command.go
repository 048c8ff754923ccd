package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Command is canyu loadtest chaos.
type Command struct {
	Pair     string        `help:"Engines: embedded, distributed, or both, one after the other." enum:"embedded,distributed,both" default:"both"`
	Redis    Topology      `help:"Redis of the distributed pair: single, cluster (3 masters, 3 replicas) or sentinel (a master, 2 replicas, 3 sentinels)." enum:"single,cluster,sentinel" default:"single"`
	Archive  Topology      `help:"ClickHouse of the distributed pair: single or cluster (2 replicas and a ZooKeeper, which --outage can name too; clickhouse is the first replica)." enum:"single,cluster" default:"single" name:"clickhouse"`
	Seed     uint64        `help:"Of faults and load: the same seed plans the same." default:"1"`
	Kills    int           `help:"How many times a process is killed; other faults in proportion." default:"40"`
	Duration time.Duration `help:"Of the faults." default:"2m"`
	Clients  int           `help:"How many clients." default:"48"`
	Rate     float64       `help:"Submissions per second, at most." default:"3000"`
	Faults   []string      `help:"Which faults: kill, stop, power, blackout, full, memory, readonly, clock, network, empty, older; and, only when named: away. Of Redis as cluster or sentinel: kill, failover, reshard, rolling." placeholder:"LIST"`
	Away     time.Duration `help:"How long the fault away lasts." default:"1m"`
	Outage   string        `help:"One server gone for long instead of all faults: clickhouse=10m. Load goes on until the archive has caught up. Only of the distributed pair." placeholder:"SERVER=TIME"`
	Patience time.Duration `help:"At the end, for what must come right by itself." default:"2m"`
	Canyu    string        `help:"Program under test. (default: this one)" placeholder:"FILE"`
	Keep     bool          `help:"Keep the folder with all logs; it is kept anyway where something differs."`
}

// Run does it and prints a table. The error is [ErrDifference] where a promise was
// not kept.
func (c *Command) Run(ctx context.Context, out io.Writer) error {
	faults, err := parseFaults(c.Faults)
	if err != nil {
		return err
	}
	var outage *Outage
	if c.Outage != "" {
		if outage, err = parseOutage(c.Outage); err != nil {
			return err
		}
		if outage.Of == "zookeeper" && c.Archive != Cluster {
			return errors.New("zookeeper: only with --clickhouse cluster")
		}
		c.Pair = string(Distributed)
	}
	if c.Redis != Single {
		if c.Pair == string(Embedded) {
			return fmt.Errorf("redis %s: the embedded pair has none", c.Redis)
		}
		c.Pair = string(Distributed)
	}
	program := c.Canyu
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	pairs := []Pair{Pair(c.Pair)}
	if c.Pair == "both" {
		pairs = []Pair{Distributed, Embedded}
	}
	var errs []error
	for _, pair := range pairs {
		res, err := Run(ctx, Options{
			Canyu: program, Pair: pair, Seed: c.Seed, Duration: c.Duration, Kills: c.Kills, Faults: faults, Away: c.Away, Outage: outage, Redis: c.Redis, Archive: c.Archive,
			Clients: c.Clients, Rate: c.Rate, Patience: c.Patience, Keep: c.Keep, Log: os.Stderr,
		})
		if res != nil && (err == nil || errors.Is(err, ErrDifference)) {
			res.Write(out)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", pair, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// Write prints the table of faults and outcomes, and every difference.
func (r *Result) Write(out io.Writer) {
	of := string(r.Pair)
	if r.Redis == Cluster || r.Redis == Sentinel {
		of += ", Redis as " + string(r.Redis)
	}
	fmt.Fprintf(out, "### %s, seed %d\n\n", of, r.Seed)
	fmt.Fprintf(out, "%d kills among %d faults in %.0f s; %d submissions acknowledged, %d participants; live counts looked at %d times; with reconciliation %.0f s\n\n",
		r.Kills, r.Faults, r.Load.Seconds(), r.Acknowledged, r.Participants, r.Looks, r.Took.Seconds())
	rows := slices.Clone(r.Rows[1:])
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(a.Fault, b.Fault) })
	total := Row{Fault: "all"}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| fault\t| times\t| refused (5xx)\t| unknown\t| spooled (202)\t| lost\t| twice\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, row := range append(rows, r.Rows[0]) {
		row.write(w)
		total.Times += row.Times
		total.Refused += row.Refused
		total.Unknown += row.Unknown
		total.Spooled += row.Spooled
		total.Lost += row.Lost
		total.Twice += row.Twice
	}
	total.write(w)
	w.Flush()
	if r.Moves != nil {
		fmt.Fprintf(out, "\n%s\n", r.Moves)
	}
	if r.Outage != nil {
		fmt.Fprintf(out, "\n%s\n", r.Outage)
	}
	for _, f := range r.Left {
		fmt.Fprintf(out, "\nnot made here: %s", f)
	}
	if len(r.Left) > 0 {
		fmt.Fprintln(out)
	}
	if len(r.Differences) == 0 {
		fmt.Fprint(out, "\nbook, live counts, archive, rollups and report agree: no difference\n\n")
	} else {
		fmt.Fprintf(out, "\nDIFFERENCES by kind (logs are in %s): %v\n", r.Dir, r.Found)
		for _, d := range r.Differences {
			fmt.Fprintf(out, "- %s\n", d)
		}
	}
}

func (r *Row) write(w io.Writer) {
	fmt.Fprintf(w, "| %s\t| %d\t| %d\t| %d\t| %d\t| %d\t| %d\t|\n", r.Fault, r.Times, r.Refused, r.Unknown, r.Spooled, r.Lost, r.Twice)
}
