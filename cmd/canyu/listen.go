package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu/ingest"
)

// pageServer serves the pages of schools and bureaus where ingest, which has them
// otherwise, runs elsewhere.
type pageServer struct {
	gate    *ingest.Gate
	pages   fasthttp.RequestHandler
	metrics fasthttp.RequestHandler
}

func (p *pageServer) handle(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	read := ctx.IsGet() || ctx.IsHead()
	switch {
	case strings.HasPrefix(path, "/school/"), strings.HasPrefix(path, "/bureau/"), strings.HasPrefix(path, "/pages/"):
		p.pages(ctx)
	case strings.HasPrefix(path, "/link/") && read:
		p.gate.Exchange(ctx, path[len("/link/"):])
	case path == "/healthz" && read, path == "/readyz" && read:
		ctx.SetBodyString("ok\n")
	case path == "/metrics" && read:
		p.metrics(ctx)
	default:
		ctx.Error("nothing has this address here\n", fasthttp.StatusNotFound)
	}
}

// run serves until ctx ends, then finishes the requests that are in flight.
func (p *pageServer) run(ctx context.Context, listener net.Listener) error {
	server := &fasthttp.Server{
		Handler: p.handle, Name: "canyu", NoDefaultServerHeader: true, MaxRequestBodySize: 64 << 10, ReadBufferSize: 8 << 10,
		ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, CloseOnShutdown: true,
		Logger: noLog{},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
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
