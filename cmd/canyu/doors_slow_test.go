package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Those who send a byte now and then, in a header or in a body that they announced
// large, those who say nothing, and those who do not read what they asked for, take
// nothing from a bell. CANYU_TEST_SLOW=5000x60s makes it more of them for longer.
func TestSlowVisitorsAtABell(t *testing.T) {
	visitors, duration := 1000, 3*time.Second
	if n, d, ok := strings.Cut(os.Getenv("CANYU_TEST_SLOW"), "x"); ok {
		var err, err2 error
		visitors, err = strconv.Atoi(n)
		duration, err2 = time.ParseDuration(d)
		if err != nil || err2 != nil {
			t.Fatal("CANYU_TEST_SLOW: want such as 5000x60s")
		}
	}
	s := newSite(t, pair{}, "")
	roster := "区划代码,学校标识码,学校名称,年级,班级,人数\n"
	for class := 1; class <= 99; class++ {
		for grade := 1; grade <= 6; grade++ {
			roster += fmt.Sprintf("341802,3418020001,宣州区第一小学,%d,%d,60\n", grade, class)
		}
	}
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	v := s.serve()
	address := strings.TrimPrefix(v.url, "http://")

	bell := newBell(t, s, v)
	alone := bell.ring(duration)
	before := resident(t, v.cmd.Process.Pid)

	var slow sync.WaitGroup
	var open atomic.Int64
	end := make(chan struct{})
	for i := range visitors {
		slow.Go(func() { dawdle(address, i%5, end, &open) })
	}
	v.eventually("they are there", func() error {
		if n := open.Load(); n < int64(visitors)*6/10 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	among := bell.ring(duration)
	after := resident(t, v.cmd.Process.Pid)
	close(end)
	slow.Wait()

	t.Logf("alone %s; among %d slow visitors %s; memory %d, then %d MiB (%d KiB each)", alone, visitors, among, before, after, (after-before)<<10/visitors)
	if among.failed > 0 || alone.failed > 0 {
		t.Errorf("%d and %d failed", alone.failed, among.failed)
	}
	if grown := after - before; grown > 40+visitors/8 { // 125 KiB each: buffers and a stack
		t.Errorf("%d slow visitors take %d MiB", visitors, grown)
	}
	v.stop()
}

// dawdle is one slow visitor, who comes again when he is sent away.
func dawdle(address string, kind int, end <-chan struct{}, open *atomic.Int64) {
	requests := [...]string{
		"GET /a/x HTTP/1.1\r\nHost: x\r\nX: ",
		"POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n\r\n",
		"POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3fff0\r\n",
		"", // speaks never
		strings.Repeat("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 200), // reads never
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			open.Add(1)
			_, err = io.WriteString(c, requests[kind])
		}
		for err == nil {
			select {
			case <-end:
				c.Close()
				return
			case <-tick.C:
				if kind < 3 {
					_, err = io.WriteString(c, "x")
				}
			}
		}
		if c != nil {
			c.Close()
			open.Add(-1)
		}
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

// bell is the pupils of a school who take part, a few at a time on connections that
// they keep.
type bell struct {
	t    *testing.T
	s    *site
	url  string
	next atomic.Int64
}

type rung struct {
	sent, failed int
	p50, p99     time.Duration
}

func (r rung) String() string {
	return fmt.Sprintf("%d, %d failed, p50 %s, p99 %s", r.sent, r.failed, r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond))
}

func newBell(t *testing.T, s *site, v *server) *bell {
	return &bell{t: t, s: s, url: v.url + "/v1/participations"}
}

func (b *bell) ring(d time.Duration) (r rung) {
	const hands, pace = 16, 40 * time.Millisecond
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: hands}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var times []time.Duration
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range hands {
		wg.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for time.Now().Before(end) {
				n := b.next.Add(1) - 1
				body := b.s.submission(map[string]any{"grade": 1 + n/60/99%6, "class": 1 + n/60%99, "seat": 1 + n%60, "message": nil, "steps": nil})
				begin := time.Now()
				resp, err := client.Post(b.url, "application/json", bytes.NewReader([]byte(body)))
				took := time.Since(begin)
				ok := err == nil && (resp.StatusCode == 201 || resp.StatusCode == 200)
				if err == nil {
					_, _ = io.Copy(io.Discard, bufio.NewReader(resp.Body))
					resp.Body.Close()
				}
				mu.Lock()
				times = append(times, took)
				if !ok {
					r.failed++
				}
				mu.Unlock()
				<-tick.C
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	r.sent, r.p50, r.p99 = len(times), times[len(times)/2], times[len(times)*99/100]
	return r
}

// A request has twenty seconds from its first byte, however it is spread: not from
// its last.
func TestTimeOfARequest(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	go func() { // a second one, a byte now and then
		for {
			if _, err := io.WriteString(c, "G"); err != nil {
				return
			}
			<-time.After(200 * time.Millisecond)
		}
	}()
	resp, err = http.ReadResponse(r, nil)
	took := time.Since(begin)
	if took < 19*time.Second || took > 40*time.Second {
		t.Errorf("it ended after %s: %v", took, err)
	}
	if err == nil { // else it was closed while he wrote
		if resp.Body.Close(); resp.StatusCode != 408 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
}
