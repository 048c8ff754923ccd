package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// activityID is what everybody takes part in.
const activityID = "chaos"

// world is everything under test.
type world struct {
	dir    string
	host   *host
	canyu  string
	env    []string
	nodes  []*node
	edges  []*Proxy
	doors  []*Proxy      // of the edges, those that clients go through
	fsync  string        // of Redis
	grace  time.Duration // for a process that was told to end
	redis  *redis.Client
	clock  *clock // of Redis, nil where none can be made
	config string // of commands: straight to the servers

	breakable []*Proxy // of the edges, those that faults happen to

	several several         // instead of redis, a Redis of several processes
	clients []*redis.Client // of theirs
}

// node adds a process; the caller says when it is ready.
func (w *world) node(name, kind string, args ...string) *node {
	n := &node{name: name, kind: kind, args: args, log: filepath.Join(w.dir, name+".log"), host: w.host}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) edge(name, target string) (*Proxy, error) {
	p, err := NewProxy(name, target)
	if err == nil {
		w.edges = append(w.edges, p)
	}
	return p, err
}

const configText = `data: %s
key_file: %s
rebuild: auto
watch: off
%sactivities:
  - id: chaos
    title: {zh-Hans: 网上祭英烈, en: Online memorial}
    timezone: Asia/Shanghai
    first_day: %s
    last_day: %s
    steps: [bow, flower, message]
    required_grades: [3, 4, 5, 6, 7, 8, 10, 11]
    roles: [student, parent, teacher]
    identify: seat
    report: {at: "16:30", days: daily}
`

// configure writes a canyu.yaml; servers is its lines about Redis and ClickHouse.
func (w *world) configure(name, data, servers string) (string, error) {
	now := time.Now().In(shanghai)
	path := filepath.Join(w.dir, name+".yaml")
	text := fmt.Sprintf(configText, data, filepath.Join(w.dir, "key"), servers,
		now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 2).Format(time.DateOnly))
	return path, os.WriteFile(path, []byte(text), 0o600)
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// newWorld starts everything and waits until it serves.
func newWorld(ctx context.Context, o *Options, dir string, pupils []class) (w *world, err error) {
	w = &world{dir: dir, fsync: o.Fsync, grace: min(30*time.Second, 2*o.Patience), host: newHost(), canyu: o.Canyu, env: append([]string{"CANYU_CONFIG="}, o.Env...)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	key := sha256.Sum256(fmt.Append(nil, "chaos ", o.Seed))
	roster := filepath.Join(dir, "roster.csv")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "key"), fmt.Appendf(nil, "%x\n", key), 0o600), writeRoster(roster, pupils)); err != nil {
		return w, err
	}
	if o.Pair == Embedded {
		err = w.embedded()
	} else {
		err = w.distributed(ctx, o.Redis, o.Archive)
	}
	if err != nil {
		return w, err
	}
	for _, p := range w.edges {
		if strings.HasPrefix(p.Name, o.Edge) {
			w.breakable = append(w.breakable, p)
		}
	}
	if out, err := w.command(ctx, "roster", "import", roster); err != nil {
		return w, fmt.Errorf("cannot import the roster: %w: %s", err, out)
	}
	for _, n := range w.nodes {
		if n.done == nil {
			if err := n.supervise(ctx); err != nil {
				return w, err
			}
		}
	}
	return w, w.whole(ctx, 2*time.Minute)
}

// embedded is one process that does everything.
func (w *world) embedded() error {
	d, err := w.host.newDisk(w.dir, "data")
	if err != nil {
		return err
	}
	if w.config, err = w.configure("server", d.dir, ""); err != nil {
		return err
	}
	n, err := w.ingest("server", "server", w.config, "ingest,rollup")
	if err != nil {
		return err
	}
	n.disk = d
	return nil
}

// distributed is two nodes that ingest and two that roll up, each with connections
// of its own that can be broken. To a Redis of several processes they are straight: it
// tells its addresses itself.
func (w *world) distributed(ctx context.Context, topology, archive Topology) (err error) {
	var redisURL, redisAddr string
	switch topology {
	case Single:
		var n *node
		if n, redisAddr, err = w.newRedis(); err == nil {
			redisURL, err = "redis://"+redisAddr+"/0", w.begin(ctx, n)
		}
	case Cluster:
		w.several, err = w.newCluster(ctx)
	case Sentinel:
		w.several, err = w.newSentinel(ctx)
	default:
		err = fmt.Errorf("redis %q: want %s, %s or %s", topology, Single, Cluster, Sentinel)
	}
	if err != nil {
		return err
	}
	if w.several != nil {
		redisURL = w.several.url()
	}
	clickhouses, database, err := w.clickhouses(ctx, archive)
	if err != nil {
		return err
	}
	lines := func(redis string, clickhouses []string) string {
		return fmt.Sprintf("redis: %s\nclickhouse: clickhouse://default@%s/%s\n", redis, strings.Join(clickhouses, ","), database)
	}
	if w.config, err = w.configure("command", filepath.Join(w.dir, "command"), lines(redisURL, clickhouses)); err != nil {
		return err
	}
	for _, name := range []string{"ingest-1", "ingest-2", "rollup-1", "rollup-2"} {
		kind, _, _ := strings.Cut(name, "-")
		redis := redisURL
		if w.several == nil {
			toRedis, err := w.edge(kind+" → redis", redisAddr)
			if err != nil {
				return err
			}
			redis = "redis://" + toRedis.Addr() + "/0"
		}
		var toClickHouse []string
		for _, addr := range clickhouses {
			edge, err := w.edge(kind+" → clickhouse", addr)
			if err != nil {
				return err
			}
			toClickHouse = append(toClickHouse, edge.Addr())
		}
		d, err := w.host.newDisk(w.dir, name)
		if err != nil {
			return err
		}
		config, err := w.configure(name, d.dir, lines(redis, toClickHouse))
		if err != nil {
			return err
		}
		var n *node
		if kind == "ingest" {
			n, err = w.ingest(name, kind, config, kind)
			if err != nil {
				return err
			}
		} else {
			n = w.node(name, kind, w.canyu, "serve", "--config", config, "--run", kind)
			n.env = w.env
			n.ready = func(context.Context) error { return nil } // it listens to nobody
		}
		n.disk = d
	}
	return nil
}

// begin starts nodes and waits until they serve.
func (w *world) begin(ctx context.Context, nodes ...*node) error {
	for _, n := range nodes {
		if err := n.supervise(ctx); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if n.serving(ctx, time.Minute) == nil {
			return fmt.Errorf("%s does not start: see %s", n.name, n.log)
		}
	}
	return nil
}

// ingest adds a canyu serve that clients reach through a proxy.
func (w *world) ingest(name, kind, config, parts string) (*node, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + port
	n := w.node(name, kind, w.canyu, "serve", "--config", config, "--run", parts, "--listen", addr)
	n.env = w.env
	n.ready = func(ctx context.Context) error { return answers200(ctx, "http://"+addr+"/readyz") }
	door, err := w.edge("client → "+kind, addr)
	w.doors = append(w.doors, door)
	return n, err
}

// command runs one of canyu's beside the servers.
func (w *world) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, w.canyu, append(args, "--config", w.config)...)
	cmd.Env = append(os.Environ(), w.env...)
	return w.output(cmd)
}

// output is what a command says.
func (w *world) output(cmd *exec.Cmd) (string, error) {
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := w.host.start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// whole waits until every process serves, and none of several lags behind.
func (w *world) whole(ctx context.Context, patience time.Duration) error {
	var errs []error
	for _, n := range w.nodes {
		if n.serving(ctx, patience) == nil {
			errs = append(errs, fmt.Errorf("%s does not serve", n.name))
		}
	}
	if w.several != nil {
		if err := poll(ctx, patience, w.several.whole); err != nil {
			errs = append(errs, fmt.Errorf("redis is not whole: %w", err))
		}
	}
	return errors.Join(errs...)
}

// close ends everything: canyu as its operator would, then what it leaned on.
func (w *world) close() error {
	errs := make([]error, len(w.nodes))
	var ending sync.WaitGroup
	for i, n := range w.nodes {
		if n.done != nil && !n.server() {
			ending.Go(func() { errs[i] = n.stop(w.grace) })
		}
	}
	ending.Wait()
	for _, n := range w.nodes {
		if n.done != nil && n.server() {
			n.end()
		}
	}
	for _, p := range w.edges {
		_ = p.Close() // nobody speaks any more
	}
	if w.redis != nil {
		_ = w.redis.Close()
	}
	for _, c := range w.clients {
		_ = c.Close()
	}
	for _, n := range w.nodes {
		if n.disk.real() {
			errs = append(errs, n.disk.unmount())
		}
	}
	w.host.close()
	return errors.Join(errs...)
}

func writeRoster(path string, classes []class) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := csv.NewWriter(f)
	out.Write([]string{"region", "school", "name", "grade", "class", "enrolled"})
	for _, c := range classes {
		out.Write([]string{region, c.school, "压测学校" + c.school[6:], fmt.Sprint(c.grade), fmt.Sprint(c.number), fmt.Sprint(seats)})
	}
	out.Flush()
	return errors.Join(out.Error(), f.Close())
}
