package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// audience are viewers of live streams, in a process of their own: they are other
// people's machines, which neither keep the generator from sending in time nor take a
// processor from the server that it could have.
type audience struct {
	cmd   *exec.Cmd
	ask   io.WriteCloser
	said  *bufio.Reader
	wrong bytes.Buffer
}

// watch opens all streams, and returns when each has had its first event.
func (h *hall) watch(ctx context.Context) (*audience, error) {
	var schools []string
	for _, code := range h.watched() {
		schools = append(schools, code.String())
	}
	a := &audience{}
	// Nothing waits for a process of the idle class; a nice one still keeps its turn
	// of some milliseconds.
	first := []string{"chrt", "--idle", "0"}
	if _, err := exec.LookPath(first[0]); err != nil {
		first = []string{"nice", "-n", "19"}
	}
	if h.Apart != "" {
		first = []string{"taskset", "--cpu-list", h.Apart}
	}
	a.cmd = exec.CommandContext(ctx, first[0], append(first[1:], h.place.Program, "loadtest", "audience",
		"--target", h.shows.target.URL.String(), "--activity", h.activity, "--viewers", strconv.Itoa(h.Viewers), "--schools", strings.Join(schools, ","))...)
	a.cmd.Env, a.cmd.Stderr = environment(), &a.wrong
	ask, err1 := a.cmd.StdinPipe()
	said, err2 := a.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("cannot start an audience: %w", err)
	}
	a.ask, a.said = ask, bufio.NewReader(said)
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start an audience: %w", err)
	}
	if _, err := a.events(); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// events is how many all of them have seen so far.
func (a *audience) events() (n int64, err error) {
	if _, err = io.WriteString(a.ask, "\n"); err == nil {
		_, err = fmt.Fscanln(a.said, &n)
	}
	if err != nil {
		return 0, fmt.Errorf("the audience does not answer: %w\n%s", err, a.wrong.Bytes())
	}
	return n, nil
}

// since is how many have come since there were n; none where nobody watches.
func (a *audience) since(n int64) (int64, error) {
	if a == nil {
		return 0, nil
	}
	now, err := a.events()
	return now - n, err
}

// close sends them away.
func (a *audience) close() {
	_ = a.ask.Close() // ends it
	_ = a.cmd.Wait()  // what went wrong, events has told
}

// AudienceCmd is canyu loadtest audience, which ViewersCmd starts: streams of schools
// in turn. For every line that it reads it writes how many events have come; the first
// answer waits for the first event of each stream. It ends with its input.
type AudienceCmd struct {
	Target   string   `help:"URL of the server." required:""`
	Activity string   `help:"Activity." required:""`
	Schools  []string `help:"Codes of schools." required:""`
	Viewers  int      `help:"Live streams." required:""`
}

// Run watches until standard input ends.
func (c *AudienceCmd) Run(ctx context.Context, out io.Writer) error {
	t, err := NewTarget(ctx, c.Target, false)
	if err != nil {
		return err
	}
	codes := make([]canyu.SchoolCode, len(c.Schools))
	for i, text := range c.Schools {
		if codes[i], err = canyu.ParseSchoolCode(text); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	var seen atomic.Int64
	var all sync.WaitGroup
	ready := make(chan struct{}, c.Viewers)
	slots := make(chan struct{}, 64)
	for i := range c.Viewers {
		all.Go(func() {
			slots <- struct{}{}
			first := sync.OnceFunc(func() { <-slots; ready <- struct{}{} })
			defer first()
			err := liveStream(ctx, t, c.Activity, codes[i%len(codes)], func([]byte) {
				seen.Add(1)
				first()
			})
			if ctx.Err() == nil {
				stop(err)
			}
		})
	}
	defer all.Wait()
	defer stop(nil)
	for range c.Viewers {
		<-ready
	}
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		fmt.Fprintln(out, seen.Load())
	}
	return nil
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
		ended <- liveStream(streaming, h.shows.target, h.activity, hallProbe, func(data []byte) {
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
		seat := 1 + (begun+len(clicked))*38%canyu.MaxEnrolled // each once, and no two in a row, which would be held apart
		body := fmt.Sprintf(`{"activity":%q,"school":%q,"grade":3,"class":1,"role":"student","seat":%d}`, h.activity, hallProbe.String(), seat)
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
