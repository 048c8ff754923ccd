package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// audience are viewers of live streams.
type audience struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
	seen atomic.Int64

	mu     sync.Mutex
	failed error
}

// watch opens all streams, and returns when each has had its first event.
func (h *hall) watch(ctx context.Context) (*audience, error) {
	ctx, stop := context.WithCancel(ctx)
	a := &audience{stop: stop}
	schools := h.watched()
	ready := make(chan struct{}, h.Viewers)
	slots := make(chan struct{}, 64)
	for i := range h.Viewers {
		a.wg.Go(func() {
			slots <- struct{}{}
			first := sync.OnceFunc(func() { <-slots; ready <- struct{}{} })
			err := liveStream(ctx, h.node.target, h.activity, schools[i%len(schools)], func([]byte) {
				a.seen.Add(1)
				first()
			})
			first()
			if err != nil && ctx.Err() == nil {
				a.mu.Lock()
				a.failed = errors.Join(a.failed, err)
				a.mu.Unlock()
				stop()
			}
		})
	}
	for range h.Viewers {
		<-ready
	}
	if err := a.err(); err != nil {
		a.close()
		return nil, err
	}
	return a, ctx.Err()
}

// watched are the first schools that requests are of.
func (h *hall) watched() []canyu.SchoolCode {
	var codes []canyu.SchoolCode
	for i := 0; i < h.source.Classes() && len(codes) < h.Schools; i++ {
		if code := h.source.Class(i).School; len(codes) == 0 || codes[len(codes)-1] != code {
			codes = append(codes, code)
		}
	}
	return codes
}

func (a *audience) events() int64 {
	if a == nil {
		return 0
	}
	return a.seen.Load()
}

func (a *audience) err() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *audience) close() {
	a.stop()
	a.wg.Wait()
}

// liveStream reads a school's stream until ctx ends. event is told each of the counts;
// the data is gone when it returns.
func liveStream(ctx context.Context, t *Target, activity string, school canyu.SchoolCode, event func(data []byte)) error {
	c, err := t.Dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	u := t.URL.JoinPath("/v1/activities/" + activity + "/live")
	u.RawQuery = "school=" + school.String()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return err
	}
	return readEvents(c, event)
}

func readEvents(c net.Conn, event func(data []byte)) error {
	r := bufio.NewReaderSize(c, 16<<10)
	status, err := r.ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		return fmt.Errorf("a live stream answers %q: %w", status, err)
	}
	for beat := false; ; {
		line, err := r.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // longer than anybody needs to look at
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return fmt.Errorf("a live stream ended: %w", err)
		}
		switch {
		case bytes.HasPrefix(line, []byte("event:")):
			beat = true
		case bytes.HasPrefix(line, []byte("data:")) && !beat:
			event(line[len("data:"):])
		case len(line) <= 1:
			beat = false
		}
	}
}

// click submits for the school of the probe, a few times a second, and returns after
// how long each click was seen on its live stream.
func (h *hall) click(ctx context.Context) (seen []time.Duration, err error) {
	var mu sync.Mutex
	var clicked []time.Time
	begun, known := h.clicked, h.clicked
	streaming, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		once := sync.OnceFunc(func() { close(first) })
		ended <- liveStream(streaming, h.node.target, h.activity, hallProbe, func(data []byte) {
			var v struct{ Participants map[string]int }
			now := time.Now()
			if json.Unmarshal(data, &v) == nil {
				mu.Lock()
				for ; known < v.Participants["student"] && known-begun < len(clicked); known++ {
					seen = append(seen, now.Sub(clicked[known-begun]))
				}
				mu.Unlock()
			}
			once()
		})
		once()
	}()
	defer func() {
		stop()
		if streamed := <-ended; err == nil && len(seen) == 0 {
			err = errors.Join(errors.New("no click was seen"), streamed)
		}
		h.clicked = begun + len(clicked)
	}()
	<-first
	c := newConn(h.node.target, 10*time.Second)
	defer c.close()
	head := h.node.target.head("POST", participations)
	tick := time.NewTicker(170 * time.Millisecond) // no divisor of a second
	defer tick.Stop()
	for h.clicked+len(clicked) < canyu.MaxEnrolled {
		select {
		case <-ctx.Done():
			waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			pause(waiting, 2*time.Second) // what was clicked last is seen yet
			cancel()
			return seen, nil
		case <-tick.C:
		}
		if err := c.open(ctx); err != nil {
			continue
		}
		mu.Lock()
		clicked = append(clicked, time.Now())
		mu.Unlock()
		body := fmt.Sprintf(`{"activity":%q,"school":%q,"grade":3,"class":1,"role":"student","seat":%d}`, h.activity, hallProbe.String(), begun+len(clicked))
		if status, err := c.do(head, []byte(body), time.Now()); err != nil || status != 201 {
			return seen, fmt.Errorf("a click answers %d: %.200s: %w", status, c.resp.Body(), err)
		}
	}
	return seen, nil
}

// residentBytes is what a process has in memory.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory of the server: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("cannot read the memory of the server: %w", err)
	}
	return kib << 10, nil
}
