package ingest

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// What stands between strangers and the handlers: how a request must be written, how
// many connections and large bodies there may be at once, and what every answer says
// about its use. What fasthttp bounds by itself is in NewServer.

// crooked is what is wrong with a request that fasthttp reads but that a proxy in
// front may have read as another one, or nil. Such a request is answered and its
// connection closed, so that nothing behind it is taken for a request.
func crooked(ctx *fasthttp.RequestCtx) *problem {
	h := &ctx.Request.Header
	bad := func(detail string) *problem { return newProblem(400, "malformed", "No HTTP request", detail) }
	if v := string(h.Protocol()); v != "HTTP/1.1" && v != "HTTP/1.0" {
		return newProblem(505, "version", "No such version of HTTP", "want HTTP/1.1")
	}
	length, encoding := false, false
	for raw := h.RawHeaders(); len(raw) > 0; {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return bad("header: want every line to end in CR LF")
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			continue // the end
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || line[0] == ' ' || line[0] == '\t' || bytes.IndexByte(line[:colon], ' ') >= 0 {
			return bad("header: want a name without spaces and its value on one line")
		}
		switch {
		case colon == len("content-length") && bytes.EqualFold(line[:colon], []byte("content-length")):
			length = true
		case colon == len("transfer-encoding") && bytes.EqualFold(line[:colon], []byte("transfer-encoding")):
			encoding = true
			if !bytes.EqualFold(bytes.TrimSpace(line[colon+1:]), []byte("chunked")) {
				return bad("Transfer-Encoding: want chunked, or none")
			}
		}
	}
	if length && encoding {
		return bad("want either Content-Length or Transfer-Encoding")
	}
	if path := ctx.URI().PathOriginal(); len(path) > 0 && !bytes.Equal(path, ctx.Path()) {
		return bad("address: want it without escapes, dots or empty parts")
	}
	return nil
}

// Room for all of a body is made before it arrives. So that many who announce much
// and send nothing take no memory, only so many large ones may be on their way.
const (
	largeBody   = 8 << 10 // one submission is smaller
	largeBodies = 256     // an array of a class each
	requestTime = 20 * time.Second
	fileTime    = 3 * time.Minute // to take a workbook home over a slow line
)

// bodies are the large ones that are on their way, by the header they came with,
// since when.
type bodies struct {
	n  atomic.Int32
	mu sync.Mutex
	on map[*fasthttp.RequestHeader]time.Time
}

// enter reports whether there is room for one more.
func (b *bodies) enter(h *fasthttp.RequestHeader) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on == nil {
		b.on = make(map[*fasthttp.RequestHeader]time.Time)
	}
	if len(b.on) >= largeBodies {
		for other, since := range b.on { // of a connection that broke, nobody tells
			if now.Sub(since) > requestTime {
				delete(b.on, other)
			}
		}
	}
	ok := len(b.on) < largeBodies
	if ok {
		b.on[h] = now
	}
	b.n.Store(int32(len(b.on)))
	return ok
}

func (b *bodies) leave(h *fasthttp.RequestHeader) {
	if b.n.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.on, h)
	b.n.Store(int32(len(b.on)))
}

// received bounds a body before any of it is read.
func (s *Server) received(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	s.bodies.leave(h)
	if uri := h.RequestURI(); bytes.HasPrefix(uri, []byte("/school/")) || bytes.HasPrefix(uri, []byte("/bureau/")) {
		c.WriteTimeout = fileTime
	}
	n := h.ContentLength()
	if n == 0 || n < -1 {
		return c // none
	}
	c.MaxRequestBodySize = max(1, s.bodyLimit(h.RequestURI())) // 0 would be the default
	if (n > largeBody || n < 0) && n <= c.MaxRequestBodySize && !s.bodies.enter(h) {
		c.MaxRequestBodySize = largeBody
	}
	return c
}

// bodyLimit is how many bytes may come with a request to the address.
func (s *Server) bodyLimit(uri []byte) int {
	raw, _, _ := bytes.Cut(uri, []byte("?"))
	if string(raw) == participationsPath { // the many: compared, not copied
		return MaxBody
	}
	if r := canyu.FindRoute(s.requests.routes, string(raw)); r != nil {
		return r.Body
	}
	return formBody
}

// Connections. A browser has up to six, and two thousand pupils may be behind one
// address: so there is a bound on all of them, and one for each address only where
// the operator knows that no proxy stands in front.
const (
	mostConnections = 20_000
	hurry           = 5 * time.Second
)

// connections is how many there may be at once: those asked for, else as many as
// files may be open, less what viewers and data need.
func connections(asked int) int {
	if asked > 0 {
		return asked
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return mostConnections
	}
	return int(min(mostConnections, max(64, files.Cur/2)))
}

// entrance is a listener that outlives a shortage of files, and has less patience with
// those who come when half of the connections are taken: they have to say what they
// want within seconds, and are not kept when they are idle.
type entrance struct {
	net.Listener
	open  func() int32
	crowd int32
	log   *slog.Logger
}

// Entrance is ln for the server; see entrance.
func Entrance(ln net.Listener, server *fasthttp.Server, log *slog.Logger) net.Listener {
	return &entrance{ln, server.GetOpenConnectionsCount, int32(server.Concurrency / 2), log}
}

func (e *entrance) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		c, err := e.Listener.Accept()
		switch {
		case err == nil && e.open() > e.crowd:
			return hurried{c}, nil
		case err == nil || !passes(err):
			return c, err
		}
		if wait == time.Second {
			e.log.Error("cannot accept connections", "error", err)
		}
		time.Sleep(wait)
	}
}

// passes reports whether accepting may work a little later.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

type hurried struct{ net.Conn }

func (c hurried) SetReadDeadline(t time.Time) error {
	if soon := time.Now().Add(hurry); t.IsZero() || t.After(soon) {
		t = soon
	}
	return c.Conn.SetReadDeadline(t)
}
