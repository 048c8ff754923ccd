package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// node is one process of a site of several. It keeps its addresses and its folder when
// it is started again.
type node struct {
	s                          *site
	part, name, address, asked string
	v                          *server
}

func (s *site) node(part string, number int) *node {
	n := &node{s: s, part: part, name: fmt.Sprintf("%s-%d", part, number), address: ownAddress(s.t), asked: ownAddress(s.t)}
	n.v = &server{t: s.t, url: "http://" + n.address}
	return n
}

var ownAddresses atomic.Uint32

// ownAddress stays free while nobody listens on it: others take theirs of 127.0.0.1, and
// no two have the same machine.
func ownAddress(t *testing.T) string {
	t.Helper()
	n := ownAddresses.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.76.%d.%d:0", n/250, 1+n%250))
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (n *node) start() {
	n.launch()
	n.ready()
}

func (n *node) launch() {
	v := &server{t: n.s.t, url: "http://" + n.address, done: make(chan error, 1), out: new(syncBuffer), log: new(syncBuffer)}
	v.cmd = exec.Command(program(n.s.t, false), "serve", "--config", n.s.config, "--data", filepath.Join(n.s.dir, n.name), "--key-file", filepath.Join(n.s.dir, "data", "key"),
		"--run", n.part, "--listen", n.address, "--metrics-listen", n.asked)
	v.cmd.Env = environment()
	v.cmd.Stdout, v.cmd.Stderr = v.out, v.log
	check(n.s.t, v.cmd.Start())
	go func() { v.done <- v.cmd.Wait() }()
	n.s.t.Cleanup(v.kill)
	n.v = v
}

// ready waits until the process says that it is.
func (n *node) ready() {
	n.v.eventually(n.name, func() error {
		_, err := n.ask("/readyz")
		return err
	})
}

// ask is the answer of metrics_listen.
func (n *node) ask(path string) (string, error) {
	r, err := httpClient.Get("http://" + n.asked + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, r.StatusCode, body)
	}
	return string(body), err
}

// stop is what systemd does: SIGTERM, and wait for the end.
func (n *node) stop() {
	n.s.t.Helper()
	check(n.s.t, n.v.cmd.Process.Signal(syscall.SIGTERM))
	err := <-n.v.done
	if n.v.done <- err; err != nil {
		n.s.t.Errorf("%s: SIGTERM: %v\n%s", n.name, err, n.v.log.String())
	}
}
