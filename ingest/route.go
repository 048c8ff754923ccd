package ingest

import (
	"runtime/debug"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// formBody is the largest form: a message of the longest, every byte of it escaped.
const formBody = 16 << 10

const participationsPath = "/v1/participations"

// route is an address and what answers it; of is what stands for its {…}.
type route struct {
	canyu.Route
	handle func(s *Server, ctx *fasthttp.RequestCtx, of string)
}

// routes are all but those of Config.PageRoutes.
var routes = []route{
	{canyu.Route{Path: participationsPath, Methods: "POST", Opens: canyu.ToAll, Body: MaxBody, Pace: "participations"},
		func(s *Server, ctx *fasthttp.RequestCtx, _ string) { s.participations(ctx) }},
	{canyu.Route{Path: "/v1/activities/{activity}", Methods: "GET, HEAD", Opens: canyu.ToAll}, ofActivity((*Server).describe)},
	{canyu.Route{Path: "/v1/activities/{activity}/counts", Methods: "GET, HEAD", Opens: canyu.ToCounts, Pace: "one reading at a time of each region"}, ofActivity(unlessPageOnly((*Server).counts))},
	{canyu.Route{Path: "/v1/activities/{activity}/live", Methods: "GET, HEAD", Opens: canyu.ToCounts, Pace: "viewers"}, ofActivity(unlessPageOnly((*Server).live))},
	{canyu.Route{Path: "/v1/activities/{activity}/seats", Methods: "GET, HEAD", Opens: canyu.ToClass}, ofActivity((*Server).seats)},
	{canyu.Route{Path: "/v1/activities/{activity}/receipts", Methods: "GET, HEAD", Opens: canyu.ToClass}, ofActivity((*Server).receipts)},
	{canyu.Route{Path: "/v1/activities/{activity}/wall", Methods: "GET, HEAD", Opens: canyu.ToAll, Pace: "one reading of each page in 2 s"},
		ofActivity(unlessPageOnly(func(s *Server, ctx *fasthttp.RequestCtx, a *activity) { s.wallList(ctx, a.Activity) }))},
	{canyu.Route{Path: "/a/{activity}", Methods: "GET, HEAD, POST", Opens: canyu.ToAll, Body: formBody, Pace: "participations"}, (*Server).page},
	{canyu.Route{Path: "/a/{activity}/wall", Methods: "GET, HEAD, POST", Opens: canyu.ToAll, Body: formBody, Pace: "20 reports a minute of a visitor"}, (*Server).wall},
	{canyu.Route{Path: "/a/{activity}/privacy", Methods: "GET, HEAD", Opens: canyu.ToAll}, (*Server).privacy},
	{canyu.Route{Path: "/assets/{file}", Methods: "GET, HEAD", Opens: canyu.ToAll}, (*Server).asset},
	{canyu.Route{Path: "/link/{token}", Methods: "GET, HEAD", Opens: canyu.ToAll},
		func(s *Server, ctx *fasthttp.RequestCtx, token string) { s.gate.Exchange(ctx, token) }},
	{canyu.Route{Path: "/healthz", Methods: "GET, HEAD", Opens: canyu.ToAll},
		func(_ *Server, ctx *fasthttp.RequestCtx, _ string) { ctx.SetBodyString("ok\n") }},
	{canyu.Route{Path: "/readyz", Methods: "GET, HEAD", Opens: canyu.ToAll}, func(s *Server, ctx *fasthttp.RequestCtx, _ string) { s.Ready(ctx) }},
	{canyu.Route{Path: "/metrics", Methods: "GET, HEAD", Opens: canyu.ToNear}, (*Server).tellMetrics},
	{canyu.Route{Path: "/", Methods: "GET, HEAD", Opens: canyu.ToAll}, func(s *Server, ctx *fasthttp.RequestCtx, _ string) { s.index(ctx) }},
}

// Routes are the addresses of ingest.
func Routes() []canyu.Route {
	all := make([]canyu.Route, len(routes))
	for i := range routes {
		all[i] = routes[i].Route
	}
	return all
}

func ofActivity(handle func(*Server, *fasthttp.RequestCtx, *activity)) func(*Server, *fasthttp.RequestCtx, string) {
	return func(s *Server, ctx *fasthttp.RequestCtx, id string) {
		if a := s.activities[id]; a != nil {
			handle(s, ctx, a)
		} else {
			problemOf(canyu.ErrUnknownActivity).write(ctx)
		}
	}
}

// Handle answers a request.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	defer s.survive(ctx)
	s.bodies.leave(&ctx.Request.Header)
	if p := crooked(ctx); p != nil {
		p.write(ctx)
		ctx.SetConnectionClose()
		s.guard(ctx)
		return
	}
	if string(ctx.Path()) == participationsPath && ctx.IsPost() { // the many: compared, not copied
		s.participations(ctx)
		ctx.Response.Header.SetCanonical(headerNosniff, valueNosniff)
		return
	}
	path := string(ctx.Path())
	if ctx.IsPost() && FromElsewhere(ctx) {
		Elsewhere(ctx)
	} else {
		s.routed(ctx, canyu.TrimSlash(path))
	}
	s.guard(ctx)
}

func (s *Server) routed(ctx *fasthttp.RequestCtx, path string) {
	for i := range routes {
		r := &routes[i]
		of, ok := r.Match(path)
		switch {
		case !ok:
		case !r.Allows(string(ctx.Method())):
			WrongMethod(ctx, &r.Route)
			return
		default:
			r.handle(s, ctx, of)
			return
		}
	}
	if s.Pages != nil && s.besidePage(path) {
		s.Pages(ctx)
		return
	}
	s.nothingHere(ctx)
}

// nothingHere tells a browser so on a page in its language.
func (s *Server) nothingHere(ctx *fasthttp.RequestCtx) {
	if wantsPage(ctx) {
		p := s.newPage(ctx, &canyu.Activity{})
		p.notice(fasthttp.StatusNotFound, "nothing", p.T.Say("unknown.hint"))
	} else {
		newProblem(404, "not_found", "Nothing here", "no page or interface has this address").write(ctx)
	}
	ctx.Response.Header.Set("Vary", "Accept, Accept-Language, Accept-Encoding")
}

// Straight has requests answered by handle, unless a proxy in front may have read
// something else.
func Straight(handle fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		p := crooked(ctx)
		if p == nil {
			handle(ctx)
			return
		}
		p.write(ctx)
		ctx.SetConnectionClose()
		Guard(ctx, false)
	}
}

// besidePage reports whether an address is a page's, or begins as one does: then the
// pages say in words that there is none.
func (s *Server) besidePage(path string) bool {
	first := func(path string) string {
		part, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return part
	}
	return slices.ContainsFunc(s.PageRoutes, func(r canyu.Route) bool { return first(r.Path) == first(path) })
}

// WrongMethod answers a request whose method the route has not.
func WrongMethod(ctx *fasthttp.RequestCtx, r *canyu.Route) {
	newProblem(405, "method", "Wrong method", "this address takes "+r.Methods).write(ctx)
	ctx.Response.Header.Set("Allow", r.Methods)
}

// Elsewhere refuses a form that another site's page sent.
func Elsewhere(ctx *fasthttp.RequestCtx) {
	newProblem(403, "elsewhere", "Sent by another site", "a form: want it sent from its own page").write(ctx)
}

// survive keeps the fault of one request from ending the process, and every other.
func (s *Server) survive(ctx *fasthttp.RequestCtx) {
	if fault := recover(); fault != nil {
		s.Log.Error("BUG: a request panicked", "fault", fault, "stack", string(debug.Stack())) // no address: it may be a link's
		newProblem(500, "fault", "A fault of this server", "it has been written down").write(ctx)
		s.guard(ctx)
	}
}
