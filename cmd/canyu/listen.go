package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/reports"
)

// sideServer serves what is not ingest's: the pages of schools and bureaus where
// ingest, which has them otherwise, runs elsewhere; and what operators ask.
type sideServer struct {
	routes []canyu.Route
	handle func(ctx *fasthttp.RequestCtx, path string)
	https  bool
}

// pageRoutes are those of a process that reports and takes no participations.
func pageRoutes() []canyu.Route {
	return append([]canyu.Route{
		{Path: "/link/{token}", Methods: "GET, HEAD", Opens: canyu.ToAll},
		{Path: "/healthz", Methods: "GET, HEAD", Opens: canyu.ToAll},
		{Path: "/readyz", Methods: "GET, HEAD", Opens: canyu.ToAll},
		{Path: "/metrics", Methods: "GET, HEAD", Opens: canyu.ToNear},
	}, reports.Routes...)
}

func newPageServer(gate *ingest.Gate, pages, metrics fasthttp.RequestHandler) *sideServer {
	return &sideServer{pageRoutes(), func(ctx *fasthttp.RequestCtx, path string) {
		token, isLink := strings.CutPrefix(path, "/link/")
		switch {
		case isLink:
			gate.Exchange(ctx, token)
		case path == "/healthz", path == "/readyz":
			ctx.SetBodyString("ok\n")
		case path != "/metrics":
			pages(ctx)
		case metrics == nil:
			ctx.Error("metrics are told elsewhere\n", fasthttp.StatusNotFound)
		case !ingest.Near(ctx):
			ctx.Error("metrics are told to machines at hand; see metrics_listen\n", fasthttp.StatusForbidden)
		default:
			metrics(ctx)
		}
	}, gate.HTTPS}
}

// newMetricsServer is what metrics_listen serves. Whoever reaches it may ask: it is
// for an address that strangers do not.
func newMetricsServer(ready, metrics fasthttp.RequestHandler, profiles bool) *sideServer {
	s := &sideServer{routes: []canyu.Route{
		{Path: "/healthz", Methods: "GET, HEAD"}, {Path: "/readyz", Methods: "GET, HEAD"}, {Path: "/metrics", Methods: "GET, HEAD"},
	}}
	if profiles {
		s.routes = append(s.routes, canyu.Route{Path: "/debug/pprof", Methods: "GET, HEAD"}, canyu.Route{Path: "/debug/pprof/{profile}", Methods: "GET, HEAD"})
	}
	s.handle = func(ctx *fasthttp.RequestCtx, path string) {
		switch path {
		case "/healthz":
			ctx.SetBodyString("ok\n")
		case "/readyz":
			ready(ctx)
		case "/metrics":
			metrics(ctx)
		default:
			pprofhandler.PprofHandler(ctx)
		}
	}
	return s
}

func (p *sideServer) answer(ctx *fasthttp.RequestCtx) {
	path := canyu.TrimSlash(string(ctx.Path()))
	route := canyu.FindRoute(p.routes, path)
	switch {
	case route == nil:
		ctx.Error("nothing has this address here\n", fasthttp.StatusNotFound)
	case !route.Allows(string(ctx.Method())):
		ingest.WrongMethod(ctx, route)
	case ctx.IsPost() && ingest.FromElsewhere(ctx):
		ingest.Elsewhere(ctx)
	default:
		p.handle(ctx, path)
	}
	ingest.Guard(ctx, p.https)
}

// run serves until ctx ends, then finishes the requests that are in flight.
func (p *sideServer) run(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	server := &fasthttp.Server{
		Handler: ingest.Straight(p.answer), Name: "canyu", NoDefaultServerHeader: true, MaxRequestBodySize: 64 << 10, ReadBufferSize: 8 << 10,
		ReadTimeout: 20 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, Concurrency: 2_000, CloseOnShutdown: true,
		DisablePreParseMultipartForm: true,
		Logger:                       noLog{},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ingest.Entrance(listener, server, log)) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := server.ShutdownWithContext(last); err != nil {
		return fmt.Errorf("cannot finish every request: %w", err)
	}
	return nil
}

// noLog drops fasthttp's own log: it speaks of visitors' addresses.
type noLog struct{}

func (noLog) Printf(string, ...any) {}

// https reports whether visitors reach the site by it.
func (s *settings) https() bool { return strings.HasPrefix(s.Links.Base, "https://") }
