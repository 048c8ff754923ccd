package ingest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// Live counts are text/event-stream. The first event has everything that …/counts
// says, and so has every later one, which comes when something has changed, at most
// once a second:
//
//	data: {…as counts…,"live":true,"state":"live","now":"…","every":1}
//
// Where the ledger is away, or submissions wait in the spool, live is false and state
// says why (away, spooled); the numbers are the last known ones, of as_of, or null
// where none are known yet. Of a city and above, schools are left out. While nothing
// changes there is an "event: beat" every ten seconds with as_of, now, live and state:
// a page that hears nothing for longer is not live.
//
// A stream is a goroutine and a connection, outside of fasthttp's buffers: the bytes
// are made once for all that watch the same school (see live_watch.go). It ends after
// some half an hour, so that a link that has expired meanwhile is seen.

const (
	liveEvery   = time.Second
	beatEvery   = 10 * time.Second
	liveFor     = 30 * time.Minute // and up to as much again
	liveStalled = 10 * time.Second // a viewer that takes nothing for so long is gone
	mostViewers = 10_000
)

// live is GET /v1/activities/{activity}/live?school=…|region=….
func (s *Server) live(ctx *fasthttp.RequestCtx, a *activity) {
	where, _, how, ok := s.asked(ctx, a)
	if !ok {
		return
	}
	if s.hub.full() {
		p := newProblem(503, "busy", "Too many viewers", "this server has no room for another live view: try again, or ask for counts")
		p.retryAfter = fmt.Sprint(5 + rand.IntN(10))
		p.write(ctx)
		return
	}
	if ctx.IsHead() {
		ctx.Response.Header.Set("Cache-Control", "no-store, no-transform")
		ctx.SetContentType("text/event-stream")
		return
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		if held, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
			c = held.UnsafeConn() // what fasthttp keeps around it is free for others
		}
		go s.hub.feed(c, watchKey{a.ID, where}, how)
	})
}

const liveHeader = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: text/event-stream\r\n" +
	"Cache-Control: no-store, no-transform\r\n" +
	"Vary: Cookie\r\n" +
	"Referrer-Policy: same-origin\r\n" +
	"X-Content-Type-Options: nosniff\r\n" +
	"Cross-Origin-Resource-Policy: same-origin\r\n" +
	"X-Accel-Buffering: no\r\n" + // nginx would hold events back
	"Connection: close\r\n\r\n"

// feed writes events to a viewer until it is gone or the server ends. A slow viewer
// misses what is older than the newest.
func (h *hub) feed(c net.Conn, key watchKey, how shown) {
	defer c.Close()
	w := h.join(key, how)
	if w == nil {
		return
	}
	defer h.leave(w, how)
	end := time.Now().Add(liveFor + rand.N(liveFor))
	send := func(b []byte) bool {
		if c.SetWriteDeadline(time.Now().Add(liveStalled)) != nil {
			return false
		}
		_, err := c.Write(b)
		return err == nil
	}
	// When the server goes, its viewers do not come back all at once.
	if !send(fmt.Appendf(nil, "%sretry: %d\n\n", liveHeader, 1000+rand.IntN(4000))) {
		return
	}
	for seen := uint64(0); ; {
		e := w.out[how].Load()
		if e.last {
			return
		}
		if e.number != seen && !send(e.counts) || e.beat != nil && !send(e.beat) {
			return
		}
		seen = e.number
		select {
		case <-e.next:
		case <-h.closing:
			return
		}
		if time.Now().After(end) {
			return
		}
	}
}
