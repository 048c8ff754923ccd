package ingest

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// liveSlowly is between two readings while live views are slow.
const liveSlowly = 10 * time.Second

// down reports whether an operator has turned something of an activity down.
func (s *Server) down(activity string, what canyu.Switch) bool {
	return s.Switches != nil && s.Switches(activity).Down(what)
}

// every is between two readings of what is watched.
func (h *hub) every(a *activity) time.Duration {
	if h.s.down(a.ID, canyu.SwitchLive) {
		return liveSlowly
	}
	return liveEvery
}

// unlessPageOnly answers with handle unless only the page is served.
func unlessPageOnly(handle func(*Server, *fasthttp.RequestCtx, *activity)) func(*Server, *fasthttp.RequestCtx, *activity) {
	return func(s *Server, ctx *fasthttp.RequestCtx, a *activity) {
		if s.down(a.ID, canyu.SwitchPage) {
			PageOnly(ctx)
			return
		}
		handle(s, ctx, a)
	}
}

// PageOnly refuses what waits until the rush is over.
func PageOnly(ctx *fasthttp.RequestCtx) {
	p := newProblem(503, "page_only", "Not for now", "while very many take part, only the activity's page and submissions are served; everybody counts as always, and counts are shown later")
	p.retryAfter = "60"
	p.write(ctx)
}
