package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu/ingest"
)

// raw sends bytes and returns every answer until the server closes the connection, or
// says nothing for a while. What it takes no more is not an error: it has closed.
func raw(t *testing.T, address string, request io.Reader, patience time.Duration) (statuses []int, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(c, request)
	}()
	r := bufio.NewReader(c)
	for {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			c.Close()
			<-sent
			return statuses, false
		}
		if err != nil {
			c.Close()
			<-sent
			return statuses, true
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
}

// What is written in a way that a proxy in front may read as something else is
// refused, and its connection closed: never are two requests made of one.
func TestCrookedRequests(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	address := strings.TrimPrefix(h.url, "http://")
	const (
		body = `{"activity":"hall","school":"3418020001","grade":3,"class":1,"role":"student","seat":1}`
		next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" // what is smuggled
		post = "POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		get  = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
	)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		request string
		want    string // statuses, and whether it was closed then
	}{
		// What is well.
		"length":                {post + length + "\r\n" + body + next, "201 200 open"},
		"chunks":                {post + "Transfer-Encoding: chunked\r\n\r\n" + chunks + next, "200 200 open"},
		"two gets":              {get + "\r\n" + next, "200 200 open"},
		"keep-alive of 1.0":     {"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next, "200 200 open"},
		"1.0":                   {"GET /healthz HTTP/1.0\r\n\r\n" + next, "200 closed"},
		"absolute form":         {"GET http://y/healthz HTTP/1.1\r\nHost: x\r\n\r\n", "200 open"},
		"expectation":           {post + length + "Expect: 100-continue\r\n\r\n" + body, "100 200 open"},
		"a get with a question": {"GET /healthz?x=%2e%2e//y HTTP/1.1\r\nHost: x\r\n\r\n", "200 open"},

		// Two lengths.
		"CL.TE":                      {post + length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400 closed"},
		"TE.CL":                      {post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunks + next, "400 closed"},
		"CL 0 and TE":                {post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + next, "400 closed"},
		"two lengths":                {post + "Content-Length: 0\r\n" + length + "\r\n" + body + next, "400 closed"},
		"the same length twice":      {post + length + length + "\r\n" + body + next, "400 closed"},
		"a list of lengths":          {post + "Content-Length: 3, 3\r\n\r\nabc" + next, "400 closed"},
		"a length with a sign":       {post + "Content-Length: +3\r\n\r\nabc" + next, "400 closed"},
		"a negative length":          {post + "Content-Length: -1\r\n\r\n" + next, "400 closed"},
		"a length in hexadecimal":    {post + "Content-Length: 0x3\r\n\r\nabc" + next, "400 closed"},
		"a length that overflows":    {post + "Content-Length: 18446744073709551619\r\n\r\nabc" + next, "400 closed"},
		"no length in a number":      {post + "Content-Length: \r\n\r\n" + next, "400 closed"},
		"length, space before colon": {post + "Content-Length : 3\r\n\r\nabc" + next, "400 closed"},
		"length, tab before colon":   {post + "Content-Length\t: 3\r\n\r\nabc" + next, "400 closed"},
		"length on the next line":    {post + "Content-Length:\r\n 3\r\n\r\nabc" + next, "400 closed"},

		// Transfer-Encoding in disguise.
		"TE twice":                 {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunks + next, "400 closed"},
		"TE xchunked":              {post + "Transfer-Encoding: xchunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE identity":              {post + length + "Transfer-Encoding: identity\r\n\r\n" + body + next, "400 closed"},
		"TE identity alone":        {post + "Transfer-Encoding: identity\r\n\r\n" + body + next, "400 closed"},
		"TE list":                  {post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE, space before colon":   {post + length + "Transfer-Encoding : chunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE, tab in the value":     {post + "Transfer-Encoding: \tchunked\r\n\r\n" + chunks + next, "200 200 open"},
		"TE, vertical tab":         {post + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE in quotes":             {post + "Transfer-Encoding: \"chunked\"\r\n\r\n" + chunks + next, "400 closed"},
		"TE folded":                {post + length + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE behind a folded line":  {post + length + "X: x\r\n Transfer-Encoding: chunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE behind a bare LF":      {get + "X: x\nTransfer-Encoding: chunked\r\n\r\n" + chunks + next, "413 closed"},
		"TE behind a bare CR":      {get + "X: x\rTransfer-Encoding: chunked\r\n\r\n" + chunks + next, "400 closed"},
		"TE in 1.0":                {"POST /v1/participations HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + next, "400 closed"},
		"chunk without its end":    {post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + next, "400 closed"},
		"chunk, LF alone":          {post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" + next, "400 closed"},
		"chunk, sign":              {post + "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" + next, "400 closed"},
		"chunk, 0x":                {post + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" + next, "400 closed"},
		"chunk that overflows":     {post + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" + next, "400 closed"},
		"chunk extension with LF":  {post + "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n" + next, "400 closed"},
		"a length among trailers":  {post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 3\r\n\r\n" + next, "400 closed"},
		"chunks past the limit":    {post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 10), "413 closed"},
		"one chunk past the limit": {post + "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", "413 closed"},

		// Other ways to write a request.
		"LF alone":               {"GET /healthz HTTP/1.1\nHost: x\n\r\n\r\n" + next, "400 closed"},
		"a name with a space":    {get + "X Y: z\r\n\r\n" + next, "400 closed"},
		"a space before names":   {"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n" + next, "400 closed"},
		"no name":                {get + ": z\r\n\r\n" + next, "400 closed"},
		"no colon":               {get + "X\r\n\r\n" + next, "400 closed"},
		"NUL in a name":          {get + "X\x00: z\r\n\r\n" + next, "400 closed"},
		"NUL in a value":         {get + "X: z\x00\r\n\r\n" + next, "400 closed"},
		"NUL in the address":     {"GET /healthz\x00 HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"no host":                {"GET /healthz HTTP/1.1\r\n\r\n" + next, "400 closed"},
		"two hosts":              {get + "Host: y\r\n\r\n" + next, "400 closed"},
		"a host that is none":    {"GET /healthz HTTP/1.1\r\nHost: x/../y\r\n\r\n" + next, "400 closed"},
		"0.9":                    {"GET /healthz\r\n\r\n" + next, "400 closed"},
		"2.0":                    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 closed"},
		"1.2":                    {"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n" + next, "505 closed"},
		"1.1 and more":           {"GET /healthz HTTP/1.1x\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"lower case":             {"GET /healthz http/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"two spaces":             {"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"no method":              {" /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"TLS":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400 closed"},
		"dots":                   {"GET /a/../metrics HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"escaped dots":           {"GET /a/%2e%2e/metrics HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"escaped letters":        {"GET /%6detrics HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"an escaped line end":    {"GET /link/%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"two slashes":            {"GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"a file":                 {"GET /assets/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"a tunnel":               {"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n" + next, "400 closed"},
		"everything":             {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" + next, "400 closed"},
		"trace":                  {"TRACE /healthz HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n" + next, "405 200 open"},
		"10 GB":                  {post + "Content-Length: 10737418240\r\n\r\n" + body, "413 closed"},
		"10 GB, expectation":     {post + "Content-Length: 10737418240\r\nExpect: 100-continue\r\n\r\n", "100 413 closed"},
		"more than a form":       {"POST /a/hall HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 20000\r\n\r\n", "413 closed"},
		"a get with a body":      {get + "Content-Length: 3\r\n\r\nabc" + next, "413 closed"},
		"a zipped body":          {post + "Content-Encoding: gzip\r\n" + length + "\r\n" + body + next, "415 200 open"},
		"a huge line":            {get + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431 closed"},
		"a huge address":         {"GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "431 closed"},
		"a million header lines": {get + strings.Repeat("X: y\r\n", 1_000_000) + "\r\n", "431 closed"},
	} {
		all.Go(func() {
			statuses, closed := raw(t, address, strings.NewReader(c.request), 6*time.Second)
			got := strings.Trim(fmt.Sprint(statuses), "[]") + map[bool]string{true: " closed", false: " open"}[closed]
			if name == "length" || name == "chunks" || name == "expectation" || strings.HasPrefix(name, "TE, tab in") { // the first of them counts
				got, c.want = strings.Replace(got, "201", "200", 1), strings.Replace(c.want, "201", "200", 1)
			}
			if got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		})
	}
	all.Wait()
}

// resident is the memory of a process, in MiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n >> 10
}

// A listener outlives a shortage of files.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "connections: 1000\n")
	s.must("roster", "import", s.file("roster.csv", []byte("区划代码,学校标识码,学校名称,年级,班级,人数\n341802,3418020001,甲,3,1,30\n")))
	s.before = "ulimit -n 120; "
	v := s.serve()
	address := strings.TrimPrefix(v.url, "http://")
	var held []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			break // the queue is full as well
		}
		held = append(held, c)
	}
	pauseABit()
	for _, c := range held {
		c.Close()
	}
	v.eventually("it takes connections again", func() error {
		_, _, err := v.get("/healthz")
		return err
	})
	v.stop()
}

// One address may be bound, where no proxy stands in front.
func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(c *ingest.Config) { c.PerAddress = 20 })
	address := strings.TrimPrefix(h.url, "http://")
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	refused := 0
	for range 30 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			refused++
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			refused++
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	if refused < 10 || refused > 12 {
		t.Errorf("%d of 30 were refused, want 10", refused)
	}
}

// Of requests that announce much only so many may be on their way: others are told to
// come again, and those who announce little are taken as ever.
func TestManyLargeBodies(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	address := strings.TrimPrefix(h.url, "http://")
	const head = "POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	announce := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, head+"Content-Length: 200000\r\n\r\n["); err != nil {
			t.Fatal(err)
		}
		return c
	}
	busy := func() bool {
		statuses, _ := raw(t, address, strings.NewReader(head+"Connection: close\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat(" ", 200000)), time.Minute)
		return len(statuses) > 0 && statuses[0] == 503
	}
	var held []net.Conn
	for range 256 {
		held = append(held, announce())
	}
	eventually(t, "no room", func() bool {
		held = append(held, announce()) // one may have been sent away for that of busy
		return busy()
	})
	if status, body := h.get("/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	const one = `{"activity":"hall","school":"3418020001","grade":3,"class":1,"role":"student","seat":1}`
	if statuses, _ := raw(t, address, strings.NewReader(fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(one), one)), time.Minute); len(statuses) != 1 || statuses[0] != 201 {
		t.Errorf("a small one: %v", statuses)
	}
	for _, c := range held {
		c.Close()
	}
	eventually(t, "room again", func() bool { return !busy() })
}

// When half of the connections are taken, who comes has to say what he wants; above
// all of them he is told so.
func TestCrowd(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(c *ingest.Config) { c.Connections = 40 })
	address := strings.TrimPrefix(h.url, "http://")
	ends := make(chan time.Duration, 100)
	begin := time.Now()
	early, late := 0, 0
	for range 36 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			_ = c.SetReadDeadline(begin.Add(12 * time.Second))
			_, _ = io.Copy(io.Discard, c)
			ends <- time.Since(begin)
		}()
	}
	for range 36 {
		if <-ends < 11*time.Second {
			early++
		} else {
			late++
		}
	}
	if early < 14 || late < 16 {
		t.Errorf("%d were sent away early, %d were not", early, late)
	}
}
