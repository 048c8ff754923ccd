package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Visitors may report a message. One that several report is taken down until
// somebody has looked at it again; after that, reports take it down no more.
//
// Reporters are told apart by their address, what a proxy says of it, and their
// browser, for as long as this process lives, and are kept nowhere else. Somebody who
// lies about these gets a message looked at once more, and no further.
const (
	reportsToHide   = 3
	reportsAMinute  = 20     // of one visitor
	reportedAtOnce  = 10_000 // messages that are remembered
	reportedVisitor = "visitors"
)

type reporter [16]byte

// wallReports remembers who has reported what.
type wallReports struct {
	mu       sync.Mutex
	salt     [32]byte // makes nothing of a reporter but whether it is the same
	messages map[canyu.MessageKey]map[reporter]bool
	minute   time.Time
	recent   map[reporter]int
}

func newWallReports() *wallReports {
	w := &wallReports{messages: make(map[canyu.MessageKey]map[reporter]bool), recent: make(map[reporter]int)}
	_, _ = rand.Read(w.salt[:]) // never fails
	return w
}

func (w *wallReports) who(ctx *fasthttp.RequestCtx) (r reporter) {
	h := hmac.New(sha256.New, w.salt[:])
	fmt.Fprintf(h, "%s\n%s\n%s", ctx.RemoteIP(), ctx.Request.Header.Peek("X-Forwarded-For"), ctx.UserAgent())
	copy(r[:], h.Sum(nil))
	return r
}

// allow reports whether the visitor may report once more in this minute.
func (w *wallReports) allow(who reporter, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(w.minute) || len(w.recent) > reportedAtOnce {
		w.minute = minute
		clear(w.recent)
	}
	w.recent[who]++
	return w.recent[who] <= reportsAMinute
}

// add is how many have reported the message by now.
func (w *wallReports) add(key canyu.MessageKey, who reporter) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.messages) >= reportedAtOnce {
		clear(w.messages)
	}
	if w.messages[key] == nil {
		w.messages[key] = make(map[reporter]bool)
	}
	w.messages[key][who] = true
	return len(w.messages[key])
}

func (w *wallReports) forget(key canyu.MessageKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.messages, key)
}

// report is POST /a/{activity}/wall.
func (s *Server) report(ctx *fasthttp.RequestCtx, p *pageRequest) {
	key, err := canyu.ParseMessageKey(arg(ctx.PostArgs(), "key"))
	if site := string(ctx.Request.Header.Peek("Sec-Fetch-Site")); err != nil || site != "" && site != "same-origin" {
		newProblem(400, "malformed", "No report", "key: want that of a message on the wall, from its own page").write(ctx)
		return
	}
	who := s.reports.who(ctx)
	if !s.reports.allow(who, s.now()) {
		problem := newProblem(429, "too_many_reports", "Too many reports", "please report again in a minute")
		problem.retryAfter = "60"
		problem.write(ctx)
		return
	}
	if err := s.takeReport(p.a, key, who); err != nil {
		s.Log.Error("cannot take a report about the wall", "activity", p.a.ID, "error", err)
		problem := newProblem(503, "away", "Not reported", "the archive is away: please report again")
		problem.retryAfter = "5"
		problem.write(ctx)
		return
	}
	var q url.Values // to the page that the visitor came from; to no other site, whatever is sent
	if from, err := url.Parse(arg(ctx.PostArgs(), "back")); err == nil && from.Path == wallURL(p.a) && len(from.RawQuery) < 200 {
		q = from.Query()
	}
	back := wallURL(p.a, "lang", q.Get("lang"), "school", q.Get("school"), "before", q.Get("before"), "reported", "1")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("Location", back)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// takeReport counts a report, and takes the message down if there are enough.
func (s *Server) takeReport(a *canyu.Activity, key canyu.MessageKey, who reporter) error {
	ctx, cancel := context.WithTimeout(context.Background(), wallPatience)
	defer cancel()
	found, err := s.Archive.Wall(ctx, a.ID, canyu.WallQuery{State: canyu.Shown, Keys: []canyu.MessageKey{key}, Limit: 1})
	if err != nil || len(found) == 0 || strings.HasPrefix(found[0].Reason, "reported") {
		return err // gone already, or looked at since
	}
	n := s.reports.add(key, who)
	if n < reportsToHide {
		return nil
	}
	m := found[0]
	m.State, m.By, m.Reason = canyu.Reported, reportedVisitor, fmt.Sprintf("reported:%d", n)
	if now := s.now().Truncate(time.Millisecond); now.After(m.Decided) {
		m.Decided = now
	} else {
		m.Decided = m.Decided.Add(time.Millisecond)
	}
	if err := s.Archive.Decide(ctx, a.ID, []canyu.WallMessage{m}); err != nil {
		return err
	}
	s.reports.forget(key)
	s.walls.drop(a.ID)
	return nil
}

// A page of the wall is read again after this time, however many look at it: so fast
// is the wall off, or a message gone.
const wallFresh = 2 * time.Second

// wallCache has the pages that were read last.
type wallCache struct {
	mu    sync.Mutex
	pages map[wallAsk]*wallRead
}

type wallRead struct {
	done chan struct{} // closed when page and err are there
	at   time.Time
	page *wallPage
	err  error
}

// get waits for the one that reads the same page, or reads it.
func (c *wallCache) get(s *Server, a *canyu.Activity, ask wallAsk) (*wallPage, error) {
	now := s.now()
	c.mu.Lock()
	r := c.pages[ask]
	mine := r == nil || now.Sub(r.at) >= wallFresh || now.Before(r.at)
	if mine {
		if c.pages == nil || len(c.pages) >= 1000 {
			c.pages = make(map[wallAsk]*wallRead)
		}
		r = &wallRead{done: make(chan struct{}), at: now}
		c.pages[ask] = r
	}
	c.mu.Unlock()
	if mine {
		r.page, r.err = s.readWall(context.Background(), a, ask)
		close(r.done)
	}
	<-r.done
	return r.page, r.err
}

// drop forgets the pages of an activity.
func (c *wallCache) drop(activity string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ask := range c.pages {
		if ask.activity == activity {
			delete(c.pages, ask)
		}
	}
}
