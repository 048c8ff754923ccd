package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// watchedLedger counts how often it is read, and can be taken away.
type watchedLedger struct {
	canyu.Ledger
	reads atomic.Int64
	away  atomic.Bool
}

func (l *watchedLedger) Counts(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Tally, error) {
	l.reads.Add(1)
	if l.away.Load() {
		return nil, errors.New("away")
	}
	return l.Ledger.Counts(ctx, activity, classes)
}

func (l *watchedLedger) Participants(ctx context.Context, activity string, class canyu.Class, role canyu.Role) ([]canyu.Participant, error) {
	if l.away.Load() {
		return nil, errors.New("away")
	}
	return l.Ledger.Participants(ctx, activity, class, role)
}

// hall is a server that is looked at.
type hall struct {
	t      *testing.T
	url    string
	ledger *watchedLedger
	links  *canyu.Keyring
	stop   context.CancelFunc
	ended  chan error
}

const hallSecret = "0123456789abcdef0123456789abcdef"

// newHall serves two schools of one county and one of the next, each with classes of
// 30, 20 and 5.
func newHall(t *testing.T, change func(*ingest.Config)) *hall {
	t.Helper()
	dir := t.TempDir()
	ledger, err := embeddedledger.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ledger.Close() })
	archive, err := embeddedarchive.Open(t.Context(), filepath.Join(dir, "archive.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { archive.Close() })
	var entries []canyu.RosterEntry
	for _, sc := range []struct {
		region canyu.Region
		code   canyu.SchoolCode
		name   string
	}{{341802, 3418020001, "宣州区第一小学"}, {341802, 3418020002, "宣州区第二小学"}, {341821, 3418210001, "郎溪县第一小学"}} {
		for i, enrolled := range []int{30, 20, 5} {
			entries = append(entries, canyu.RosterEntry{Region: sc.region, School: sc.code, Name: sc.name, Grade: 3, Class: uint16(i + 1), Enrolled: enrolled})
		}
	}
	roster, err := canyu.NewRoster(entries)
	if err == nil {
		err = archive.ImportRoster(t.Context(), roster)
	}
	if err != nil {
		t.Fatal(err)
	}
	today := canyu.DayAt(time.Now(), time.UTC)
	h := &hall{t: t, ledger: &watchedLedger{Ledger: ledger}, links: canyu.NewKeyring([]byte(hallSecret), "a"), ended: make(chan error, 1)}
	c := ingest.Config{
		Activities: []*canyu.Activity{{
			ID: "hall", Title: canyu.Text{"en": "Hall"}, Zone: time.UTC, FirstDay: today - 1, LastDay: today + 1, Steps: []string{"bow"},
			RequiredGrades: []uint8{3}, Roles: []canyu.Role{canyu.Student, canyu.Parent}, Identify: canyu.BySeat,
		}},
		Ledger: h.ledger, Archive: archive, Secret: []byte(hallSecret), Links: h.links,
		Log: slog.New(slog.NewTextHandler(new(syncBuffer), nil)),
	}
	if change != nil {
		change(&c)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + listener.Addr().String()
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	go func() { h.ended <- ingest.NewServer(c).Run(ctx, listener) }()
	t.Cleanup(func() {
		h.stop()
		if err := <-h.ended; err != nil {
			t.Error(err)
		}
		h.ended <- nil
	})
	until(t, "the server is ready", func() bool { status, _ := h.get("/readyz"); return status == 200 })
	return h
}

// until waits for what another part of the program does in its own time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// get asks with the cookies given as name=value.
func (h *hall) get(path string, cookies ...string) (int, string) {
	h.t.Helper()
	resp := h.open(context.Background(), path, cookies...)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (h *hall) open(ctx context.Context, path string, cookies ...string) *http.Response {
	h.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Cookie", strings.Join(cookies, "; "))
	resp, err := http.DefaultTransport.RoundTrip(req) // follows nothing
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// bow takes part.
func (h *hall) bow(school string, class, seat int) {
	h.t.Helper()
	body := fmt.Sprintf(`{"activity":"hall","school":%q,"grade":3,"class":%d,"role":"student","seat":%d}`, school, class, seat)
	resp, err := http.Post(h.url+"/v1/participations", "application/json", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode > 201 {
		h.t.Fatalf("%d: %s", resp.StatusCode, text)
	}
}

func (h *hall) link(s canyu.Scope) string {
	h.t.Helper()
	token, err := h.links.Sign(s, time.Now().Add(time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	return s.Kind.Cookie() + "=" + token
}

// stream is a live view, as a browser has it.
type stream struct {
	t      *testing.T
	events chan liveEvent // closed at its end
	close  func()
}

type liveEvent struct {
	Name         string `json:"-"`
	Text         string `json:"-"`
	Participants map[string]int
	Live         bool
	State        string
	AsOf         string `json:"as_of"`
	Schools      []struct{ School string }
	Regions      []struct {
		Region       canyu.Region
		Participants map[string]int
	}
	Classes []struct{ Enrolled int }
}

func (h *hall) watch(query string, cookies ...string) *stream {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	resp := h.open(ctx, "/v1/activities/hall/live?"+query, cookies...)
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		h.t.Fatalf("%d %s: %s", resp.StatusCode, kind, body)
	}
	v := &stream{t: h.t, events: make(chan liveEvent, 100), close: cancel}
	go func() {
		defer close(v.events)
		defer resp.Body.Close()
		var name string
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				name = value
			case "data":
				e := liveEvent{Name: name, Text: value}
				if err := json.Unmarshal([]byte(value), &e); err != nil {
					h.t.Errorf("%q: %v", value, err)
				}
				v.events <- e
			case "":
				name = ""
			}
		}
	}()
	return v
}

// next is the next event that has counts.
func (v *stream) next() liveEvent {
	v.t.Helper()
	for end := time.After(30 * time.Second); ; {
		select {
		case e, ok := <-v.events:
			if !ok {
				v.t.Fatal("the stream has ended")
			}
			if e.Name == "" {
				return e
			}
		case <-end:
			v.t.Fatal("no event came")
		}
	}
}

// settled reads on to the event with n students.
func (v *stream) settled(n int) liveEvent {
	v.t.Helper()
	for {
		e := v.next()
		if got := e.Participants["student"]; got == n {
			return e
		} else if got > n {
			v.t.Fatalf("%d students, want %d", got, n)
		}
	}
}

func TestLiveTellsChanges(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	school, county, city := h.watch("school=3418020001"), h.watch("region=341802"), h.watch("region=341800")
	first := school.next()
	if n, ok := first.Participants["student"]; !ok || n != 0 || !first.Live || first.State != "live" || len(first.Classes) != 3 {
		t.Fatalf("first %s", first.Text)
	}
	_, counts := h.get("/v1/activities/hall/counts?school=3418020001")
	var want, got map[string]any
	if err := errors.Join(json.Unmarshal([]byte(counts), &want), json.Unmarshal([]byte(first.Text), &got)); err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if key != "as_of" && fmt.Sprint(got[key]) != fmt.Sprint(value) {
			t.Errorf("%s: live %v, counts %v", key, got[key], value)
		}
	}
	if e := county.next(); len(e.Schools) != 2 || len(e.Regions) != 0 {
		t.Errorf("a county has %s", e.Text)
	}
	if e := city.next(); len(e.Schools) != 0 || len(e.Regions) != 2 {
		t.Errorf("a city has %s", e.Text)
	}

	began := time.Now()
	h.bow("3418020001", 1, 17)
	school.settled(1)
	t.Logf("click to event: %s", time.Since(began))
	county.settled(1)
	if e := city.settled(1); e.Regions[0].Participants["student"] != 1 || e.Regions[1].Participants["student"] != 0 {
		t.Errorf("a city has %s", e.Text)
	}

	// A repeat, and what happens elsewhere, change nothing.
	h.bow("3418020001", 1, 17)
	h.bow("3418210001", 1, 1)
	city.settled(2)
	since := h.ledger.reads.Load()
	until(t, "it was read again", func() bool { return h.ledger.reads.Load() > since+9 })
	for _, v := range []*stream{school, county} {
		select {
		case e := <-v.events:
			if e.Name != "beat" {
				t.Errorf("nothing has changed, and it says %s", e.Text)
			}
		default:
		}
	}
}

// However many watch, it is read once a second.
func TestLiveReadsOnceForAll(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	const viewers = 60
	var all []*stream
	began, before := time.Now(), h.ledger.reads.Load()
	for range viewers {
		all = append(all, h.watch("school=3418020001"))
	}
	for seat := range 3 {
		h.bow("3418020001", 1, seat+1)
		var wg sync.WaitGroup
		for _, v := range all {
			wg.Go(func() { v.settled(seat + 1) })
		}
		wg.Wait()
	}
	reads, most := h.ledger.reads.Load()-before, int64(time.Since(began)/time.Second)+1
	if reads > most {
		t.Errorf("%d readings in %s", reads, time.Since(began))
	}
	for _, v := range all {
		if n := len(v.events); n > 2 {
			t.Errorf("%d more events than changes", n)
		}
		v.close()
	}
	// Nobody looks any more: nothing is read, once writing has found out who is gone.
	was, since, seat := int64(0), time.Now(), 0
	until(t, "it is no longer read", func() bool {
		if n := h.ledger.reads.Load(); n != was {
			was, since = n, time.Now()
			seat++
			h.bow("3418020001", 2, 1+seat%20)
		}
		return time.Since(since) > 2*time.Second
	})
}

func TestLiveSaysThatItIsNot(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	h.bow("3418020001", 1, 1)
	v := h.watch("school=3418020001")
	last := v.settled(1)
	h.ledger.away.Store(true)
	e := v.next()
	if e.Live || e.State != "away" || e.Participants["student"] != 1 || e.AsOf < last.AsOf {
		t.Errorf("away: %s", e.Text)
	}
	if e := h.watch("school=3418020002").next(); e.Live || e.State != "away" || e.Participants != nil || !strings.Contains(e.Text, `"participants":null,`) {
		t.Errorf("never read: %s", e.Text)
	}
	h.ledger.away.Store(false)
	h.bow("3418020001", 1, 2)
	for e := v.next(); !e.Live || e.Participants["student"] != 2; e = v.next() {
		if n := e.Participants["student"]; n < 1 {
			t.Errorf("back: %s", e.Text)
		}
	}
}

func TestLiveIsBounded(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(c *ingest.Config) { c.Viewers = 2 })
	first := h.watch("school=3418020001")
	first.next()
	h.watch("region=341802").next()
	resp := h.open(t.Context(), "/v1/activities/hall/live?school=3418020001")
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "problem:busy") {
		t.Errorf("the third of two: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if status, body := h.get("/v1/activities/hall/counts?school=3418020001"); status != 200 {
		t.Errorf("counts at the cap: %d %s", status, body)
	}
	first.close()
	seat := 0
	until(t, "there is room again", func() bool {
		seat++
		h.bow("3418020001", 1, 1+seat%30)
		resp := h.open(t.Context(), "/v1/activities/hall/live?school=3418020002")
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// Streams end with the server, and do not hold it up.
func TestLiveEndsWithTheServer(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	var all []*stream
	for range 20 {
		v := h.watch("school=3418020001")
		v.next()
		all = append(all, v)
	}
	h.stop()
	select {
	case err := <-h.ended:
		if err != nil {
			t.Error(err)
		}
		h.ended <- nil
	case <-time.After(5 * time.Second):
		t.Fatal("the server waits for its viewers")
	}
	for _, v := range all {
		for range v.events { // until it is closed
		}
	}
}

// While nothing changes a stream says that it is alive, and how old its numbers are.
func TestLiveBeats(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	v := h.watch("school=3418020001")
	first := v.settled(0)
	select {
	case e := <-v.events:
		if e.Name != "beat" || !e.Live || e.AsOf <= first.AsOf || e.Participants != nil {
			t.Errorf("%s: %s", e.Name, e.Text)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing was heard for half a minute")
	}
	// Who comes later has the counts, and their age.
	late := h.watch("school=3418020001")
	if late.settled(0); (<-late.events).Name != "beat" {
		t.Error("who comes late is not told how old the counts are")
	}
}
