package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/spool"
)

// MaxBody is the largest request in bytes: 100 submissions with the longest
// messages fit.
const MaxBody = 256 << 10

// Config is what a Server needs. The fields from Spool on may be left out.
type Config struct {
	Activities []*canyu.Activity
	Ledger     canyu.Ledger
	Archive    canyu.Archive
	Secret     []byte       // keys the participants; the same on every node
	Spool      *spool.Spool // where batches wait while the ledger is away; may be nil
	// BacklogLimit is how many participations may wait for the archive before it is
	// said; 0: any number.
	BacklogLimit int
	Links        *canyu.Keyring          // nil: no link is valid
	Pages        fasthttp.RequestHandler // /school/…, /bureau/… and /pages/…, which see to access themselves
	Themes       map[string]*Theme       // of the student page, by activity
	Viewers      int                     // live streams at once; 0: 10,000
	Metrics      fasthttp.RequestHandler // GET /metrics
	Now          func() time.Time
	Log          *slog.Logger
}

// Server is canyu over HTTP.
type Server struct {
	Config
	gate       Gate
	hub        *hub
	activities map[string]*activity
	classes    atomic.Pointer[canyu.Roster] // nil until it was read once
	http       *fasthttp.Server
	metrics    *metrics
	archived   archivedCache
	searched   atomic.Pointer[schoolIndex]
	walls      wallCache
	reports    *wallReports
	large      *largeCounts
}

// activity is an activity being served.
type activity struct {
	*canyu.Activity
	*identity
	*committer
	state    atomic.Pointer[attachment]
	outcomes outcomeCounters
	backlog  atomic.Int64 // participations that wait for the archive
	refusals *refusals

	discretion atomic.Pointer[discretion]
}

// NewServer does not touch ledger or archive: Run does.
func NewServer(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Links == nil {
		c.Links = canyu.NewKeyring(c.Secret)
	}
	s := &Server{Config: c, gate: Gate{c.Links, c.Activities, c.Now}, activities: make(map[string]*activity), metrics: newMetrics(), reports: newWallReports(), large: newLargeCounts()}
	for _, ca := range c.Activities {
		a := &activity{Activity: ca, identity: newIdentity(c.Secret, ca), outcomes: s.metrics.outcomesOf(ca.ID), refusals: newRefusals()}
		a.state.Store(&attachment{err: errors.New("not attached yet")})
		a.committer = newCommitter(c.Ledger, c.Spool, ca.ID, a.epochNow)
		a.committer.refused = a.refused
		a.committer.log = c.Log
		a.committer.observe = s.metrics.observeCommit
		s.activities[ca.ID] = a
	}
	s.hub = newHub(s, c.Viewers)
	s.http = &fasthttp.Server{
		Handler:               s.Handle,
		ErrorHandler:          s.refuse,
		Name:                  "canyu",
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		MaxRequestBodySize:    MaxBody,
		ReadBufferSize:        8 << 10, // bounds the header
		ReadTimeout:           20 * time.Second,
		WriteTimeout:          20 * time.Second,
		IdleTimeout:           2 * time.Minute,
		CloseOnShutdown:       true,
		KeepHijackedConns:     true, // live streams close theirs
		Logger:                quiet{},
	}
	return s
}

// quiet drops fasthttp's own log: it speaks of clients' addresses.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// Run serves ln until ctx ends, then finishes the requests that are in flight.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	for _, a := range s.activities {
		if err := a.committer.reopen(); err != nil {
			return fmt.Errorf("activity %s: %w", a.ID, err)
		}
		defer a.committer.close()
	}
	// Those that requests wait for end after the last request.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for _, a := range s.activities {
		wg.Go(func() { a.committer.run(background) })
		wg.Go(func() { s.keepAttached(background, a) })
		wg.Go(func() { s.keepBacklog(background, a) })
		wg.Go(func() { s.keepRefusals(background, a) })
		if s.Spool != nil {
			wg.Go(func() { a.committer.drain(background) })
		}
	}
	wg.Go(func() { s.keepRoster(background) })
	wg.Go(func() { s.hub.run(background) })
	defer wg.Wait()
	defer stop()

	served := make(chan error, 1)
	go func() { served <- s.http.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
	}
	s.hub.close()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := s.http.ShutdownWithContext(last); err != nil {
		return fmt.Errorf("cannot finish every request: %w", err)
	}
	return nil
}

// pause waits, and is false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// roster is never nil; it is empty until it was read.
func (s *Server) roster() *canyu.Roster {
	if r := s.classes.Load(); r != nil {
		return r
	}
	return &canyu.Roster{}
}

func (s *Server) activity(id string) *canyu.Activity {
	if a := s.activities[id]; a != nil {
		return a.Activity
	}
	return nil
}

func (s *Server) now() time.Time { return s.Now() }

// Handle routes a request.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	if path == "/v1/participations" {
		if s.method(ctx, "POST") {
			s.participations(ctx)
		}
		return
	}
	switch {
	case strings.HasPrefix(path, "/v1/activities/"):
		id, view, _ := strings.Cut(path[len("/v1/activities/"):], "/")
		a := s.activities[id]
		switch {
		case a == nil:
			problemOf(canyu.ErrUnknownActivity).write(ctx)
		case !s.method(ctx, "GET"):
		case view == "":
			s.describe(ctx, a)
		case view == "counts":
			s.counts(ctx, a)
		case view == "live":
			s.live(ctx, a)
		case view == "seats":
			s.seats(ctx, a)
		case view == "receipts":
			s.receipts(ctx, a)
		case view == "wall":
			s.wallList(ctx, a.Activity)
		default:
			s.notFound(ctx)
		}
	case strings.HasPrefix(path, "/a/"):
		if id, ok := strings.CutSuffix(path[len("/a/"):], "/wall"); ok {
			s.wall(ctx, id)
		} else {
			s.page(ctx, path[len("/a/"):])
		}
	case strings.HasPrefix(path, "/assets/"):
		if s.method(ctx, "GET") {
			s.asset(ctx, path[len("/assets/"):])
		}
	case strings.HasPrefix(path, "/link/"):
		if s.method(ctx, "GET") {
			s.gate.Exchange(ctx, path[len("/link/"):])
		}
	case s.Pages != nil && (strings.HasPrefix(path, "/school/") || strings.HasPrefix(path, "/bureau/") || strings.HasPrefix(path, "/pages/")):
		s.Pages(ctx)
	case path == "/healthz":
		if s.method(ctx, "GET") {
			ctx.SetBodyString("ok\n")
		}
	case path == "/readyz":
		if s.method(ctx, "GET") {
			s.ready(ctx)
		}
	case path == "/metrics" && s.Metrics != nil:
		if s.method(ctx, "GET") {
			s.Metrics(ctx)
		}
	case path == "/":
		if s.method(ctx, "GET") {
			s.index(ctx)
		}
	default:
		s.notFound(ctx)
	}
}

// method reports whether the request's is the one that the route has; HEAD goes
// with GET.
func (s *Server) method(ctx *fasthttp.RequestCtx, want string) bool {
	if got := string(ctx.Method()); got == want || got == "HEAD" && want == "GET" {
		return true
	}
	newProblem(405, "method", "Wrong method", "this address takes "+want).write(ctx)
	ctx.Response.Header.Set("Allow", want)
	return false
}

func (s *Server) notFound(ctx *fasthttp.RequestCtx) {
	newProblem(404, "not_found", "Nothing here", "no page or interface has this address").write(ctx)
}

// refuse answers requests that never reached Handle.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	var tooLarge *fasthttp.ErrSmallBuffer
	var network *net.OpError
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		drain(ctx.Conn())
		newProblem(413, "too_large", "The body is too large", fmt.Sprintf("body: want at most %d bytes", MaxBody)).write(ctx)
	case errors.As(err, &tooLarge):
		newProblem(431, "header_too_large", "The header is too large", "header: want less than 8 KiB").write(ctx)
	case errors.As(err, &network) && network.Timeout():
		newProblem(408, "timeout", "Too slow", "the request did not arrive in time").write(ctx)
	default:
		newProblem(400, "malformed", "No HTTP request", "the request cannot be read").write(ctx)
	}
	ctx.SetConnectionClose()
}

// drain reads what a client is still sending, for a moment: closing a connection
// with something unread resets it, and the client would never see why.
func drain(c net.Conn) {
	const most, patience, silence = 32 << 20, 5 * time.Second, 200 * time.Millisecond
	buf := make([]byte, 32<<10)
	for read, end := 0, time.Now().Add(patience); read < most && time.Now().Before(end); {
		if c.SetReadDeadline(time.Now().Add(silence)) != nil {
			return
		}
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		read += n
	}
}

// ready is 200 when participations are taken: counted, or kept in the spool until
// they are. Else it says what is missing.
func (s *Server) ready(ctx *fasthttp.RequestCtx) {
	var missing []string
	if len(s.roster().Schools(0)) == 0 {
		missing = append(missing, "the roster is empty: canyu roster import")
	}
	for _, ca := range s.Activities {
		a := s.activities[ca.ID]
		if err := a.state.Load().err; err != nil && (s.Spool == nil || a.refused() != nil) {
			missing = append(missing, err.Error())
		}
	}
	if missing != nil {
		newProblem(503, "not_ready", "Not ready", strings.Join(missing, "; ")).write(ctx)
		return
	}
	ctx.SetBodyString("ready\n")
	for _, ca := range s.Activities {
		if err := s.activities[ca.ID].state.Load().err; err != nil {
			fmt.Fprintf(ctx, "%s\n", err)
		}
		if a := s.activities[ca.ID]; s.over(a) {
			fmt.Fprintf(ctx, "activity %s: %d participations wait for the archive, more than backlog_limit\n", ca.ID, a.backlog.Load())
		}
		if n := s.activities[ca.ID].spooled(); n > 0 {
			fmt.Fprintf(ctx, "activity %s: %d participations wait in the spool\n", ca.ID, n)
		}
	}
}

// index sends visitors to the activity, where there is only one.
func (s *Server) index(ctx *fasthttp.RequestCtx) {
	if len(s.Activities) == 1 {
		// ctx.Redirect would send visitors of a proxy from https to http.
		ctx.Response.Header.Set("Location", "/a/"+s.Activities[0].ID)
		ctx.SetStatusCode(fasthttp.StatusFound)
		return
	}
	s.notFound(ctx)
}
