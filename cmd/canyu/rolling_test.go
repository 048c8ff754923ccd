package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports/mailtest"
)

// pupil is a student of one activity.
type pupil struct {
	activity string
	school   canyu.SchoolCode
	seatOf
}

// sent is one try of a submission, and its answer, as the client saw it.
type sent struct {
	At      time.Time `json:"at"`
	Node    string    `json:"node"`
	ID      string    `json:"id"`
	Try     int       `json:"try"`
	Status  int       `json:"status"` // 0: no answer
	Counted bool      `json:"counted"`
	Receipt string    `json:"receipt,omitempty"`
	Error   string    `json:"error,omitempty"`

	pupil pupil
}

// rush sends submissions at a pace to nodes in turn, as a front does, until it is told
// to end. One that is not answered, or with 503, is sent again to the next node.
type rush struct {
	s      *site
	nodes  []*node
	pupils []pupil
	client *http.Client

	next atomic.Int64
	mu   sync.Mutex
	log  []sent
}

// rings for as long as ctx does; each tenth pupil comes twice.
func (b *rush) rings(ctx context.Context) {
	var clients sync.WaitGroup
	work := make(chan int)
	for range 16 {
		clients.Go(func() {
			for i := range work {
				at := i
				if i%10 == 9 {
					at = i - 5
				}
				b.send(b.pupils[at%len(b.pupils)], i)
			}
		})
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		work <- int(b.next.Add(1)) - 1
	}
	close(work)
	clients.Wait()
}

func (b *rush) send(p pupil, number int) {
	end := time.Now().Add(30 * time.Second)
	for try := 1; ; try++ {
		to := b.nodes[(number+try)%len(b.nodes)]
		a := b.post(to, p, fmt.Sprint("n", number))
		a.Try = try
		b.mu.Lock()
		b.log = append(b.log, a)
		b.mu.Unlock()
		switch {
		case a.Status == http.StatusCreated, a.Status == http.StatusOK, a.Status == http.StatusAccepted:
			return
		case a.Status != 0 && a.Status != http.StatusServiceUnavailable || time.Now().After(end):
			b.s.t.Errorf("failed for good: %+v", a)
			return
		}
		pauseABit()
	}
}

func (b *rush) post(to *node, p pupil, id string) sent {
	a := sent{At: time.Now(), Node: to.name, ID: id, pupil: p}
	r, err := b.client.Post("http://"+to.address+"/v1/participations", "application/json", strings.NewReader(b.s.submission(map[string]any{
		"activity": p.activity, "school": p.school.String(), "grade": p.grade, "class": p.class, "seat": p.seat, "id": id})))
	if err == nil {
		defer r.Body.Close()
		var body []byte
		if body, err = io.ReadAll(r.Body); err == nil {
			if a.Status = r.StatusCode; a.Status < 300 {
				err = json.Unmarshal(body, &a)
			} else {
				err = errors.New(string(body))
			}
		}
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// keep writes the log of every answer, one a line.
func (b *rush) keep(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range b.log {
		if err := json.NewEncoder(w).Encode(&b.log[i]); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// reconcile holds what canyu counted against the log, class by class.
func (b *rush) reconcile() {
	t := b.s.t
	t.Helper()
	taken, submissions := make(map[string]map[pupil]bool), make(map[string]map[string]bool)
	counted, receipts, statuses, again := make(map[pupil]int), make(map[pupil]string), make(map[int]int), 0
	for i := range b.log {
		a := &b.log[i]
		statuses[a.Status]++
		if a.Try > 1 {
			again++
		}
		if a.Status == 0 || a.Status >= 300 {
			continue
		}
		if taken[a.pupil.activity] == nil {
			taken[a.pupil.activity], submissions[a.pupil.activity] = make(map[pupil]bool), make(map[string]bool)
		}
		taken[a.pupil.activity][a.pupil], submissions[a.pupil.activity][a.ID] = true, true
		if a.Counted {
			if counted[a.pupil]++; counted[a.pupil] > 1 {
				t.Errorf("counted twice: %+v", a)
			}
		}
		if was := receipts[a.pupil]; a.Status != http.StatusAccepted && was != "" && was != a.Receipt {
			t.Errorf("%+v has another receipt than before, %s", a, was)
		}
		if a.Status != http.StatusAccepted {
			receipts[a.pupil] = a.Receipt
		}
	}
	t.Logf("%d answers by status %v, %d of them to what was sent again; %d pupils", len(b.log), statuses, again, len(receipts))
	schools := make(map[canyu.SchoolCode]bool)
	for _, p := range b.pupils {
		schools[p.school] = true
	}
	for activity, pupils := range taken {
		want := make(map[string]int)
		for p := range pupils {
			want[fmt.Sprintf("%s %d (%d)", p.school, p.grade, p.class)]++
		}
		v, total := b.nodes[0].v, 0
		for school := range schools {
			c := v.counts(activity, "school="+school.String())
			total += c.Participants["student"]
			for _, class := range c.Classes {
				name := fmt.Sprintf("%s %d (%d)", school, class.Grade, class.Class)
				if got := class.Participants["student"]; got != want[name] {
					t.Errorf("%s, class %s: %d count, %d were acknowledged", activity, name, got, want[name])
				}
			}
		}
		if total != len(pupils) {
			t.Errorf("%s: %d count, %d were acknowledged", activity, total, len(pupils))
		}
		v.settles("the archive has every submission", func() error {
			if c := v.counts(activity, "region=341800"); c.Submissions == nil || *c.Submissions != len(submissions[activity]) {
				return fmt.Errorf("%s: %v submissions, want %d", activity, c.Submissions, len(submissions[activity]))
			}
			return nil
		})
	}
}

type someCounts struct {
	Participants map[string]int
	Submissions  *int
	Classes      []struct {
		Grade, Class int
		Participants map[string]int
	}
}

func (v *server) counts(activity, where string) (c someCounts) {
	v.t.Helper()
	v.eventually("counts", func() error {
		status, body, err := v.get("/v1/activities/" + activity + "/counts?" + where)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(body), &c)
	})
	return c
}

// Three processes of ingest, two of rollup and three of reports, on one Redis and one
// ClickHouse, are restarted one after the other during a bell, and one of reports is
// killed while it mails. Nothing that was sent is lost or counts twice, and everybody
// has one mail. CANYU_TEST_ROLLING=10m makes the bell as long, with claims that run out
// in their own time; its log is kept in CANYU_TEST_ROLLING_LOG.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	address, servers := os.Getenv("CANYU_TEST_REDIS"), strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(r rune) bool { return r == ' ' || r == ',' })
	if address == "" || len(servers) == 0 {
		t.Fatal("needs Redis and ClickHouse: set CANYU_TEST_REDIS and CANYU_TEST_CLICKHOUSE, or run make test")
	}
	long, err := time.ParseDuration(cmp.Or(os.Getenv("CANYU_TEST_ROLLING"), "0s"))
	if err != nil {
		t.Fatal("CANYU_TEST_ROLLING: want such as 10m")
	}
	recipients := []string{"a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@example.org"}
	stuck := make(chan struct{})
	smtp := mailtest.New(t, func(stage mailtest.Stage, to string, try int) string {
		if stage == mailtest.Data && to == recipients[0] && try == 1 {
			close(stuck)
			return mailtest.Hang
		}
		return mailtest.Fine
	})
	dsn := database(t, servers[0])
	s := newSite(t, pair{name: "distributed", settings: fmt.Sprintf("redis: %s\nclickhouse: %s\n", address, dsn), dsn: dsn},
		fmt.Sprintf("smtp: {url: \"smtp+plain://%s\", from: report@example.org}\n", smtp.Address))
	other := s.twoActivities(recipients)
	s.must("roster", "import", "testdata/roster-gb18030.csv")

	var nodes []*node
	for part, n := range map[string]int{"ingest": 3, "rollup": 2, "reports": 3} {
		for i := range n {
			nodes = append(nodes, s.node(part, i+1))
		}
	}
	slices.SortFunc(nodes, func(x, y *node) int { return strings.Compare(x.name, y.name) }) // ingest, reports, rollup
	ingest, mailing, rollups := nodes[:3], nodes[3:6], nodes[6:]
	start := func(some []*node) {
		for _, n := range some {
			n.launch()
		}
		for _, n := range some {
			n.ready()
		}
	}
	start(append(slices.Clone(ingest), rollups...))

	b := &rush{s: s, nodes: ingest, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	defer b.client.CloseIdleConnections()
	for _, school := range s.classes(t).Schools(0) {
		for _, c := range school.Classes {
			for seat := 1; seat <= c.Enrolled; seat++ {
				for _, activity := range []string{s.activity, other} {
					b.pupils = append(b.pupils, pupil{activity, school.Code, seatOf{int(c.Grade), int(c.Number), seat}})
				}
			}
		}
	}
	began := time.Now()
	ringing, end := context.WithCancel(t.Context())
	var rings sync.WaitGroup
	rings.Go(func() { b.rings(ringing) })
	defer rings.Wait()
	defer end()

	start(mailing)
	select {
	case <-stuck:
	case <-time.After(time.Minute):
		t.Fatalf("nobody mails:\n%s", mailing[0].v.log.String())
	}
	killed := slices.IndexFunc(mailing, func(n *node) bool { return strings.Contains(n.v.log.String(), "report frozen") })
	if killed < 0 {
		t.Fatal("nobody says who mails")
	}
	// Where it was killed after a mail was taken and before that was written down, nobody
	// could know, and the mail would go out again, under the same Message-ID.
	mailing[killed].v.eventually("the others have theirs", func() error {
		if out := s.must("report", "status", "--activity", s.activity); strings.Count(out, " sent ") != len(recipients)-1 {
			return fmt.Errorf("status:\n%s", out)
		}
		return nil
	})
	mailing[killed].v.kill()
	if long == 0 {
		runOut(t, address, "report/"+s.activity)
	}
	mailing[killed].start()
	for first := true; first || time.Since(began) < long; first = false {
		for _, n := range nodes {
			n.stop()
			n.start()
		}
	}
	rollups[0].v.kill()
	rollups[0].start()
	rollups[1].v.eventually("one mail for each recipient", func() error {
		if n := len(smtp.Mails()); n < len(recipients) {
			return fmt.Errorf("%d mails", n)
		}
		return nil
	})
	end()
	rings.Wait()
	t.Logf("the bell rang for %v, with %d submissions", time.Since(began).Round(time.Millisecond), b.next.Load())
	if path := os.Getenv("CANYU_TEST_ROLLING_LOG"); path != "" {
		check(t, b.keep(path))
	}
	b.reconcile()
	for _, n := range nodes {
		n.stop()
	}
	var to []string
	for _, m := range smtp.Mails() {
		to = append(to, m.To)
	}
	if slices.Sort(to); !slices.Equal(to, recipients) {
		t.Errorf("mails to %v, want one to each of %v", to, recipients)
	}
	if out := s.must("report", "status", "--activity", s.activity); strings.Count(out, " sent ") != len(recipients) {
		t.Errorf("status:\n%s", out)
	}
	if out := s.must("verify"); strings.Count(out, "agree") < 2 {
		t.Errorf("verify:\n%s", out)
	}
}

// twoActivities gives the site a second activity, without reports; that of the first is
// due already.
func (s *site) twoActivities(recipients []string) (other string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	check(s.t, err)
	const plan = `report: {at: "16:30", days: daily, recipients: {341800: [city@example.org]}}`
	first, activity, ok := strings.Cut(string(text), "  - id: ")
	if !ok || !strings.Contains(activity, plan) {
		s.t.Fatal("the site's settings are others than this test knows")
	}
	other = s.activity + "-2"
	today := time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	s.file("canyu.yaml", []byte(first+
		"  - id: "+strings.Replace(activity, plan, fmt.Sprintf(`report: {at: "00:00", days: ["%s"], recipients: {341800: [%s]}}`, today, strings.Join(recipients, ", ")), 1)+
		"  - id: "+strings.Replace(strings.Replace(activity, plan, `report: {at: "16:30"}`, 1), s.activity, other, 1)))
	return other
}

// runOut ends claims, as time does with those of a process that was killed.
func runOut(t *testing.T, address, duty string) {
	t.Helper()
	options, err := redis.ParseURL(address)
	check(t, err)
	c := redis.NewClient(options)
	defer c.Close()
	keys, err := c.Keys(t.Context(), "canyu*claim*"+duty+"*").Result()
	if check(t, err); len(keys) == 0 {
		t.Fatalf("no claim of %s", duty)
	}
	check(t, c.Del(t.Context(), keys...).Err())
}
