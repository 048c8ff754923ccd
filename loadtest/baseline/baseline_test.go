package baseline_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu/loadtest/baseline"
)

// serve runs h as its command does and returns its URL.
func serve(t *testing.T, h fasthttp.RequestHandler) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- baseline.Serve(ctx, ln, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	req.SetRequestURI(url + baseline.Path)
	req.Header.SetMethod("POST")
	req.SetBodyString(body)
	if err := fasthttp.Do(req, resp); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode(), string(resp.Body())
}

func TestBare(t *testing.T) {
	t.Parallel()
	url := serve(t, baseline.Bare)
	if status, _ := post(t, url, "{}"); status != 204 {
		t.Errorf("answers %d", status)
	}
	if status, _, err := fasthttp.Get(nil, url+"/readyz"); err != nil || status != 204 {
		t.Errorf("readyz: %d, %v", status, err)
	}
}

func TestPerCommand(t *testing.T) {
	t.Parallel()
	server := os.Getenv("CANYU_TEST_REDIS")
	if server == "" {
		t.Fatal("set CANYU_TEST_REDIS or run make test")
	}
	o, err := redis.ParseURL(server)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	for _, pipelined := range []bool{false, true} {
		prefix := "test-" + rand.Text()
		url := serve(t, (&baseline.PerCommand{Redis: client, Prefix: prefix, Pipelined: pipelined}).Handle)
		f := func(body string, wantStatus int, want string) {
			t.Helper()
			if status, got := post(t, url, body); status != wantStatus || got != want {
				t.Errorf("pipelined %v: %s answers %d %s; want %d %s", pipelined, body, status, got, wantStatus, want)
			}
		}
		seat := func(n int) string {
			return fmt.Sprintf(`{"activity":"a","school":"3418020001","grade":3,"class":2,"role":"student","seat":%d,"steps":["bow"],"message":"好","id":"x"}`, n)
		}
		f(seat(1), 201, `{"counted":true}`)
		f(seat(2), 201, `{"counted":true}`)
		f(seat(1), 200, `{"counted":false}`)
		f(`{`, 400, "malformed")
		f(`{"activity":"a"}`, 422, "incomplete")

		ctx := t.Context()
		if n := client.HGet(ctx, prefix+":{a}:classes", "3418020001:3:2:student").Val(); n != "2" {
			t.Errorf("pipelined %v: the class has %q; want 2", pipelined, n)
		}
		if n := client.HGet(ctx, prefix+":{a}:schools", "3418020001:student").Val(); n != "2" {
			t.Errorf("pipelined %v: the school has %q; want 2", pipelined, n)
		}
		if n := client.XLen(ctx, prefix+":{a}:log").Val(); n != 2 {
			t.Errorf("pipelined %v: the log has %d lines; want 2", pipelined, n)
		}
		client.Del(ctx, prefix+":{a}:classes", prefix+":{a}:schools", prefix+":{a}:log", prefix+":{a}:who:3418020001:3:2:student")
	}
}
