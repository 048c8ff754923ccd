package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a server under measurement: a process of its own.
type server struct {
	name   string
	target *Target
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when the process has ended
}

// startServer starts args, prints them, and waits until the server at addr is ready.
func startServer(ctx context.Context, out io.Writer, dir, name, addr string, args ...string) (*server, error) {
	fmt.Fprintf(out, "$ %s\n", commandLine(args))
	s := &server{name: name, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	defer log.Close()
	if s.target, err = NewTarget(ctx, "http://"+addr, false); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = environment()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended stands in its log
		close(s.exited)
	}()
	if err := s.ready(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s did not become ready: %w\n%s", name, err, s.lastLines())
	}
	return s, nil
}

// environment is this process' without settings of canyu's: a row is what its
// command line and its configuration say.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CANYU_") })
}

// commandLine is args as they can be pasted into a shell.
func commandLine(args []string) string {
	quoted := slices.Clone(args)
	for i, a := range quoted {
		if a == "" || strings.ContainsAny(a, " ?&*'\"") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c := newConn(s.target, 5*time.Second)
		err := c.open(ctx)
		if err == nil {
			var status int
			status, err = c.do([]byte("GET /readyz HTTP/1.1\r\nHost: bench\r\nContent-Length: "), nil, time.Now())
			c.close()
			if err == nil && status < 300 {
				return nil
			}
		}
		select {
		case <-s.exited:
			return errors.New("the process has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lastLines is the end of what the server logged.
func (s *server) lastLines() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// stop asks the process to end, and ends it when it does not.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// settle waits until the machine has little to do, so that no row pays for the
// rollups, merges and rewrites that another row left behind. It gives up after a
// while and says how busy the machine still is, 0…1.
func settle(ctx context.Context, patience time.Duration) float64 {
	deadline := time.Now().Add(patience)
	for {
		idle0, all0 := machine()
		pause(ctx, 500*time.Millisecond)
		idle1, all1 := machine()
		if all1 == all0 { // the system does not tell
			return 0
		}
		busy := 1 - float64(idle1-idle0)/float64(all1-all0)
		if busy < 0.08 || time.Now().After(deadline) || ctx.Err() != nil {
			return busy
		}
	}
}

// machine is the time that all processors together have been idle and have been.
func machine() (idle, all time.Duration) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseInt(f, 10, 64)
		if i >= 8 { // guests are part of user time
			break
		}
		ticks := time.Duration(n) * tick
		all += ticks
		if i == 3 || i == 4 { // idle, waiting for a disk
			idle += ticks
		}
	}
	return idle, all
}

// freeAddr is a loopback address that nobody listened on just now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// startRedis starts a Redis that keeps what it acknowledged, with its data in
// dir/name; more are further arguments.
func startRedis(ctx context.Context, out io.Writer, dir, name string, more ...string) (stop func(), redisURL string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(addr)
	data := filepath.Join(dir, name)
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, "", fmt.Errorf("cannot start redis-server: %w", err)
	}
	args := []string{"--bind", "127.0.0.1", "--port", port, "--dir", data, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-min-size", "1gb", "--maxmemory-policy", "noeviction"}
	args = append(args, more...)
	fmt.Fprintf(out, "$ redis-server %s\n", commandLine(args))
	cmd := exec.Command("redis-server", args...)
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start redis-server: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	for ctx.Err() == nil {
		if nc, err := net.Dial("tcp4", addr); err == nil {
			nc.Close()
			return stop, (&url.URL{Scheme: "redis", Host: addr, Path: "/0"}).String(), nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	stop()
	return nil, "", ctx.Err()
}
