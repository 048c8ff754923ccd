package loadtest_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu/loadtest"
)

// cluster simulates ingest nodes of some cores, which take server seconds for each
// participation, and behind them shards that commit in groups: f seconds for a
// commit, and s for each participation of it.
type cluster struct {
	nodes, cores, shards int
	server, f, s         float64
}

// run lets participations arrive by themselves, rate of them a second, and measures.
func (c cluster) run(rnd *rand.Rand, rate, length float64) (nodeBusy, shardBusy, p99 float64) {
	free := make([]float64, c.nodes*c.cores) // when each core is free
	type waiting struct{ came, ready float64 }
	queues := make([][]waiting, c.shards)
	work := 0.0
	for at := rnd.ExpFloat64() / rate; at < length; at += rnd.ExpFloat64() / rate {
		node := rnd.IntN(c.nodes)
		cores := free[node*c.cores : (node+1)*c.cores]
		first := 0
		for i := range cores {
			if cores[i] < cores[first] {
				first = i
			}
		}
		cores[first] = max(cores[first], at) + c.server
		work += c.server
		shard := rnd.IntN(c.shards)
		queues[shard] = append(queues[shard], waiting{at, cores[first]})
	}
	var latencies []float64
	events := 0.0
	for _, q := range queues {
		slices.SortFunc(q, func(a, b waiting) int {
			if a.ready < b.ready {
				return -1
			}
			return 1
		})
		for now := 0.0; len(q) > 0; {
			now = max(now, q[0].ready)
			n := 0
			for n < len(q) && q[n].ready <= now {
				n++
			}
			now += c.f + float64(n)*c.s
			events += float64(n) * c.s
			for _, w := range q[:n] {
				latencies = append(latencies, now-w.came)
			}
			q = q[n:]
		}
	}
	slices.Sort(latencies)
	return work / length / float64(c.nodes*c.cores), events / length / float64(c.shards), latencies[len(latencies)*99/100]
}

// What the page promises is what happens: utilisation within 3 %, p99 within 20 %.
func TestCapacityIsWhatASimulationSays(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 7))
	cost := make(map[string]float64)
	for _, c := range loadtest.Costs {
		cost[c.Name] = c.Value
	}
	f := func(c loadtest.CapacityCmd, pupils int64) {
		t.Helper()
		c.Peak, c.BellMinutes, c.Replicas = 1.5, 10, 1
		need, err := c.Need(pupils)
		if err != nil {
			t.Fatal(err)
		}
		server, store := cost["server"], cost["store"]
		if c.Arrays {
			server, store = cost["server_array"], cost["store_array"]
		}
		sim := cluster{need.Nodes, c.Cores, need.Shards, server / 1e6, cost["commit"] / 1e3, store / 1e6}
		nodeBusy, shardBusy, p99 := sim.run(rnd, need.Peak, 400_000/need.Peak)
		off := func(got, want float64) float64 { return math.Abs(got/want - 1) }
		if off(nodeBusy, need.NodeBusy) > 0.03 || off(shardBusy, need.ShardBusy) > 0.03 || off(p99, need.P99.Seconds()) > 0.2 {
			t.Errorf("%d pupils, %+v:\npredicted nodes %.3f, shards %.3f busy, p99 %.3f ms\nsimulated       %.3f         %.3f           %.3f",
				pupils, c, need.NodeBusy, need.ShardBusy, need.P99.Seconds()*1e3, nodeBusy, shardBusy, p99*1e3)
		}
	}
	f(loadtest.CapacityCmd{BellShare: 0.25, Cores: 2, Busy: 0.5}, 8_000_000)
	f(loadtest.CapacityCmd{BellShare: 0.25, Cores: 4, Busy: 0.7}, 60_000_000)
	f(loadtest.CapacityCmd{BellShare: 1, Cores: 4, Busy: 0.5}, 13_830_890)
	f(loadtest.CapacityCmd{BellShare: 1, Cores: 8, Busy: 0.8}, 40_000_000)
	f(loadtest.CapacityCmd{BellShare: 1, Cores: 4, Busy: 0.5, Arrays: true}, 40_000_000)
}

func TestCapacityCommand(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := canyuCommand(t.Context(), &out, "loadtest", "capacity"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| county ", "| province ", "13,830,890", "| nation ", "bench, row redis"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("said %s; want %s", out.String(), want)
		}
	}
	out.Reset()
	err := canyuCommand(t.Context(), &out, "loadtest", "capacity", "--pupils", "1000000", "--bell-share", "1", "--bell-minutes", "10", "--peak", "2",
		"--cores", "2", "--cost", "server=120", "--cost", "redis_bytes=10")
	// 3,333 a second at the peak, 0.4 cores of work: one node of two, 20 % busy.
	if err != nil || !strings.Contains(out.String(), "| 3,333 ") || !strings.Contains(out.String(), "| 1 × 2 cores ") ||
		!strings.Contains(out.String(), "| 20 % ") || !strings.Contains(out.String(), "| 15 MB ") || !strings.Contains(out.String(), "| given") {
		t.Errorf("%v: said %s", err, out.String())
	}
	for _, bad := range [][]string{{"--cost", "nonsense=1"}, {"--bell-share", "2"}, {"--busy", "1"}, {"--peak", "0.5"}} {
		if err := canyuCommand(t.Context(), &out, append([]string{"loadtest", "capacity"}, bad...)...); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
