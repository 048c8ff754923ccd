package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// host is what outlives a change of the configuration: sockets, where those who come
// meanwhile wait, and how the switches stand.
type host struct {
	said     func(url string)
	key      []byte
	switches switchboard
	asked    chan os.Signal // to read the configuration again
	again    bool           // it was, and taken over

	mu      sync.Mutex
	closed  bool
	sockets map[string]*net.TCPListener // by setting
}

// newHost is closed when ctx ends: whoever comes then is refused at once, and asks
// another node.
func newHost(ctx context.Context, serving func(url string)) *host {
	h := &host{said: serving, asked: make(chan os.Signal, 1), sockets: make(map[string]*net.TCPListener)}
	context.AfterFunc(ctx, h.close)
	return h
}

// serving tells, once, where.
func (h *host) serving(l net.Listener) {
	if !h.again {
		h.said("http://" + l.Addr().String())
	}
}

// secret does not change while the process runs.
func (h *host) secret(s *settings) (_ []byte, err error) {
	if h.key == nil {
		h.key, err = s.secret()
	}
	return h.key, err
}

// listen is a listener of its own to the setting's socket: closing it refuses nobody.
func (h *host) listen(setting, address string) (net.Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	socket := h.sockets[setting]
	switch {
	case h.closed:
		return nil, net.ErrClosed
	case socket == nil:
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		socket = l.(*net.TCPListener)
		h.sockets[setting] = socket
	}
	f, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, l := range h.sockets {
		l.Close()
	}
}

// settle is how long those who came during a change may wait instead of being refused.
func (h *host) settle() time.Duration {
	if h.again {
		return 5 * time.Second
	}
	return 0
}

// serve serves until ctx ends, with the configuration as it was at the last SIGHUP: all
// parts end as they do with the process, and begin anew with what it says now. Engines
// and sockets stay open: who comes meanwhile waits for a moment. A connection that was
// open ends, as at a restart, and whoever was not answered sends again.
func (c *serveCommand) serve(ctx context.Context, s *settings, e *engines, log *slog.Logger, h *host) error {
	for {
		next, err := c.serveUntilAsked(ctx, s, e, log, h)
		if next == nil || err != nil || ctx.Err() != nil {
			return err
		}
		s, h.again = next, true
	}
}

func (c *serveCommand) serveUntilAsked(ctx context.Context, s *settings, e *engines, log *slog.Logger, h *host) (next *settings, err error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for next == nil {
			select {
			case <-ctx.Done():
				return
			case <-h.asked:
			}
			if next, err = c.again(s); err != nil {
				log.Error("the configuration was not taken over; nothing has changed", "error", err)
			}
		}
		log.Info("the configuration is taken over", "hash", next.hash())
		cancel()
	}()
	failed := serve(ctx, s, e, log, h)
	cancel()
	<-done
	return next, failed
}

// again reads the configuration once more. What is wrong with it, or cannot change while
// the process runs, is an error as a whole: half of a change is none.
func (c *serveCommand) again(s *settings) (*settings, error) {
	next, err := c.settings()
	if err != nil {
		return nil, err
	}
	if _, err := next.servable(); err != nil {
		return nil, err
	}
	var fixed []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"listen", s.Listen == next.Listen}, {"data", s.Data == next.Data}, {"redis", s.Redis == next.Redis}, {"clickhouse", s.Clickhouse == next.Clickhouse},
		{"key_file", s.KeyFile == next.KeyFile}, {"run", slices.Equal(s.Run, next.Run)}, {"metrics_listen", s.MetricsListen == next.MetricsListen},
	} {
		if !field.same {
			fixed = append(fixed, field.name)
		}
	}
	for _, a := range s.activities {
		switch to, err := next.activity(a.ID); {
		case err != nil:
			fixed = append(fixed, "activities: "+a.ID+" is gone (keep it until it is purged)")
		case to.Terms() != a.Terms():
			fixed = append(fixed, "activities: identify and timezone of "+a.ID+" (they never change within an activity that somebody has taken part in)")
		}
	}
	if len(fixed) > 0 {
		return nil, fmt.Errorf("needs a restart: %s", strings.Join(fixed, ", "))
	}
	return next, nil
}

// hash names what all nodes of a site have to have alike.
func (s *settings) hash() string {
	text, err := json.Marshal([]any{s.Activities, s.Policy, s.Links.Keys, s.ReportKeys, s.Watch})
	if err != nil {
		panic("BUG: " + err.Error()) // made of texts and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// configInfo says which configuration a process has: all should say the same.
func (s *settings) configInfo() prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "canyu_config_info", Help: "1, with a hash of the activities, policies and keys' names that this process was configured with."}, []string{"hash"})
	g.WithLabelValues(s.hash()).Set(1)
	return g
}
