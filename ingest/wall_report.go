package ingest

import (
	"bytes"
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
// Reporters are told apart by their address, as far as it can be believed (see
// clients.address), for a day and by this process alone: a class at its computers is
// one. Where a proxy is not known (trusted_proxies), what it says last is believed.
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
	day      int64
	salt     [32]byte // makes nothing of a reporter but whether it is the same
	messages map[canyu.MessageKey]map[reporter]bool
	minute   time.Time
	recent   map[reporter]int
}

func newWallReports() *wallReports {
	return &wallReports{messages: make(map[canyu.MessageKey]map[reporter]bool), recent: make(map[reporter]int)}
}

func (w *wallReports) who(ctx *fasthttp.RequestCtx, c *clients, now time.Time) (r reporter) {
	addr, known := c.address(ctx)
	said := ""
	if !known {
		if all := ctx.Request.Header.PeekAll("X-Forwarded-For"); len(all) > 0 {
			last := all[len(all)-1]
			said = strings.TrimSpace(string(last[bytes.LastIndexByte(last, ',')+1:]))
		}
	}
	w.mu.Lock()
	if day := now.Unix() / 86400; day != w.day || w.salt == [32]byte{} {
		w.day = day
		_, _ = rand.Read(w.salt[:]) // never fails
		clear(w.messages)
	}
	h := hmac.New(sha256.New, w.salt[:])
	w.mu.Unlock()
	fmt.Fprintf(h, "%s\n%s", addr, said)
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
	if err != nil {
		newProblem(400, "malformed", "No report", "key: want that of a message on the wall, from its own page").write(ctx)
		return
	}
	who := s.reports.who(ctx, &s.clients, s.now())
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
	m.Decided = canyu.DecidedAt(s.now(), m.Decided)
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
	if s.down(a.ID, canyu.SwitchWall) {
		return &wallPage{Messages: []slip{}}, nil
	}
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
