package loadtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu/loadtest/chaos"
)

// tier is what a row of the table shards stands on.
type tier struct {
	*subject
	masters   int // of a cluster; 0: one Redis, and no cluster
	replicas  int // that have a batch before it is acknowledged; of one Redis
	shards    int
	processes int
}

func (c *GrowthCmd) newTier(masters, replicas, shards, processes int) *tier {
	on := "1 Redis"
	if masters > 0 {
		on = fmt.Sprintf("cluster of %d", masters)
	}
	if replicas > 0 {
		on += fmt.Sprintf(" + %d replica", replicas)
	}
	return &tier{newSubject(fmt.Sprintf("%s, %d shards, %d ingest", on, shards, processes), c.Connections, nil), masters, replicas, shards, processes}
}

// shards: what a participation costs where the ledger is in several parts, and where
// several processes write to it. Each round begins with servers of its own, all empty.
func (c *GrowthCmd) shards(ctx context.Context) error {
	tiers := []*tier{c.newTier(0, 0, 1, 1), c.newTier(0, 1, 1, 1)}
	for _, list := range []struct {
		of   string
		tier func(n int) *tier
	}{
		{c.Shards, func(n int) *tier { return c.newTier(0, 0, n, 1) }},
		{c.Masters, func(n int) *tier { return c.newTier(n, 0, n, 1) }},
		{c.Processes, func(n int) *tier { return c.newTier(0, 0, 1, n) }},
		{c.Masters, func(n int) *tier { return c.newTier(n, 0, n, n) }},
	} {
		sizes, err := numbers(list.of)
		if err != nil {
			return err
		}
		for _, n := range sizes {
			t := list.tier(int(n))
			if !slices.ContainsFunc(tiers, func(other *tier) bool { return other.label == t.label }) {
				tiers = append(tiers, t)
			}
		}
	}
	st, err := c.Place.open(schoolsFor(c.perRound()), SourceOptions{})
	if err != nil {
		return err
	}
	defer st.close()
	for round := range c.Rounds {
		for i, t := range tiers {
			if err := c.tierRound(ctx, st, fmt.Sprintf("shards-%d-%d", round, i), t); err != nil {
				return fmt.Errorf("%s: %w", t.label, err)
			}
		}
	}
	c.title("Shards and ingest processes; nothing rolls up")
	rows := [][]string{append(append([]string{"on"}, subjectColumns...), "a core of ingest carries", "Redis carries")}
	for _, t := range tiers {
		ingest, store := t.carries()
		rows = append(rows, append(append([]string{t.label}, t.columns(tiers[0].subject)...), perSecond(ingest), perSecond(store)))
	}
	if err := table(c.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "\nOn machines of their own, nothing busier than half, and commits as large as these:")
	for _, t := range tiers {
		if t.masters > 0 && t.processes == 1 {
			ingest, store := t.carries()
			fmt.Fprintf(c.out, "- masters: %d, each with a core: %s, which takes %.1f cores of ingest\n", t.masters, perSecond(store/2), store/ingest)
		}
	}
	return nil
}

// carries is how many participations a second use up a core of ingest, and a core for
// each Redis: its scripts run on one.
func (t *tier) carries() (ingest, store float64) {
	var server, redis []float64
	for _, r := range t.rounds {
		server, redis = append(server, r.server), append(redis, r.store)
	}
	const microseconds = 1e6
	return microseconds / spreadOf(server).Median, float64(max(1, t.masters)) * microseconds / spreadOf(redis).Median
}

func perSecond(rate float64) string { return fmt.Sprintf("%s /s", thousands(int64(rate))) }

// tierRound starts everything, measures a round and ends everything.
func (c *GrowthCmd) tierRound(ctx context.Context, st *stand, name string, t *tier) error {
	server, stop, err := st.tierRedis(ctx, name, t.masters, t.replicas)
	defer stop()
	if err != nil {
		return err
	}
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	query := u.Query()
	query.Set("shards", fmt.Sprint(t.shards))
	query.Set("replicas", fmt.Sprint(t.replicas))
	u.RawQuery = query.Encode()
	clickhouse, err := st.database(name)
	if err != nil {
		return err
	}
	t.nodes, t.sources, t.next = nil, nil, make([]int64, t.processes)
	for i := range t.processes {
		var first *node
		if i > 0 {
			first = t.nodes[0]
		}
		n, err := st.node(ctx, fmt.Sprintf("%s-ingest-%d", name, i+1), u.String(), clickhouse, "ingest", first)
		if err != nil {
			return err
		}
		defer n.stop()
		source, err := NewSource(st.loaded, SourceOptions{Activity: st.activity, Steps: benchSteps, Seed: 1, Part: i, Of: t.processes})
		if err != nil {
			return err
		}
		t.nodes, t.sources = append(t.nodes, n), append(t.sources, source)
	}
	return c.round(ctx, st, t.subject)
}

// tierRedis is one Redis, with replicas or without, or a cluster of masters.
func (s *stand) tierRedis(ctx context.Context, name string, masters, replicas int) (server string, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	start := func(name string, args ...string) (string, error) {
		f, server, err := startRedis(ctx, s.log, s.dir, name, args...)
		if err == nil {
			stops = append(stops, f)
		}
		return server, err
	}
	if masters == 0 {
		// A replica is not kept waiting for others.
		if server, err = start(name, "--repl-diskless-sync-delay", "0"); err != nil || replicas == 0 {
			return server, stop, err
		}
		o, err := redis.ParseURL(server)
		if err != nil {
			return "", stop, err
		}
		for i := range replicas {
			if _, err := start(fmt.Sprintf("%s-replica-%d", name, i+1), "--replicaof", strings.Replace(o.Addr, ":", " ", 1)); err != nil {
				return "", stop, err
			}
		}
		client := redis.NewClient(o)
		defer client.Close()
		for ctx.Err() == nil {
			if n, err := client.Wait(ctx, replicas, 100*time.Millisecond).Result(); err == nil && int(n) == replicas {
				break
			}
		}
		return server, stop, ctx.Err()
	}
	var clients []*redis.Client
	var addrs []string
	for i := range masters {
		bus, err := freeAddr()
		if err != nil {
			return "", stop, err
		}
		_, port, _ := net.SplitHostPort(bus)
		part := fmt.Sprintf("%s-%d", name, i+1)
		server, err := start(part, "--cluster-enabled", "yes", "--cluster-port", port)
		if err != nil {
			return "", stop, err
		}
		o, err := redis.ParseURL(server)
		if err != nil {
			return "", stop, err
		}
		client := redis.NewClient(o)
		defer client.Close()
		clients, addrs = append(clients, client), append(addrs, o.Addr)
	}
	if err := chaos.Assemble(ctx, clients, nil); err != nil {
		return "", stop, err
	}
	server = "redis+cluster://" + addrs[0]
	if len(addrs) > 1 {
		server += "?addr=" + strings.Join(addrs[1:], "&addr=")
	}
	return server, stop, nil
}

// addresses are all that a URL names.
func addresses(server string) []string {
	u, err := url.Parse(server)
	if err != nil {
		return nil
	}
	all := []string{"redis://" + u.Host}
	for _, addr := range u.Query()["addr"] {
		all = append(all, "redis://"+addr)
	}
	return all
}
