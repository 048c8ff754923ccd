package loadtest

import (
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu/loadtest/baseline"
)

// BenchmarkClient is one request to a bare server in the same process, 256 at a
// time: by the connection of this package and by fasthttp's client. The server is
// the same, so the difference of the two is the client's.
func BenchmarkClient(b *testing.B) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- baseline.Serve(b.Context(), ln, baseline.Bare) }()
	b.Cleanup(func() { <-done })
	target, err := NewTarget(b.Context(), "http://"+ln.Addr().String(), false)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"activity":"qingming-2017","school":"3418020001","grade":3,"class":2,"role":"student","seat":17,` +
		`"steps":["bow","flower","message"],"message":"愿山河无恙，愿人间皆安。","id":"e4ec99478cf9fafd"}`)
	head := target.head("POST", participations)

	b.Run("conn", func(b *testing.B) {
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			c := newConn(target, time.Minute)
			defer c.close()
			for pb.Next() {
				err := c.open(b.Context())
				if err == nil {
					_, err = c.do(head, body, time.Now())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("fasthttp.HostClient", func(b *testing.B) {
		client := &fasthttp.HostClient{Addr: ln.Addr().String(), MaxConns: 1000}
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			req.SetRequestURI(target.URL.JoinPath(participations).String())
			req.Header.SetMethod("POST")
			req.Header.SetContentType("application/json")
			for pb.Next() {
				req.SetBodyRaw(body)
				if err := client.Do(req, resp); err != nil {
					b.Error(err)
					return
				}
			}
		})
		client.CloseIdleConnections()
	})
}
