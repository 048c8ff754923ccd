package ingest

import (
	"bytes"
	"hash/maphash"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// visitor is who sends a request, as far as it can be told apart from others. All of
// it are hashes under a key that only this process has, and a new one every day:
// nothing of an address is kept, and nothing that could be compared tomorrow.
type visitor struct {
	page  pageToken // of a page of ours; zero: none
	fine  uint64    // the address, what a proxy says of it, and the browser: easily changed
	place uint64    // the address alone, 0 where it may be a proxy's that stands for many
}

// client is what a visitor's conduct is remembered under, for an activity. Somebody
// without a page of ours is told apart from others by what anybody can send.
func (v *visitor) client(a *activity) uint64 {
	if v.page.session != 0 && v.page.of == a.pages {
		return v.page.session
	}
	return v.fine
}

// clients makes visitors of requests.
type clients struct {
	proxies []netip.Prefix // whose X-Forwarded-For is believed
	seed    atomic.Pointer[daySeed]
}

type daySeed struct {
	day  int64
	seed maphash.Seed
}

func (c *clients) seedOf(at time.Time) maphash.Seed {
	day := at.Unix() / 86400
	s := c.seed.Load()
	if s == nil || s.day != day {
		s = &daySeed{day, maphash.MakeSeed()}
		c.seed.Store(s) // of two at once one is forgotten, and a few requests with it
	}
	return s.seed
}

// of is the visitor of a request, without its page.
func (c *clients) of(ctx *fasthttp.RequestCtx, at time.Time) (v visitor) {
	seed := c.seedOf(at)
	addr, known := c.address(ctx)
	from := addr.As16()
	place := maphash.Bytes(seed, from[:])
	h := &ctx.Request.Header
	v.fine = mix(place, mix(maphash.Bytes(seed, h.UserAgent()), maphash.Bytes(seed, h.Peek("X-Forwarded-For"))))
	if known {
		v.place = place | 1
	}
	return v
}

// mix joins two hashes into one that is neither's, nor that of the other order.
func mix(a, b uint64) uint64 {
	x := a*0x9E3779B97F4A7C15 ^ b
	x ^= x >> 32
	return x * 0xD6E8FEB86659FD93
}

// address of the visitor: the connection's, or what the proxies that are believed say,
// from the right: the first that is none of theirs. Of an IPv6 address the part that
// a household or a school has. known is false where it may stand for everybody: a
// machine at hand that nobody has said to be a proxy, or a proxy that says nothing.
func (c *clients) address(ctx *fasthttp.RequestCtx) (addr netip.Addr, known bool) {
	tcp, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if ok {
		addr, _ = netip.AddrFromSlice(tcp.IP)
		addr = addr.Unmap()
	}
	if !c.trusted(addr) {
		return household(addr), ok && !atHand(tcp.IP)
	}
	headers := ctx.Request.Header.PeekAll("X-Forwarded-For") // some proxies add a line of their own
	for i := len(headers) - 1; i >= 0; i-- {
		for rest := headers[i]; len(rest) > 0; {
			comma := bytes.LastIndexByte(rest, ',')
			text := bytes.TrimSpace(rest[comma+1:])
			hop, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
			if err != nil {
				return household(addr), false
			}
			if hop = hop.Unmap().WithZone(""); !c.trusted(hop) {
				return household(hop), true
			}
			addr, rest = hop, rest[:max(comma, 0)]
		}
	}
	return household(addr), false
}

func (c *clients) trusted(addr netip.Addr) bool {
	for _, p := range c.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func household(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
