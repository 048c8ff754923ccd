package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// Whatever a request is, it gets an answer, and no fault: forms, questions in
// addresses, cookies, links, what proxies say of visitors. What it says comes back as
// text and never as markup, and sends nobody to another site.
func FuzzRequest(f *testing.F) {
	h := newHall(f, func(c *ingest.Config) { c.Activities[0].Wall = &canyu.Wall{} })
	cookie := h.link(canyu.Scope{Kind: canyu.AdminScope})
	_, token, _ := strings.Cut(cookie, "=")
	const mark = `"'><script>x</script>`
	head := " HTTP/1.1\r\nHost: canyu.example.org\r\nAccept: text/html\r\nCookie: " + cookie + "; canyu_class=x\r\n"
	for _, get := range []string{
		"/", "/a/hall", "/a/hall?q=一小&region=341800&lang=en", "/a/hall?school=3418020001&grade=3&class=1&seat=4&role=parent&mode=x",
		"/a/hall?q=" + mark, "/a/hall/wall?school=3418020001&before=0&q=a&reported", "/a/hall/privacy?lang=" + mark,
		"/v1/activities/hall", "/v1/activities/hall/counts?region=341802", "/v1/activities/hall/counts?school=3418020001",
		"/v1/activities/hall/live?school=3418020001", "/v1/activities/hall/seats?school=3418020001&grade=3&class=99999999999999999999",
		"/v1/activities/hall/receipts?school=3418020001&grade=3&class=1&receipt=0000-0000", "/v1/activities/hall/wall?before=-1",
		"/link/" + token, "/link/%00", "/assets/page.css", "/metrics", "/readyz", "//", "/a/..//",
	} {
		f.Add([]byte("GET " + strings.ReplaceAll(get, " ", "+") + head + "X-Forwarded-For: 1.2.3.4, [::1]:5, unknown, for=_x\r\nX-Forwarded-Proto: https\r\n\r\n"))
	}
	for path, body := range map[string]string{
		"/a/hall":            "school=3418020001&grade=3&class=1&role=student&seat=%EF%BC%91&steps=bow&steps=flower&message=" + mark + "&id=x&consent=1",
		"/a/hall?a=b":        "school=%ff&grade=-1&class=1e9&role=&seat=99999999999999999999&steps=" + mark + "&name=%00%00",
		"/a/hall/wall":       "key=0000000000000001&back=//evil.example.org/a/hall/wall",
		"/v1/participations": `{"activity":"hall","school":"3418020001","grade":3,"class":1,"role":"student","seat":1,"steps":["bow","flower"]}`,
	} {
		kind := "application/x-www-form-urlencoded"
		if body[0] == '{' {
			kind = "application/json"
		}
		f.Add(fmt.Appendf(nil, "POST %s%sOrigin: http://canyu.example.org\r\nSec-Fetch-Site: same-origin\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, head, kind, len(body), body))
	}
	address := strings.TrimPrefix(h.url, "http://")
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(8 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(raw); err != nil {
			return // it has been answered and closed
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			return
		}
		method, _, _ := strings.Cut(string(raw), " ")
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Fatalf("%q: no answer", raw)
		}
		if err != nil {
			return // closed
		}
		defer resp.Body.Close()
		if to := resp.Header.Get("Location"); resp.StatusCode == 500 || to != "" && (to[0] != '/' || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
			t.Fatalf("%q: %d, to %q", raw, resp.StatusCode, to)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%q: %v", raw, resp.Header)
		}
		if kind := resp.Header.Get("Content-Type"); kind == "text/event-stream" || resp.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(kind, "text/html") {
			return
		}
		body, _ := io.ReadAll(resp.Body)
		if bytes.Contains(bytes.ToLower(body), []byte("<script>x")) {
			t.Fatalf("%q: what it says is markup", raw)
		}
	})
}
