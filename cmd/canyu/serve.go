package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"golang.org/x/sync/errgroup"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/ingest/spool"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup"
)

type serveCommand struct{ Flags }

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, out stdout, errOut stderr) error {
	h := newHost(ctx, func(url string) {
		fmt.Fprintf(out, "canyu serves %s\n", url)
	})
	signal.Notify(h.asked, syscall.SIGHUP)
	defer signal.Stop(h.asked)
	s, err := c.settings()
	if err != nil {
		return err
	}
	if err := s.needActivities(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(errOut, nil))
	e, err := s.late(ctx, log)
	if err != nil {
		return err
	}
	defer e.close()
	if e.beside {
		return canyu.ErrHeld
	}
	return c.serve(ctx, s, e, log, h)
}

// serve runs the parts that are asked for. They start down the page, and stop in
// the same order: ingest takes nothing new in before rollup does its last step.
func serve(ctx context.Context, s *settings, e *engines, log *slog.Logger, h *host) error {
	s.shareProcessors()
	secret, err := h.secret(s)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(buildInfo(), s.configInfo(), switchMetrics{&h.switches, s.activities})
	e = e.timed(registry)
	registry.MustRegister(backlog{e.ledger, s})
	metrics := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	group, failed := errgroup.WithContext(ctx)
	ingestDone := make(chan struct{})
	var scheduler *reports.Scheduler
	if slices.Contains(s.Run, "reports") && s.hasRecipients() {
		if scheduler, err = s.scheduler(e, log); err != nil {
			return err
		}
		registry.MustRegister(scheduler)
	}
	var metricsListener net.Listener
	if s.MetricsListen != "" {
		if metricsListener, err = h.listen("metrics_listen", s.MetricsListen); err != nil {
			return fmt.Errorf("cannot listen for metrics: %w", err)
		}
	}
	public, ready := metrics, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok\n") }
	if s.MetricsListen != "" {
		public = nil // they are told there alone
	}

	if slices.Contains(s.Run, "ingest") {
		var waiting *spool.Spool
		if s.Redis != "" { // the embedded ledger is as near as a spool
			if waiting, err = spool.Open(ctx, filepath.Join(s.Data, "spool"), int64(s.SpoolLimit)<<20); err != nil {
				return err
			}
			defer waiting.Close()
		}
		server := ingest.NewServer(ingest.Config{
			Activities:   s.activities,
			Ledger:       e.ledger,
			Archive:      e.archive,
			Secret:       secret,
			Spool:        waiting,
			BacklogLimit: s.BacklogLimit,
			Links:        s.keyring(secret),
			Pages:        s.pages(e, secret, h.switches.of, log),
			PageRoutes:   reports.Routes,
			Themes:       s.themes,
			Notices:      s.notices,
			Viewers:      s.Viewers,
			Watch:        s.Watch != watchOff,
			Proxies:      s.proxies(func(string, ...any) {}),
			Metrics:      public,
			HTTPS:        s.https(),
			Connections:  s.Connections,
			PerAddress:   s.ConnectionsPerAddress,
			Switches:     h.switches.of,
			Settle:       h.settle(),
			Log:          log,
		})
		ready = server.Ready
		registry.MustRegister(server.Collectors()...)
		listener, err := h.listen("listen", s.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen: %w", err)
		}
		h.serving(listener)
		group.Go(func() error {
			defer close(ingestDone)
			return server.Run(failed, listener)
		})
	} else {
		close(ingestDone)
	}
	if !slices.Contains(s.Run, "ingest") && slices.Contains(s.Run, "reports") {
		listener, err := h.listen("listen", s.Listen)
		if err != nil { // beside ingest on one machine: that has the pages, and mail must go out
			log.Error("no pages are served here", "error", err)
		} else {
			h.serving(listener)
			gate := &ingest.Gate{Links: s.keyring(secret), Activities: s.activities, Now: time.Now, HTTPS: s.https()}
			pages := newPageServer(gate, s.pages(e, secret, h.switches.of, log), public)
			group.Go(func() error { return pages.run(failed, listener, log) })
		}
	}
	if s.MetricsListen != "" {
		log.Info("metrics", "address", metricsListener.Addr().String())
		group.Go(func() error { return newMetricsServer(ready, metrics, s.Pprof).run(failed, metricsListener, log) })
	}
	group.Go(func() error { return s.auditKeys(failed, e, secret, log) })
	group.Go(func() error { return h.switches.run(failed, e.archive, s.activities, log) })
	if slices.Contains(s.Run, "rollup") {
		worker := s.worker(e, log)
		registry.MustRegister(progress{worker, s.deadLetters()})
		group.Go(func() error { return worker.Run(after(failed, ingestDone)) })
		group.Go(func() error { return s.purger(e, secret, log).Run(failed) })
		if s.Rebuild == "auto" {
			group.Go(func() error { return s.keepRebuilding(failed, e, secret, log) })
		}
	}
	if scheduler != nil {
		group.Go(func() error { return scheduler.Run(failed) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// hasRecipients reports whether there is anybody to mail to.
func (s *settings) hasRecipients() bool {
	return slices.ContainsFunc(s.activities, func(a *canyu.Activity) bool { return len(a.Report.Recipients) > 0 })
}

// after is a context that ends when ctx has ended and done is closed.
func after(ctx context.Context, done <-chan struct{}) context.Context {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		<-ctx.Done()
		<-done
		cancel()
	}()
	return later
}

func (s *settings) worker(e *engines, log *slog.Logger) *rollup.Worker {
	return &rollup.Worker{Ledger: e.ledger, Archive: e.archive, Activities: s.activities, Holder: holder, DeadLetters: s.deadLetters(), Log: log,
		GiveWay: slices.Contains(s.Run, "ingest")}
}

// shareProcessors keeps ingest from waiting behind the embedded archive: of two threads
// of Go the archive's work holds one for ten milliseconds at a time. With more of them it
// is the system that shares the processors, by priority and in smaller turns.
func (s *settings) shareProcessors() {
	const threads = 4
	if s.Redis == "" && os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < threads {
		runtime.GOMAXPROCS(threads)
	}
}

func (s *settings) scheduler(e *engines, log *slog.Logger) (*reports.Scheduler, error) {
	sender, err := s.sender(e, log)
	if err != nil {
		return nil, err
	}
	return &reports.Scheduler{Sender: sender}, nil
}

// patience is for how long a command waits for the server that it runs beside.
const patience = time.Minute

// drain brings the archive up to the ledger, for commands that come after others;
// beside a running server, that does it.
func (s *settings) drain(ctx context.Context, e *engines, errOut io.Writer) error {
	worker := s.worker(e, slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if !e.beside {
		return worker.Drain(ctx)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := worker.Await(waiting)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: the server that runs has not carried over within %v what was recorded before: its log and canyu deadletter tell why", reports.ErrBehind, patience)
	}
	return err
}
