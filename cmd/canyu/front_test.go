package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu/ingest"
)

// The fronts that deploy/ has, as they are there but for ports, paths and certificate,
// before a real canyu.
func TestFronts(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "trusted_proxies: [127.0.0.1]\n")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	link := strings.Fields(s.must("link", "school", "3418020001"))
	for i, kind := range []func(*testing.T, string, ...string) *front{newNginx, newHAProxy} {
		t.Run([]string{"nginx", "haproxy"}[i], func(t *testing.T) {
			between := newBetween(t, v.url)
			f := kind(t, certificates(t), between.address, between.address)
			f.await()
			f.t = t
			f.redirects()
			f.hides()
			f.pages(s)
			f.believesNoVisitor(between)
			f.cookies(link)
			f.live(s)
			f.sendsAgain(s, between, 1+i)
			f.bell(s, between, 2000*i, 2000)
		})
	}
	v.stop()
}

// front is a proxy that does TLS, with a visitor's browser before it.
type front struct {
	t          *testing.T
	plain, tls string
	client     *http.Client
	log        *syncBuffer
}

func (f *front) do(method, path, body string, headers ...string) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.tls+path, strings.NewReader(body))
	check(f.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := f.client.Do(req)
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", method, path, err, f.log)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	check(f.t, err)
	return r, string(text)
}

func (f *front) await() {
	f.t.Helper()
	eventually(f.t, "the front serves", func() bool {
		r, err := f.client.Get(f.tls + "/")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode < 400
	})
}

func (f *front) redirects() {
	r, err := f.client.Get(f.plain + "/a/x?y=1")
	check(f.t, err)
	r.Body.Close()
	if to := r.Header.Get("Location"); r.StatusCode != 301 || to != "https://127.0.0.1/a/x?y=1" && to != "https://"+r.Request.URL.Host+"/a/x?y=1" {
		f.t.Errorf("plain HTTP: %d to %q", r.StatusCode, to)
	}
}

// hides: what is for the operator.
func (f *front) hides() {
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		if r, _ := f.do("GET", path, ""); r.StatusCode != 404 {
			f.t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}

// pages come by HTTP/2, their files with the headers that canyu gave them.
func (f *front) pages(s *site) {
	r, page := f.do("GET", "/a/"+s.activity, "", "Accept-Encoding", "gzip")
	if r.StatusCode != 200 || r.ProtoMajor != 2 || r.Header.Get("Content-Encoding") != "gzip" {
		f.t.Errorf("the page: %d HTTP/%d %q, %d bytes", r.StatusCode, r.ProtoMajor, r.Header.Get("Content-Encoding"), len(page))
	}
	_, page = f.do("GET", "/a/"+s.activity, "", "Accept-Encoding", "identity")
	_, rest, _ := strings.Cut(page, `"/assets/`)
	name, _, ok := strings.Cut(rest, `"`)
	if r, _ = f.do("GET", "/assets/"+name, ""); !ok || r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		f.t.Errorf("the page's file %q: %d, Cache-Control %q", name, r.StatusCode, r.Header.Get("Cache-Control"))
	}
}

// believesNoVisitor: who claims another address, or plain HTTP, is not believed.
func (f *front) believesNoVisitor(b *between) {
	f.do("GET", "/", "", "X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Real-IP", "203.0.113.9", "X-Forwarded-Proto", "http")
	h := b.last()
	if for_, proto := h.Values("X-Forwarded-For"), h.Get("X-Forwarded-Proto"); len(for_) != 1 || for_[0] != "127.0.0.1" || proto != "https" {
		f.t.Errorf("X-Forwarded-For %q, X-Forwarded-Proto %q", for_, proto)
	}
	for key, values := range h {
		if strings.Contains(fmt.Sprint(values), "203.0.113.9") {
			f.t.Errorf("%s: %s came through", key, values)
		}
	}
}

// cookies of links are for https alone, which canyu knows from the front.
func (f *front) cookies(link []string) {
	for _, word := range link {
		if _, token, ok := strings.Cut(word, "/link/"); ok {
			r, _ := f.do("GET", "/link/"+token, "")
			if cookie := r.Header.Get("Set-Cookie"); r.StatusCode != 303 || !strings.Contains(strings.ToLower(cookie), "; secure") {
				f.t.Errorf("a link: %d, %q", r.StatusCode, cookie)
			}
			return
		}
	}
	f.t.Errorf("no link in %q", link)
}

// live: the first event is there at once, though the answer has no end; of a busy
// machine, soon.
func (f *front) live(s *site) {
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", f.tls+"/v1/activities/"+s.activity+"/live?school=3418020001", nil)
	check(f.t, err)
	began := time.Now()
	r, err := f.client.Do(req)
	check(f.t, err)
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			took := time.Since(began)
			if f.t.Logf("the first event came after %s", took); took > 20*time.Second {
				f.t.Error("it was held back")
			}
			return
		}
	}
	f.t.Errorf("no event came: %d", r.StatusCode)
}

// sendsAgain: a submission whose answer is lost goes to another server and counts
// once; any other POST is not sent again by the front.
func (f *front) sendsAgain(s *site, b *between, seat int) {
	body := s.submission(map[string]any{"seat": seat, "id": "again" + fmt.Sprint(seat)})
	before := b.loseAnswer("/v1/participations")
	r, text := f.do("POST", "/v1/participations", body, "Content-Type", "application/json")
	if n := b.posts() - before; r.StatusCode != 200 || !strings.Contains(text, `"counted":false`) || n != 2 {
		f.t.Errorf("a submission whose answer was lost: %d %s after %d tries, want 200 of the second", r.StatusCode, text, n)
	}
	// Over HTTP/1.1, where browsers do not send by themselves what the front gives up.
	again := *f
	again.client = &http.Client{Timeout: f.client.Timeout, Transport: &http.Transport{TLSClientConfig: f.client.Transport.(*http.Transport).TLSClientConfig.Clone(), DisableKeepAlives: true}}
	again.client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	before = b.loseAnswer("/school/3418020001")
	if r, text = again.do("POST", "/school/3418020001", "x=1", "Content-Type", "application/x-www-form-urlencoded"); r.StatusCode < 500 || b.posts()-before != 1 {
		f.t.Errorf("another form whose answer was lost: %d %.80s, sent %d times", r.StatusCode, text, b.posts()-before)
	}
}

// bell: so many pupils of one school, behind one address, at once.
func (f *front) bell(s *site, b *between, from, n int) {
	file, err := os.Open("testdata/roster-gb18030.csv")
	check(f.t, err)
	defer file.Close()
	roster, err := ingest.ReadRoster(file, file.Name())
	check(f.t, err)
	pupils := make(chan string, n)
	var all []string
	for _, e := range roster.Entries() {
		for seat := 1; seat <= e.Enrolled && len(all) < from+n; seat++ {
			all = append(all, s.submission(map[string]any{"school": e.School.String(), "grade": e.Grade, "class": e.Class, "seat": seat, "id": fmt.Sprint("bell", len(all))}))
		}
	}
	for _, body := range all[from:] {
		pupils <- body
	}
	close(pupils)
	dialled := b.dialled()
	var mu sync.Mutex
	answers := make(map[int]int)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for body := range pupils {
				r, err := f.client.Post(f.tls+"/v1/participations", "application/json", strings.NewReader(body))
				status := 0
				if err == nil {
					status = r.StatusCode
					_, _ = io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	accepted := answers[200] + answers[201] + answers[202]
	if accepted != n {
		f.t.Errorf("a bell of %d behind one address: by status %v", n, answers)
	}
	if kept := b.dialled() - dialled; kept > n/4 {
		f.t.Errorf("%d connections to canyu for %d requests: they are not kept", kept, n)
	}
}

// between stands between the front and canyu, sees what the front says, and loses an
// answer when told to.
type between struct {
	address string
	mu      sync.Mutex
	header  http.Header
	lose    string // path of a POST
	posted  int
	dials   int
}

func newBetween(t *testing.T, address string) *between {
	t.Helper()
	to, err := url.Parse(address)
	check(t, err)
	b := new(between)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			maps.Copy(r.Out.Header, r.In.Header)
		},
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 200},
		ErrorLog:      quietLog(),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		if r.URL.Path != "/readyz" { // the front asks that by itself
			b.header = r.Header.Clone()
		}
		lost := r.Method == "POST" && r.URL.Path == b.lose
		if lost {
			b.lose = ""
		}
		if r.Method == "POST" {
			b.posted++
		}
		b.mu.Unlock()
		if lost {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				c.Close() // the answer is lost, and the connection with it
			}
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.mu.Lock()
			b.dials++
			b.mu.Unlock()
		}
	}
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	b.address = server.Listener.Addr().String()
	return b
}

func (b *between) last() http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.header
}

func (b *between) posts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.posted
}

func (b *between) dialled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dials
}

// loseAnswer of the next POST to path; how many POSTs there were so far.
func (b *between) loseAnswer(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose = path
	return b.posted
}
