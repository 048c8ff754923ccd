package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// node is a process that is started again whenever it ends.
type node struct {
	name string
	kind string // ingest, rollup, server, redis, sentinel, clickhouse, zookeeper
	args []string
	env  []string
	log  string
	host *host
	disk *disk // what it keeps its data on; nil where nothing is done to that

	ready func(ctx context.Context) error

	fault   sync.Mutex // one fault at a time
	allowed sync.Mutex // held by a fault while the process must not be started

	mu      sync.Mutex
	now     *run
	stopped bool
	done    chan struct{} // closed when the supervisor has ended
}

// run is the life of one process.
type run struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed when it has served
	exited chan struct{}
}

// supervise starts the process again and again until stop.
func (n *node) supervise(ctx context.Context) error {
	log, err := os.Create(n.log)
	if err != nil {
		return err
	}
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		defer log.Close()
		for {
			n.allowed.Lock()
			r, err := n.start(ctx, log)
			n.allowed.Unlock()
			if err != nil {
				fmt.Fprintln(log, "chaos: cannot start:", err)
			}
			if r != nil {
				<-r.exited
			}
			// Whoever ends by itself, for instance because the ledger is away, comes
			// again a little later.
			select {
			case <-ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
			n.mu.Lock()
			stopped := n.stopped
			n.mu.Unlock()
			if stopped {
				return
			}
		}
	}()
	return nil
}

func (n *node) start(ctx context.Context, log *os.File) (*run, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return nil, nil
	}
	r := &run{cmd: exec.Command(n.args[0], n.args[1:]...), ready: make(chan struct{}), exited: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), n.env...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := n.host.start(r.cmd); err != nil {
		return nil, err
	}
	n.now = r
	go func() {
		_ = r.cmd.Wait() // how it ended stands in its log
		close(r.exited)
	}()
	go func() {
		for {
			attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
			err := n.ready(attempt)
			cancel()
			if err == nil {
				close(r.ready)
				return
			}
			select {
			case <-r.exited:
				return
			case <-ctx.Done():
				return
			case <-time.After(30 * time.Millisecond):
			}
		}
	}()
	return r, nil
}

// serving waits until the process serves, and is nil where that takes too long.
func (n *node) serving(ctx context.Context, patience time.Duration) *run {
	end := time.Now().Add(patience)
	for time.Now().Before(end) && ctx.Err() == nil {
		n.mu.Lock()
		r := n.now
		n.mu.Unlock()
		if r != nil {
			select {
			case <-r.ready:
				select {
				case <-r.exited:
				default:
					return r
				}
			case <-r.exited:
			default:
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// alive is the process that there is, serving or not, or nil.
func (n *node) alive() *run {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now != nil {
		select {
		case <-n.now.exited:
		default:
			return n.now
		}
	}
	return nil
}

// errNotThere: there was no process for a fault to happen to.
var errNotThere = errors.New("did not come up")

// kill is kill -9; meanwhile is done while the process is gone, before it is
// started again.
func (n *node) kill(ctx context.Context, meanwhile func() error) error {
	n.allowed.Lock()
	defer n.allowed.Unlock()
	r := n.alive()
	if r == nil {
		return errNotThere
	}
	_ = r.cmd.Process.Kill() // it may have ended just now
	<-r.exited
	return meanwhile()
}

// restart ends the process as an operator does, and it is started again.
func (n *node) restart(patience time.Duration) error {
	n.allowed.Lock()
	defer n.allowed.Unlock()
	r := n.alive()
	if r == nil {
		return errNotThere
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_ = r.cmd.Process.Signal(syscall.SIGTERM) // again: Redis may say that it cannot right now
		select {
		case <-r.exited:
			return nil
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("%s did not end in time", n.name)
}

// server: not canyu's.
func (n *node) server() bool {
	return n.kind == "redis" || n.kind == "sentinel" || n.kind == "clickhouse" || n.kind == "zookeeper"
}

// stop ends the process for good: by SIGTERM, and by force where that is not enough.
func (n *node) stop(patience time.Duration) (err error) {
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	if r := n.alive(); r != nil {
		_ = thaw(r.cmd.Process)
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.exited:
		case <-time.After(patience):
			err = fmt.Errorf("%s did not end in time", n.name)
		}
	}
	n.end()
	return err
}

// end ends it by force.
func (n *node) end() {
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	if r := n.alive(); r != nil {
		_ = r.cmd.Process.Kill() // it may have ended just now
		<-r.exited
	}
	<-n.done
}
