package chaos

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	masterName       = "canyu"
	sentinelReplicas = 2
	sentinels        = 3
)

// sentinel is a Redis with replicas, and those who decide which of them is the master.
type sentinel struct{ members, sentinels []*member }

func (w *world) newSentinel(ctx context.Context) (*sentinel, error) {
	s := &sentinel{}
	for i := range 1 + sentinelReplicas {
		var follow []string
		if i > 0 {
			follow = []string{"replicaof " + strings.Replace(s.members[0].addr, ":", " ", 1)}
		}
		m, err := w.member(fmt.Sprintf("redis-%d", i+1), follow...)
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, m)
	}
	// Sentinels that begin when all is there know it at once, not ten seconds later.
	if err := w.begin(ctx, s.nodes()...); err != nil {
		return nil, err
	}
	for _, m := range s.members {
		replicated := func(ctx context.Context) error {
			_, err := m.replicated(ctx, sentinelReplicas)
			return err
		}
		if err := poll(ctx, time.Minute, replicated); err != nil {
			return nil, err
		}
	}
	path, err := program("redis-server")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.members[0].addr)
	for i := range sentinels {
		name := fmt.Sprintf("sentinel-%d", i+1)
		dir, err := w.folder(name)
		if err != nil {
			return nil, err
		}
		own, err := freePort()
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "sentinel.conf") // it writes there what it learns
		if err := writeLines(config, []string{"bind 127.0.0.1", "port " + own, "dir " + dir,
			fmt.Sprintf("sentinel monitor %s %s %s %d", masterName, host, port, sentinels/2+1),
			fmt.Sprintf("sentinel down-after-milliseconds %s %d", masterName, nodeTimeout.Milliseconds()),
			fmt.Sprintf("sentinel failover-timeout %s 3000", masterName), // and twice that until the next one
		}); err != nil {
			return nil, err
		}
		s.sentinels = append(s.sentinels, w.serve(name, "sentinel", own, path, config, "--sentinel"))
	}
	if err := w.begin(ctx, s.nodes()[len(s.members):]...); err != nil {
		return nil, err
	}
	return s, poll(ctx, time.Minute, s.whole)
}

func (s *sentinel) url() string {
	var others []string
	for _, m := range s.sentinels[1:] {
		others = append(others, "addr="+m.addr)
	}
	return fmt.Sprintf("redis+sentinel://%s/0?%s&master_name=%s&replicas=1", s.sentinels[0].addr, strings.Join(others, "&"), masterName)
}

func (s *sentinel) shards() int { return 1 }

func (s *sentinel) can() []Fault { return []Fault{Kill, Failover, Rolling} }

func (s *sentinel) nodes() (nodes []*node) {
	for _, m := range s.members {
		nodes = append(nodes, m.node)
	}
	for _, m := range s.sentinels {
		nodes = append(nodes, m.node)
	}
	return nodes
}

func (s *sentinel) masters(ctx context.Context) ([]*node, error) { return mastersOf(ctx, s.members) }

// agreed is the master that all sentinels name.
func (s *sentinel) agreed(ctx context.Context) (addr string, err error) {
	for i, m := range s.sentinels {
		at, err := m.client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).StringSlice()
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.name, err)
		}
		if len(at) != 2 || i > 0 && addr != net.JoinHostPort(at[0], at[1]) {
			return "", fmt.Errorf("%s names %v as the master, the others %s", m.name, at, addr)
		}
		addr = net.JoinHostPort(at[0], at[1])
	}
	return addr, nil
}

func (s *sentinel) whole(ctx context.Context) error {
	addr, err := s.agreed(ctx)
	if err != nil {
		return err
	}
	for _, m := range s.members {
		master, err := m.replicated(ctx, sentinelReplicas)
		if err != nil {
			return err
		}
		if master != (m.addr == addr) {
			return fmt.Errorf("%s: the sentinels know better who is the master", m.name)
		}
	}
	for _, m := range s.sentinels {
		state, err := m.client.Do(ctx, "SENTINEL", "MASTER", masterName).Slice()
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		of := make(map[string]string)
		for i := 0; i+1 < len(state); i += 2 {
			of[fmt.Sprint(state[i])] = fmt.Sprint(state[i+1])
		}
		if of["flags"] != "master" || of["num-other-sentinels"] != strconv.Itoa(sentinels-1) || of["num-slaves"] != strconv.Itoa(sentinelReplicas) {
			return fmt.Errorf("%s: %s with %s other sentinels and %s replicas", m.name, of["flags"], of["num-other-sentinels"], of["num-slaves"])
		}
	}
	return nil
}

func (s *sentinel) followed(ctx context.Context, gone *node) bool {
	addr, err := s.agreed(ctx)
	if err != nil {
		return false
	}
	for _, m := range s.members {
		if m.addr == addr {
			info, err := m.info(ctx)
			return err == nil && m.node != gone && info["role"] == "master"
		}
	}
	return false
}
