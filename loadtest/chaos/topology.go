package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Topology is what Redis consists of.
type Topology string

// The topologies. Of the last two a node is lost only while all others are there and
// none lags behind: replicas=1 promises nothing where two are lost.
const (
	Single   Topology = "single"
	Cluster  Topology = "cluster"  // three masters, a replica of each
	Sentinel Topology = "sentinel" // a master, two replicas, three sentinels
)

// several is a Redis of several processes that goes on where one is lost.
type several interface {
	url() string // for canyu
	shards() int
	can() []Fault
	nodes() []*node                                // in the order of a rolling restart
	masters(ctx context.Context) ([]*node, error)  // those that there are now
	whole(ctx context.Context) error               // nil where one more may be lost
	followed(ctx context.Context, gone *node) bool // another has taken its place
}

const nodeTimeout = 1500 * time.Millisecond // after so long a node is taken for lost

// member is one Redis of several.
type member struct {
	*node
	addr   string
	client *redis.Client
}

// member adds a Redis that keeps what it acknowledges, in a plain folder.
func (w *world) member(name string, args ...string) (*member, error) {
	path, err := program("redis-server")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := w.folder(name)
	if err != nil {
		return nil, err
	}
	// A file of settings, because Sentinel writes into it whom to follow.
	settings := []string{"bind 127.0.0.1", "port " + port, "dir " + dir, `save ""`,
		"appendonly yes", "appendfsync " + w.fsync, "maxmemory-policy noeviction", "auto-aof-rewrite-min-size 16mb",
		"repl-diskless-sync-delay 0"} // a replica that comes back is not kept waiting for others
	config := filepath.Join(dir, "redis.conf")
	if err := writeLines(config, append(settings, args...)); err != nil {
		return nil, err
	}
	return w.serve(name, "redis", port, path, config), nil
}

// folder is one that faults do nothing to.
func (w *world) folder(name string) (string, error) {
	dir := filepath.Join(w.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

func writeLines(path string, lines []string) error {
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// serve adds a process that speaks Redis' protocol.
func (w *world) serve(name, kind, port string, args ...string) *member {
	m := &member{node: w.node(name, kind, args...), addr: "127.0.0.1:" + port}
	m.client = redis.NewClient(&redis.Options{Addr: m.addr, MaxRetries: -1, PoolSize: 2, Protocol: 2})
	w.clients = append(w.clients, m.client)
	m.ready = func(ctx context.Context) error { return m.client.Ping(ctx).Err() }
	return m
}

func (m *member) info(ctx context.Context) (map[string]string, error) {
	text, err := m.client.Info(ctx, "replication", "persistence").Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	return fields(text), nil
}

// fields reads lines of name:value.
func fields(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		all[name] = value
	}
	return all
}

// replicated is an error unless a replica has a link to its master, and a master as
// many replicas as it should, all of them online. A replica that begins anew has nothing
// on its disk until its file is written.
func (m *member) replicated(ctx context.Context, replicas int) (master bool, err error) {
	info, err := m.info(ctx)
	if err != nil {
		return false, err
	}
	if info["aof_rewrite_in_progress"] != "0" || info["aof_rewrite_scheduled"] != "0" || info["loading"] != "0" {
		return false, fmt.Errorf("%s writes its file anew", m.name)
	}
	if info["role"] != "master" {
		if info["master_link_status"] != "up" || info["master_sync_in_progress"] != "0" {
			return false, fmt.Errorf("%s has no link to its master", m.name)
		}
		return false, nil
	}
	for i := range replicas {
		if !strings.Contains(info[fmt.Sprintf("slave%d", i)], "state=online") {
			return true, fmt.Errorf("%s has fewer than %d replicas", m.name, replicas)
		}
	}
	return true, nil
}

func mastersOf(ctx context.Context, members []*member) (masters []*node, err error) {
	for _, m := range members {
		info, err := m.info(ctx)
		if err != nil {
			return nil, err
		}
		if info["role"] == "master" {
			masters = append(masters, m.node)
		}
	}
	return masters, nil
}

// poll repeats until there is no error, or returns the last one.
func poll(ctx context.Context, patience time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
