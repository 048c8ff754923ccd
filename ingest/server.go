package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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
	Pages        fasthttp.RequestHandler // answers PageRoutes, and sees to access itself
	PageRoutes   []canyu.Route
	Themes       map[string]*Theme       // of the student page, by activity
	Notices      map[string]*Notice      // what is told of the data, by activity; nil: the usual
	Viewers      int                     // live streams at once; 0: 10,000
	Metrics      fasthttp.RequestHandler // GET /metrics; nil: they are told elsewhere
	HTTPS        bool                    // visitors reach the site by it
	Connections  int                     // at once; 0: 20,000, or half of the files that may be open
	PerAddress   int                     // of them from one address; 0: any number
	Watch        bool                    // abuse is held apart or slowed down
	Proxies      []netip.Prefix          // whose X-Forwarded-For is believed
	// Switches are how those of an activity stand; nil: as usual.
	Switches func(activity string) canyu.Switches
	// Settle is how long Run may wait for ledger and roster before it serves, where
	// others listen meanwhile; 0: not at all.
	Settle time.Duration
	Now    func() time.Time
	Log    *slog.Logger
}

// Server is canyu over HTTP.
type Server struct {
	Config
	gate       Gate
	hub        *hub
	activities map[string]*activity
	classes    atomic.Pointer[canyu.Roster] // nil until it was read once
	rosterRead atomic.Int64                 // when it was read from the archive, or NewServer: UnixNano
	requests   *Requests
	http       *fasthttp.Server
	metrics    *metrics
	archived   archivedCache
	searched   atomic.Pointer[schoolIndex]
	walls      wallCache
	reports    *wallReports
	large      *largeCounts
	bodies     bodies
	clients    clients
	watch      *lookout // nil: nobody is watched
}

// activity is an activity being served.
type activity struct {
	*canyu.Activity
	*committer
	who      atomic.Pointer[identity] // nil until it is known
	state    atomic.Pointer[attachment]
	outcomes outcomeCounters
	backlog  atomic.Int64 // participations that wait for the archive
	refusals *refusals
	pages    uint32 // stands for it in the tokens of its pages
	admitted atomic.Pointer[map[canyu.Class]canyu.Tally]

	discretion atomic.Pointer[discretion]
	unnumbered atomic.Bool // participants are not told which number they have
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
	s := &Server{Config: c, gate: Gate{c.Links, c.Activities, c.Now, c.HTTPS}, activities: make(map[string]*activity), metrics: newMetrics(), reports: newWallReports(), large: newLargeCounts()}
	for _, ca := range c.Activities {
		a := &activity{Activity: ca, outcomes: s.metrics.outcomesOf(ca.ID), refusals: newRefusals(), pages: pageActivity(ca.ID)}
		a.state.Store(&attachment{err: errors.New("not attached yet")})
		a.committer = newCommitter(c.Ledger, c.Spool, ca.ID, a.epochNow)
		a.committer.refused = a.refused
		a.committer.log = c.Log
		a.committer.observe = s.metrics.observeCommit
		s.activities[ca.ID] = a
	}
	s.judgeOrdinals()
	s.clients.proxies = c.Proxies
	if c.Watch {
		s.watch = newLookout(s)
	}
	s.hub = newHub(s, c.Viewers)
	s.requests = NewRequests(append(Routes(), c.PageRoutes...))
	s.rosterRead.Store(time.Now().UnixNano())
	s.http = &fasthttp.Server{
		Handler:               s.requests.Watch(s.Handle),
		ErrorHandler:          s.refuse,
		Name:                  "canyu",
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		HeaderReceived:        s.received,
		MaxRequestBodySize:    MaxBody,
		ReadBufferSize:        8 << 10,     // bounds the header
		ReadTimeout:           requestTime, // for all of a request, from its first byte
		WriteTimeout:          20 * time.Second,
		IdleTimeout:           2 * time.Minute,
		Concurrency:           connections(c.Connections),
		MaxConnsPerIP:         c.PerAddress,
		CloseOnShutdown:       true,
		KeepHijackedConns:     true, // live streams close theirs
		Logger:                quiet{},

		DisablePreParseMultipartForm: true, // no form of ours is one
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
		wg.Go(func() { s.keepForgetting(background, a) })
		wg.Go(func() { s.keepBacklog(background, a) })
		wg.Go(func() { s.keepRefusals(background, a) })
		wg.Go(func() { s.keepAdmitted(background, a) })
		if s.Spool != nil {
			wg.Go(func() { a.committer.drain(background) })
		}
	}
	wg.Go(func() { s.keepRoster(background) })
	wg.Go(func() { s.hub.run(background) })
	defer wg.Wait()
	defer stop()

	s.settle(ctx)
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(Entrance(ln, s.http, s.Log)) }()
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

// settle waits until submissions can be counted, within Settle.
func (s *Server) settle(ctx context.Context) {
	counting := func() bool {
		for _, a := range s.activities {
			if a.state.Load().err != nil && !a.isPurged() {
				return false
			}
		}
		return s.classes.Load() != nil
	}
	for end := time.Now().Add(s.Settle); time.Now().Before(end) && !counting(); {
		if !pause(ctx, 10*time.Millisecond) {
			return
		}
	}
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

// refuse answers requests that never reached Handle.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	var tooLarge *fasthttp.ErrSmallBuffer
	var network *net.OpError
	s.bodies.leave(&ctx.Request.Header)
	switch limit := s.bodyLimit(ctx.Request.Header.RequestURI()); {
	case errors.Is(err, fasthttp.ErrBodyTooLarge) && ctx.Request.Header.ContentLength() > 0 && ctx.Request.Header.ContentLength() <= limit:
		drain(ctx.Conn())
		p := newProblem(503, "busy", "Too busy", "too many large requests at once: please send it again, it counts once")
		p.retryAfter = "2"
		p.write(ctx)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		drain(ctx.Conn())
		newProblem(413, "too_large", "The body is too large", fmt.Sprintf("body: want at most %d bytes", limit)).write(ctx)
	case errors.As(err, &tooLarge):
		drain(ctx.Conn())
		newProblem(431, "header_too_large", "The header is too large", "header: want less than 8 KiB").write(ctx)
	case errors.As(err, &network) && network.Timeout():
		newProblem(408, "timeout", "Too slow", "the request did not arrive in time").write(ctx)
	default:
		newProblem(400, "malformed", "No HTTP request", "the request cannot be read").write(ctx)
	}
	ctx.SetConnectionClose()
	s.guard(ctx)
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

// Ready is 200 when participations are taken: counted, or kept in the spool until
// they are. Else it says what is missing, to those at hand.
func (s *Server) Ready(ctx *fasthttp.RequestCtx) {
	var missing []string
	if len(s.roster().Schools(0)) == 0 {
		missing = append(missing, "the roster is empty: canyu roster import")
	}
	for _, ca := range s.Activities {
		a := s.activities[ca.ID]
		if err := a.state.Load().err; err != nil && !a.isPurged() && (s.Spool == nil || a.refused() != nil) {
			missing = append(missing, err.Error())
		} else if err := a.failing(); err != nil && !a.isPurged() {
			missing = append(missing, fmt.Sprintf("activity %s: %v", ca.ID, err))
		}
	}
	near := Near(ctx)
	if missing != nil {
		detail := strings.Join(missing, "; ")
		if !near {
			detail = "participations are not taken"
		}
		newProblem(503, "not_ready", "Not ready", detail).write(ctx)
		return
	}
	ctx.SetBodyString("ready\n")
	if !near {
		return
	}
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

// tellMetrics is GET /metrics.
func (s *Server) tellMetrics(ctx *fasthttp.RequestCtx, _ string) {
	switch {
	case s.Metrics == nil:
		s.nothingHere(ctx)
	case !Near(ctx):
		newProblem(403, "not_near", "Not from here", "metrics: want a machine at hand, for itself; see metrics_listen").write(ctx)
	default:
		s.Metrics(ctx)
	}
}
