package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterShards  = 3 * clusterMasters // of which one or more lie in the lowest slots of a master
	slots          = 16384
	resharded      = 1000 // slots at a time
)

// cluster is a Redis Cluster.
type cluster struct{ members []*member }

func (w *world) newCluster(ctx context.Context) (*cluster, error) {
	c := &cluster{}
	for i := range 2 * clusterMasters {
		bus, err := freePort()
		if err != nil {
			return nil, err
		}
		m, err := w.member(fmt.Sprintf("redis-%d", i+1), "cluster-enabled yes", "cluster-port "+bus,
			"cluster-node-timeout "+strconv.FormatInt(nodeTimeout.Milliseconds(), 10))
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
	if err := w.begin(ctx, c.nodes()...); err != nil {
		return nil, err
	}
	var masters, replicas []*redis.Client
	for i, m := range c.members {
		if i < clusterMasters {
			masters = append(masters, m.client)
		} else {
			replicas = append(replicas, m.client)
		}
	}
	if err := Assemble(ctx, masters, replicas); err != nil {
		return nil, err
	}
	return c, poll(ctx, 30*time.Second, c.whole)
}

// Assemble makes a cluster of empty servers: the slots in equal parts on the masters,
// the n-th replica behind the n-th master, and on from the first.
func Assemble(ctx context.Context, masters, replicas []*redis.Client) error {
	all := slices.Concat(masters, replicas)
	ids := make([]string, len(all))
	for i, m := range all {
		var err error
		if ids[i], err = m.Do(ctx, "CLUSTER", "MYID").Text(); err != nil {
			return fmt.Errorf("cannot make a cluster: %w", err)
		}
		if err := m.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return fmt.Errorf("cannot make a cluster: %w", err)
		}
		if i < len(masters) {
			from, to := i*slots/len(masters), (i+1)*slots/len(masters)-1
			if err := m.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
				return fmt.Errorf("cannot make a cluster: %w", err)
			}
		}
		if i == 0 {
			continue
		}
		host, port, _ := strings.Cut(m.Options().Addr, ":")
		bus, err := m.ConfigGet(ctx, "cluster-port").Result()
		if err == nil {
			err = masters[0].Do(ctx, "CLUSTER", "MEET", host, port, bus["cluster-port"]).Err()
		}
		if err != nil {
			return fmt.Errorf("cannot make a cluster: %w", err)
		}
	}
	for i, r := range replicas {
		follow := func(ctx context.Context) error { return r.ClusterReplicate(ctx, ids[i%len(masters)]).Err() } // once it knows that one
		if err := poll(ctx, 30*time.Second, follow); err != nil {
			return fmt.Errorf("cannot make a cluster: %w", err)
		}
	}
	for _, m := range all {
		if err := poll(ctx, 30*time.Second, func(ctx context.Context) error { return joined(ctx, m, len(all)) }); err != nil {
			return fmt.Errorf("cannot make a cluster: %w", err)
		}
	}
	return nil
}

// joined is an error unless a server knows n nodes, all of them there, and no slot is
// away or under way.
func joined(ctx context.Context, m *redis.Client, n int) error {
	info, err := m.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	of := fields(info)
	if of["cluster_state"] != "ok" || of["cluster_known_nodes"] != strconv.Itoa(n) {
		return fmt.Errorf("%s: cluster_state %s, %s nodes known", m.Options().Addr, of["cluster_state"], of["cluster_known_nodes"])
	}
	text, err := m.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	for _, trouble := range []string{"fail", "handshake", "noaddr", "disconnected", "->-", "-<-"} {
		if strings.Contains(text, trouble) {
			return fmt.Errorf("%s: %s", m.Options().Addr, text)
		}
	}
	return nil
}

func (c *cluster) url() string {
	var others []string
	for _, m := range c.members[1:] {
		others = append(others, "addr="+m.addr)
	}
	return fmt.Sprintf("redis+cluster://%s?%s&shards=%d&replicas=1", c.members[0].addr, strings.Join(others, "&"), clusterShards)
}

func (c *cluster) shards() int { return clusterShards }

func (c *cluster) can() []Fault { return []Fault{Kill, Failover, Reshard, Rolling} }

func (c *cluster) nodes() (nodes []*node) {
	for _, m := range c.members {
		nodes = append(nodes, m.node)
	}
	return nodes
}

func (c *cluster) masters(ctx context.Context) ([]*node, error) { return mastersOf(ctx, c.members) }

func (c *cluster) whole(ctx context.Context) error {
	for _, m := range c.members {
		if err := joined(ctx, m.client, len(c.members)); err != nil {
			return err
		}
		if _, err := m.replicated(ctx, 1); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) followed(ctx context.Context, gone *node) bool {
	for _, n := range c.view(ctx, gone) {
		if m := c.at(n); m != nil && m.node == gone {
			return len(n.slots) == 0
		}
	}
	return false
}

// at is the member that a line is about.
func (c *cluster) at(n clusterNode) *member {
	for _, m := range c.members {
		if strings.HasPrefix(n.addr, m.addr+"@") {
			return m
		}
	}
	return nil
}

// clusterNode is a line of CLUSTER NODES.
type clusterNode struct {
	id, addr string
	slots    []int
}

// view is what one of the others knows of all; nil where none answers.
func (c *cluster) view(ctx context.Context, without *node) (nodes []clusterNode) {
	for _, m := range c.members {
		if m.node == without {
			continue
		}
		text, err := m.client.ClusterNodes(ctx).Result()
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			// id address flags master ping pong epoch link slots…
			f := strings.Fields(line)
			if len(f) < 8 {
				continue
			}
			n := clusterNode{id: f[0], addr: f[1]}
			for _, some := range f[8:] {
				first, last, _ := strings.Cut(some, "-")
				from, err := strconv.Atoi(first)
				if err != nil {
					continue // one under way
				}
				to, _ := strconv.Atoi(cmp.Or(last, first))
				for slot := from; slot <= to; slot++ {
					n.slots = append(n.slots, slot)
				}
			}
			nodes = append(nodes, n)
		}
		return nodes
	}
	return nil
}

// reshard moves slots, as an operator does, from the master whose lowest slots hold
// the most keys to the one with the fewest slots.
func (c *cluster) reshard(ctx context.Context, w *world) (keys int, err error) {
	cli, err := program("redis-cli")
	if err != nil {
		return 0, err
	}
	var from, to clusterNode
	most := -1
	nodes := slices.DeleteFunc(c.view(ctx, nil), func(n clusterNode) bool { return len(n.slots) == 0 })
	for _, n := range nodes {
		if len(n.slots) < 2*resharded {
			continue
		}
		held, err := c.held(ctx, n)
		if err != nil {
			return 0, err
		}
		if held > most {
			from, most = n, held
		}
	}
	for _, n := range nodes {
		if n.id != from.id && (to.id == "" || len(n.slots) < len(to.slots)) {
			to = n
		}
	}
	if from.id == "" || to.id == "" {
		return 0, errors.New("cannot find masters to reshard")
	}
	for range 5 { // that nodes agree may take a moment
		var out string
		out, err = w.output(exec.CommandContext(ctx, cli, "--cluster", "reshard", c.members[0].addr, "--cluster-from", from.id, "--cluster-to", to.id,
			"--cluster-slots", strconv.Itoa(resharded), "--cluster-yes"))
		for line := range strings.Lines(out) {
			// Moving slot 5 from 127.0.0.1:7000 to 127.0.0.1:7001: …: a dot for each key
			_, to, _ := strings.Cut(line, " to ")
			if _, dots, ok := strings.Cut(to, ": "); ok && strings.HasPrefix(line, "Moving slot ") {
				keys += strings.Count(dots, ".")
			}
		}
		if err == nil || strings.Contains(out, "Moving slot") || !sleep(ctx, time.Second) {
			if err != nil {
				err = fmt.Errorf("%w: %.500s", err, out[max(0, len(out)-500):])
			}
			break
		}
	}
	return keys, err
}

// held is how many keys are in the slots that resharding would take.
func (c *cluster) held(ctx context.Context, n clusterNode) (keys int, err error) {
	m := c.at(n)
	if m == nil {
		return 0, fmt.Errorf("no member is at %s", n.addr)
	}
	counts, err := m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, slot := range n.slots[:resharded] {
			p.ClusterCountKeysInSlot(ctx, slot)
		}
		return nil
	})
	for _, c := range counts {
		keys += int(c.(*redis.IntCmd).Val())
	}
	return keys, err
}
