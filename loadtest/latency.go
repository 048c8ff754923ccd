package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/canyu/canyu"
)

// LatencyCmd is canyu loadtest latency. For each engine: a short flood finds the
// highest rate; then, in an open model, half of it, while marked pupils of schools
// that nobody else is of click, and are waited for in their school's live counts
// (text/event-stream) and in the archive.
type LatencyCmd struct {
	Engines     string        `help:"Engines: embedded, redis (the ingest node by itself: no archive), redis+clickhouse; and bare, the server of the baseline that does nothing." default:"bare,embedded,redis,redis+clickhouse"`
	Flood       time.Duration `help:"How long to look for the highest rate." default:"5s"`
	Duration    time.Duration `help:"How long at half of it." default:"30s"`
	Rounds      int           `help:"How often each engine is measured." default:"3"`
	Share       float64       `help:"Of the highest rate." default:"0.5"`
	Marks       float64       `help:"Marked pupils a second." default:"2"`
	Connections int           `help:"How many connections." default:"256"`
	Schools     int           `help:"Schools of 3,000 pupils in the roster; 0 is as many as the rounds can use up."`
	Patience    time.Duration `help:"How long to wait at most for a quiet machine." default:"30s"`
	Place       `embed:""`
}

type latencyRound struct {
	highest, rate            float64
	p50, p99, p999           float64
	second                   float64 // see typicalSecond
	live, archive            *hdrhistogram.Histogram
	marks, notSeen, archived int
}

// Run measures and prints a table.
func (c *LatencyCmd) Run(ctx context.Context, out io.Writer) error {
	engines := splitList(c.Engines)
	found, err := c.measured(ctx, engines)
	if err != nil {
		return err
	}
	rows := [][]string{{"engine", "highest rate", "open model at", "p50 ms", "p99 ms", "p99.9 ms", "p99 of the median second ms", "click → live p50 ms", "p99 ms", "click → archive p50 s", "p99 s", "marked pupils"}}
	for i, engine := range engines {
		rows = append(rows, latencyRow(engine, found[i]))
	}
	fmt.Fprintf(out, "\n%d CPUs, %s, %d connections, %d rounds: median (least–greatest). Latency counts from the intended start. Live is the\n"+
		"first event of the school's …/live that has the pupil; archive is the first …/counts whose today has, which is\n"+
		"asked every 100 ms and may be a second old: the true lag is up to 1.1 s less.\n\n", runtime.NumCPU(), runtime.Version(), c.Connections, c.Rounds)
	return table(out, rows)
}

// measured measures one engine after the other.
func (c *LatencyCmd) measured(ctx context.Context, engines []string) (found [][]latencyRound, err error) {
	if c.Rounds < 1 || c.Marks <= 0 || c.Share <= 0 || c.Share > 1 {
		return nil, errors.New("rounds, marks, share: want at least one round, some marks, and a share of at most 1")
	}
	schools := c.Schools
	if schools == 0 {
		const fastest = 150_000 // requests per second that no engine reaches
		schools = int(fastest*float64(c.Rounds)*(c.Flood.Seconds()+2+c.Share*c.Duration.Seconds()))/3000 + 1
	}
	marks := int(c.Marks*c.Duration.Seconds()) + 1
	var extra []canyu.RosterEntry
	for i := range marks * c.Rounds {
		extra = append(extra, canyu.RosterEntry{Region: 350102, School: canyu.SchoolCode(3501020001 + i), Name: fmt.Sprintf("延时第%d学校", i+1),
			Grade: 3, Class: 1, Enrolled: 50})
	}
	st, err := c.Place.open(Synthetic{Schools: schools, Grades: 12, Classes: 5, Enrolled: 50}, SourceOptions{}, extra...)
	if err != nil {
		return nil, err
	}
	defer st.close()
	for _, engine := range engines {
		n, err := c.start(ctx, st, engine)
		if err != nil {
			return nil, err
		}
		var rounds []latencyRound
		first := int64(0)
		for i := range c.Rounds {
			marked := extra[i*marks : (i+1)*marks]
			if engine == "bare" {
				marked, first = nil, 0 // to it no pupil is new
			}
			r, err := c.round(ctx, st, n, engine == "embedded" || engine == "redis+clickhouse", &first, marked)
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", engine, err, n.lastLines())
			}
			fmt.Fprintf(st.log, "%-17s round %d: %.0f/s at most; at %.0f/s p99 %.2f ms; click → live p99 %.0f ms, → archive p99 %.0f ms\n", engine, i+1,
				r.highest, r.rate, r.p99, inMilliseconds(quantile(r.live, 99)), inMilliseconds(quantile(r.archive, 99)))
			rounds = append(rounds, *r)
		}
		n.stop() // the next engine has the machine for itself
		found = append(found, rounds)
	}
	return found, nil
}

func (c *LatencyCmd) start(ctx context.Context, st *stand, engine string) (*node, error) {
	if engine != "bare" {
		return st.engine(ctx, strings.ReplaceAll(engine, "+", "-"), engine)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, st.log, st.dir, engine, addr, st.place.Program, "loadtest", "baseline", "bare", "--listen", addr)
	if err != nil {
		return nil, err
	}
	st.closers = append(st.closers, s.stop)
	return &node{server: s}, nil
}

func spreadOver(rounds []latencyRound, of func(latencyRound) float64) spread {
	v := make([]float64, len(rounds))
	for i, r := range rounds {
		v[i] = of(r)
	}
	return spreadOf(v)
}

func latencyRow(engine string, rounds []latencyRound) []string {
	of := func(format string, f func(latencyRound) float64) string { return spreadOver(rounds, f).text(format) }
	marks, archived, notSeen := 0, 0, 0
	for _, r := range rounds {
		marks, archived, notSeen = marks+r.marks, archived+r.archived, notSeen+r.notSeen
	}
	row := []string{engine, of("%.0f", func(r latencyRound) float64 { return r.highest }), of("%.0f", func(r latencyRound) float64 { return r.rate }),
		of("%.2f", func(r latencyRound) float64 { return r.p50 }), of("%.2f", func(r latencyRound) float64 { return r.p99 }),
		of("%.2f", func(r latencyRound) float64 { return r.p999 }), of("%.2f", func(r latencyRound) float64 { return r.second }),
		"–", "–", "–", "–", fmt.Sprint(marks)}
	if marks > 0 {
		row[7] = of("%.0f", func(r latencyRound) float64 { return inMilliseconds(quantile(r.live, 50)) })
		row[8] = of("%.0f", func(r latencyRound) float64 { return inMilliseconds(quantile(r.live, 99)) })
	}
	if archived > 0 {
		row[9] = of("%.2f", func(r latencyRound) float64 { return quantile(r.archive, 50).Seconds() })
		row[10] = of("%.2f", func(r latencyRound) float64 { return quantile(r.archive, 99).Seconds() })
	}
	if notSeen > 0 {
		row[11] += fmt.Sprintf(", %d NOT SEEN", notSeen)
	}
	return row
}

func (c *LatencyCmd) round(ctx context.Context, st *stand, n *node, archive bool, first *int64, marked []canyu.RosterEntry) (*latencyRound, error) {
	settle(ctx, c.Patience)
	o := Options{Target: n.target, Source: st.source, Schedule: Flood{}, Connections: c.Connections}
	r := &latencyRound{live: newHistogram(), archive: newHistogram(), marks: len(marked)}
	for _, d := range []time.Duration{2 * time.Second, c.Flood} { // the first warms up
		o.First, o.Duration = *first, min(d, c.Flood)
		res, err := Run(ctx, o)
		if err == nil {
			err = errors.Join(ctx.Err(), allCounted(res))
		}
		if err != nil {
			return nil, err
		}
		*first, r.highest = res.Next, res.Rate
	}
	if archive {
		if err := n.archived(ctx, 10*time.Minute); err != nil {
			return nil, err
		}
	}
	settle(ctx, c.Patience)
	r.rate = r.highest * c.Share
	o.Schedule, o.Duration, o.First = Constant(r.rate), c.Duration, *first
	marks := &marker{target: n.target, activity: st.activity, archive: archive, r: r}
	var marking sync.WaitGroup
	marking.Go(func() { marks.run(ctx, marked, c.Marks) })
	res, err := Run(ctx, o)
	marking.Wait()
	if err == nil {
		err = errors.Join(ctx.Err(), allCounted(res), marks.err)
	}
	if err != nil {
		return nil, err
	}
	*first = res.Next
	r.p50, r.p99, r.p999 = res.Latency.P50, res.Latency.P99, res.Latency.P999
	r.second = typicalSecond(res)
	return r, nil
}

// typicalSecond is the p99 of the median second in ms, which a stall of the host does
// not move.
func typicalSecond(res *Result) float64 {
	var seconds []float64
	for _, s := range res.Timeline {
		seconds = append(seconds, inMilliseconds(s.P99))
	}
	return spreadOf(seconds).Median
}

// marker clicks for marked pupils, one of a school each, and waits until they are seen.
type marker struct {
	target   *Target
	activity string
	archive  bool

	mu  sync.Mutex
	r   *latencyRound
	err error
}

// unseen is after how long a marked pupil is given up.
const unseen = 30 * time.Second

func (m *marker) run(ctx context.Context, marked []canyu.RosterEntry, perSecond float64) {
	var all sync.WaitGroup
	every := time.NewTicker(seconds(1 / perSecond))
	defer every.Stop()
	for _, class := range marked {
		all.Go(func() {
			live, archive, err := m.mark(ctx, class)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.err = errors.Join(m.err, err)
			if err != nil {
				return
			}
			if live > 0 {
				record(m.r.live, live)
			} else {
				m.r.notSeen++
			}
			if archive > 0 {
				record(m.r.archive, archive)
				m.r.archived++
			} else if m.archive {
				m.r.notSeen++
			}
		})
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
	all.Wait()
}

// seenCounts are the numbers of …/counts and …/live that a marked pupil is seen in.
type seenCounts struct {
	Participants map[string]int `json:"participants"`
	Today        *struct {
		Participants map[string]int `json:"participants"`
	} `json:"today"`
}

// mark opens the school's live counts, clicks, and says how long it took until the
// pupil was there and in the archive; 0 where that was not seen.
func (m *marker) mark(ctx context.Context, class canyu.RosterEntry) (live, archive time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, unseen)
	defer cancel()
	base := m.target.URL.JoinPath("/v1/activities/", m.activity).String()
	query := "?school=" + class.School.String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live"+query, nil)
	if err != nil {
		return 0, 0, err
	}
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot open the live counts: %w", err)
	}
	defer stream.Body.Close()
	if stream.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("live counts answered %d", stream.StatusCode)
	}
	events := bufio.NewReader(stream.Body)
	if _, err := nextCounts(events); err != nil { // how it was before
		return 0, 0, fmt.Errorf("no live counts: %w", err)
	}
	// There is at most one event a second: a click falls anywhere between two.
	pause(ctx, time.Duration(mix(uint64(class.School))%1000)*time.Millisecond)
	body := fmt.Appendf(nil, `{"activity":%q,"school":%q,"grade":%d,"class":%d,"role":"student","seat":1,"steps":["bow"],"message":""}`,
		m.activity, class.School, class.Grade, class.Class)
	c := newConn(m.target, unseen)
	defer c.close()
	if err := c.open(ctx); err != nil {
		return 0, 0, err
	}
	click := time.Now()
	if status, err := c.do(m.target.head("POST", participations), body, click); err != nil || status != 201 {
		return 0, 0, fmt.Errorf("a marked pupil was answered %d: %w", status, err)
	}
	var looking sync.WaitGroup
	if m.archive {
		looking.Go(func() { archive = m.untilArchived(ctx, click, class) })
	}
	for live == 0 {
		seen, err := nextCounts(events)
		if err != nil {
			break // not seen in time
		}
		if seen.Participants["student"] > 0 {
			live = time.Since(click)
		}
	}
	looking.Wait()
	return live, archive, nil
}

func nextCounts(events *bufio.Reader) (seen seenCounts, err error) {
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			return seen, err
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			return seen, json.Unmarshal([]byte(text), &seen)
		}
	}
}

func (m *marker) untilArchived(ctx context.Context, click time.Time, class canyu.RosterEntry) time.Duration {
	c := newConn(m.target, unseen)
	defer c.close()
	for ctx.Err() == nil {
		text, err := c.get(ctx, "/v1/activities/"+m.activity+"/counts", map[string][]string{"school": {class.School.String()}})
		var seen seenCounts
		if err == nil {
			err = json.Unmarshal(text, &seen)
		}
		if err == nil && seen.Today != nil && seen.Today.Participants["student"] > 0 {
			return time.Since(click)
		}
		pause(ctx, 100*time.Millisecond)
	}
	return 0
}
