// Package baseline holds the servers that canyu is measured against. Each is a
// real server, run as a process of its own like canyu itself, so that every row
// of the table is measured in the same way:
//
//	Bare        fasthttp answering 204: what the machine, the kernel and the
//	            client allow at all. Nothing can be faster.
//	PerCommand  the same job as a Go service usually does it: decode, then one
//	            Redis command after the other for each request.
//	Postgres    net/http and one INSERT … ON CONFLICT for each request.
//
// The first two neither validate, key or remember as canyu must, and the third does so
// in part: they are given the advantage.
package baseline

import (
	"context"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"
)

// Path is where submissions are posted, as on canyu.
const Path = "/v1/participations"

// Bare answers 204 to everything.
func Bare(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) }

// Serve answers on ln with h until ctx ends. GET /readyz answers 204 whatever h is.
func Serve(ctx context.Context, ln net.Listener, h fasthttp.RequestHandler) error {
	s := &fasthttp.Server{
		Name: "baseline",
		Handler: func(rc *fasthttp.RequestCtx) {
			if rc.IsGet() && string(rc.Path()) == "/readyz" {
				Bare(rc)
				return
			}
			h(rc)
		},
		CloseOnShutdown: true,
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
	}
	if err := s.Shutdown(); err != nil {
		return fmt.Errorf("cannot shut down: %w", err)
	}
	return nil
}
