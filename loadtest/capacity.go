package loadtest

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Cost is what one participation, or one commit, takes: measured, and measured again
// by its command.
type Cost struct {
	Name, Unit string
	Value      float64
	What       string
	Source     string
}

// Costs are of the machine of RESULTS.md: 2 virtual CPUs shared by everything. Another
// machine has others: measure, and say --cost NAME=VALUE.
var Costs = []Cost{
	{"server", "µs", 18.2, "CPU of ingest, a request of one pupil", "bench, row redis: server CPU"},
	{"server_array", "µs", 13.5, "CPU of ingest and rollup, in arrays of 100", "national: CPU of the server (20,000 participants, busy machine)"},
	{"store", "µs", 6.0, "CPU of Redis, a request of one pupil", "bench, row redis: store CPU (until then: of all other processes)"},
	{"store_array", "µs", 4.0, "CPU of Redis, in arrays of 100", "national: CPU of the store (20,000 participants, busy machine)"},
	{"clickhouse", "µs", 6.0, "CPU of ClickHouse", "national: CPU of ClickHouse (20,000 participants, busy machine)"},
	{"archive", "/s", 44_000, "participations that rollup carries into the archive", "national: participants ÷ seconds until archive = ledger (embedded, 3,000,000, busy machine)"},
	{"commit", "ms", 0.5, "a commit of one participation, idle", "growth --tables batch: p50 at 1 connection"},
	{"redis_bytes", "bytes", 11.0, "Redis memory of a participant, classes of 50", "growth --tables memory: MEMORY USAGE"},
	{"log_bytes", "bytes", 150, "Redis memory of a participation that the archive does not have yet", "an estimate: some 100 bytes of log, and a message"},
	{"disk_bytes", "bytes", 32.7, "ClickHouse disk of a participant and its submission", "growth --tables memory: compressed bytes (20,000 participants)"},
}

// CapacityCmd is canyu loadtest capacity.
type CapacityCmd struct {
	Pupils      int64              `help:"Who takes part; 0: a county, a province, the campaign of 2021 and the nation."`
	BellShare   float64            `help:"Share of them that submits in the busiest lesson." default:"0.25"`
	BellMinutes float64            `help:"How long that lasts." default:"10"`
	Peak        float64            `help:"The busiest moment of it, in averages: a bell that rises and decays has about 1.5." default:"1.5"`
	Arrays      bool               `help:"Teachers send a class at a time."`
	Cores       int                `help:"Of an ingest node." default:"4"`
	Busy        float64            `help:"How busy a node or a shard may be at the peak; p99 is promised at half of the highest rate." default:"0.5"`
	Replicas    int                `help:"Copies that ClickHouse keeps." default:"2"`
	Cost        map[string]float64 `help:"A cost measured elsewhere: server=12.5; see the table." placeholder:"NAME=VALUE"`
}

// Need is what a number of pupils needs.
type Need struct {
	Pupils      int64
	Peak        float64 // participations per second at the busiest moment
	Nodes       int     // for ingest
	NodeBusy    float64 // each, at the peak
	Shards      int
	ShardBusy   float64
	P99         time.Duration // at the peak
	RedisBytes  int64         // of all shards, with room to rewrite their files
	Lag         time.Duration // until the archive has the lesson, after it
	Disk        int64         // of ClickHouse, all copies
	ArchiveBusy float64       // cores of ClickHouse at the pace of the archive
}

type place struct {
	name   string
	pupils int64
}

var places = []place{
	{"county", 60_000}, {"large county", 400_000}, {"province", 8_000_000},
	{"campaign of 2021, in four days", national2021}, {"nation", 190_000_000},
}

// Run prints a table of what is needed, and the costs it is made of.
func (c *CapacityCmd) Run(out io.Writer) error {
	costs, err := c.costs()
	if err != nil {
		return err
	}
	list := places
	if c.Pupils > 0 {
		list = []place{{"yours", c.Pupils}}
	}
	rows := [][]string{{"", "pupils", "a second at the peak", "ingest nodes", "busy", "Redis shards", "busy", "p99 at the peak", "Redis memory", "archive after the lesson", "ClickHouse disk"}}
	shards := 1
	for _, p := range list {
		n, err := c.need(p.pupils, costs)
		if err != nil {
			return err
		}
		rows = append(rows, []string{p.name, thousands(n.Pupils), thousands(int64(n.Peak)), fmt.Sprintf("%d × %d cores", n.Nodes, c.Cores),
			fmt.Sprintf("%.0f %%", n.NodeBusy*100), fmt.Sprint(n.Shards), fmt.Sprintf("%.0f %%", n.ShardBusy*100), milliseconds(n.P99),
			size(n.RedisBytes), behind(n.Lag), size(n.Disk)})
		shards = max(shards, n.Shards)
	}
	how := "each for himself"
	if c.Arrays {
		how = "in arrays of 100"
	}
	fmt.Fprintf(out, "%.3g %% of the pupils within %g minutes, %s; the busiest moment is %g times the average; nothing busier than %.0f %%\n\n",
		c.BellShare*100, c.BellMinutes, how, c.Peak, c.Busy*100)
	if err := table(out, rows); err != nil {
		return err
	}
	if shards > 1 {
		fmt.Fprintf(out, "\nMore than one shard is a Redis Cluster: deploy/REDIS.md.\n")
	}
	fmt.Fprintln(out)
	rows = [][]string{{"cost", "", "of", "measured by canyu loadtest …"}}
	for _, cost := range Costs {
		source := cost.Source
		if _, ok := c.Cost[cost.Name]; ok {
			source = "given"
		}
		rows = append(rows, []string{cost.Name, fmt.Sprintf("%g %s", costs[cost.Name], cost.Unit), cost.What, source})
	}
	return table(out, rows)
}

func (c *CapacityCmd) costs() (map[string]float64, error) {
	all := make(map[string]float64)
	var names []string
	for _, cost := range Costs {
		all[cost.Name] = cost.Value
		names = append(names, cost.Name)
	}
	for name, v := range c.Cost {
		if _, ok := all[name]; !ok || !(v > 0) {
			return nil, fmt.Errorf("cost %s=%g: want one of %s, above 0", name, v, strings.Join(names, ", "))
		}
		all[name] = v
	}
	return all, nil
}

// Need turns the costs into what a number of pupils needs.
//
// A node is as busy as peak × server ÷ cores. A shard's commits take a fixed time f and
// a time s for each participation; while one is under way the next fills, so at a rate
// r they take T = f ÷ (1 − r·s). Who comes waits for the rest of a commit, evenly
// between 0 and T, and then for his own: 99 of 100 are there after 1.99 T.
func (c *CapacityCmd) Need(pupils int64) (Need, error) {
	costs, err := c.costs()
	if err != nil {
		return Need{}, err
	}
	return c.need(pupils, costs)
}

func (c *CapacityCmd) need(pupils int64, cost map[string]float64) (Need, error) {
	if pupils < 1 || !(c.BellShare > 0 && c.BellShare <= 1) || !(c.BellMinutes > 0) || !(c.Peak >= 1) || c.Cores < 1 || !(c.Busy > 0 && c.Busy < 1) || c.Replicas < 1 {
		return Need{}, errors.New("want pupils, a bell share up to 1, some minutes, a peak of at least 1, cores, replicas, and a busy share below 1")
	}
	server, store := cost["server"]/1e6, cost["store"]/1e6
	if c.Arrays {
		server, store = cost["server_array"]/1e6, cost["store_array"]/1e6
	}
	inBell := float64(pupils) * c.BellShare
	mean := inBell / (c.BellMinutes * 60)
	n := Need{Pupils: pupils, Peak: mean * c.Peak}
	n.Nodes = int(math.Ceil(n.Peak * server / (float64(c.Cores) * c.Busy)))
	n.NodeBusy = n.Peak * server / float64(n.Nodes*c.Cores)
	n.Shards = int(math.Ceil(n.Peak * store / c.Busy))
	n.ShardBusy = n.Peak * store / float64(n.Shards)
	n.P99 = seconds(1.99*cost["commit"]/1000/(1-n.ShardBusy) + server)

	// rollup does one activity at a time, whatever the number of nodes.
	waiting := max(0, inBell*(1-cost["archive"]/max(mean, cost["archive"])))
	n.Lag = seconds(waiting / cost["archive"])
	// Rewriting its file, Redis may need the memory of what changes meanwhile: half again.
	n.RedisBytes = int64((float64(pupils)*cost["redis_bytes"] + waiting*cost["log_bytes"]) * 1.5)
	// Merges need the room of what they merge: twice.
	n.Disk = int64(float64(pupils) * cost["disk_bytes"] * 2 * float64(c.Replicas))
	n.ArchiveBusy = min(mean, cost["archive"]) * cost["clickhouse"] / 1e6
	return n, nil
}

// behind is how long the archive takes after a lesson; what does not pile up is there
// within the promised five seconds.
func behind(lag time.Duration) string {
	if lag < 5*time.Second {
		return "within 5 s"
	}
	return lag.Round(time.Second).String()
}

func size(n int64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%d MB", max(1, (n+500_000)/1_000_000))
}
