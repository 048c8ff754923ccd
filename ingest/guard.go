package ingest

import (
	"bytes"
	"net"
	"net/netip"
	"net/url"

	"github.com/valyala/fasthttp"
)

var (
	headerNosniff = []byte("X-Content-Type-Options")
	valueNosniff  = []byte("nosniff")
)

// answerPolicy is the content security policy of what is no page.
const answerPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Guard adds to an answer what a browser should know of its use, where its handler
// has not said something else. https says that visitors reach the site by it.
func Guard(ctx *fasthttp.RequestCtx, https bool) {
	if ctx.Response.StatusCode() == fasthttp.StatusNotModified {
		return // a browser puts these headers over those of the page that it has kept
	}
	h := &ctx.Response.Header
	usual := func(name, value string) {
		if len(h.Peek(name)) == 0 {
			h.Set(name, value)
		}
	}
	usual("X-Content-Type-Options", "nosniff")
	usual("X-Frame-Options", "DENY")
	usual("Referrer-Policy", "no-referrer")
	usual("Cross-Origin-Resource-Policy", "same-origin")
	usual("Content-Security-Policy", answerPolicy)
	usual("Cache-Control", "no-store")
	if bytes.HasPrefix(h.ContentType(), []byte("text/html")) {
		usual("Cross-Origin-Opener-Policy", "same-origin")
		usual("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	}
	if Secure(ctx, https) {
		usual("Strict-Transport-Security", "max-age=15552000") // half a year
	}
}

func (s *Server) guard(ctx *fasthttp.RequestCtx) { Guard(ctx, s.HTTPS) }

// Secure reports whether the visitor came by https: the site is reached by it, or a
// proxy at hand says so.
func Secure(ctx *fasthttp.RequestCtx, https bool) bool {
	return https || ctx.IsTLS() || string(ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https" && atHand(ctx.RemoteIP())
}

// Near reports whether a machine at hand asks, and for nobody else.
func Near(ctx *fasthttp.RequestCtx) bool {
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via"} {
		if len(ctx.Request.Header.Peek(name)) > 0 {
			return false
		}
	}
	return atHand(ctx.RemoteIP())
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // balancers of clouds

func atHand(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()
	return ok && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a))
}

// FromElsewhere reports whether the visitor's browser says that the page of another
// site made it send this. Old browsers, and those in a place without https, say only
// where a form comes from; that is compared with where it goes, as far as a proxy
// has left it. A browser that says nothing is believed: it may be a very old one.
func FromElsewhere(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	switch string(h.Peek("Sec-Fetch-Site")) {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin, err := url.Parse(string(h.Peek("Origin")))
	if err != nil || origin.Host == "" {
		return false // a page of ours that tells nobody where it is: null
	}
	host := h.Peek("X-Forwarded-Host")
	if len(host) == 0 {
		host = h.Host()
	}
	name, _, err := net.SplitHostPort(string(host))
	if err != nil {
		name = string(host)
	}
	if !bytes.ContainsRune([]byte(name), '.') || net.ParseIP(name) != nil && len(h.Peek("X-Forwarded-For")) > 0 {
		return false // the name that the proxy has for this server
	}
	return origin.Hostname() != name
}
