//go:build !race

package ingest

import (
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Watching costs no garbage either.
func TestWatchingAllocatesNothing(t *testing.T) {
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	token := []byte(s.watch.tokens.fresh(s.activities["qingming-2017"], at))
	var ctx fasthttp.RequestCtx
	var r fasthttp.Request
	r.Header.SetUserAgent("Mozilla/5.0")
	ctx.Init(&r, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 1}, nil)
	p := canyu.Participation{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Role: canyu.Student, Participant: 7, At: at, Message: "念"}
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(time.Second) // or it would be told to wait
		v := s.visitor(&ctx, token, at)
		if s.limited(&v, at) == nil {
			_ = s.watch.judge(&v, s.activities["qingming-2017"], &p, 5, true)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
