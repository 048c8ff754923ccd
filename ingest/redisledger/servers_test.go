package redisledger_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a Redis of the test's own.
type server struct {
	port int
	args []string
	cmd  *exec.Cmd
	*redis.Client
}

// freePorts are not taken now. A server that cannot have its port later fails the test.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func newServer(t *testing.T, port int, args ...string) *server {
	t.Helper()
	s := &server{port: port, args: append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"}, args...)}
	s.Client = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1})
	t.Cleanup(func() { s.Client.Close() })
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("needs redis-server: apt-get install redis-server, or run make test: %v", err)
	}
	until(t, "redis-server does not answer", func() bool { return s.Ping(t.Context()).Err() == nil })
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// until waits for something that must come.
func until(t *testing.T, otherwise string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// newCluster is one of so many masters and, after them, a replica of each, or none.
func newCluster(t *testing.T, masters, replicas int) []*server {
	t.Helper()
	ports := freePorts(t, 2*(masters+replicas))
	var all []*server
	for i := range masters + replicas {
		all = append(all, newServer(t, ports[2*i], "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(ports[2*i+1]),
			"--cluster-node-timeout", "1500", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"))
	}
	do := func(s *server, args ...any) string {
		t.Helper()
		reply, err := s.Do(t.Context(), args...).Text()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return reply
	}
	for i, s := range all {
		do(s, "cluster", "set-config-epoch", i+1)
		if i < masters {
			do(s, "cluster", "addslotsrange", i*16384/masters, (i+1)*16384/masters-1)
		}
		do(all[0], "cluster", "meet", "127.0.0.1", ports[2*i], ports[2*i+1])
	}
	whole(t, all)
	for i, s := range all[masters:] {
		do(s, "cluster", "replicate", do(all[i], "cluster", "myid"))
		until(t, "the replica does not follow its master", func() bool {
			info, err := s.Info(t.Context(), "replication").Result()
			return err == nil && strings.Contains(info, "master_link_status:up")
		})
	}
	return all
}

// whole waits until every server says that all slots are served.
func whole(t *testing.T, all []*server) {
	t.Helper()
	for _, s := range all {
		until(t, "the cluster does not come up", func() bool {
			info, err := s.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprint("cluster_known_nodes:", len(all)))
		})
	}
}

// newSentinel watches a master by the name of canyu.
func newSentinel(t *testing.T, port int, master *server) *server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor canyu 127.0.0.1 %d 1\nsentinel down-after-milliseconds canyu 500\nsentinel failover-timeout canyu 3000\n",
		port, filepath.Dir(path), master.port)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{port: port, args: []string{path, "--sentinel"}}
	s.Client = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1})
	t.Cleanup(func() { s.Client.Close() })
	s.start(t)
	t.Cleanup(s.kill)
	return s
}
