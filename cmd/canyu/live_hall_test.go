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
	t      testing.TB
	url    string
	ledger *watchedLedger
	links  *canyu.Keyring
	stop   context.CancelFunc
	ended  chan error
}

const hallSecret = "0123456789abcdef0123456789abcdef"

// newHall serves two schools of one county and one of the next, each with classes of
// 30, 20 and 5.
func newHall(t testing.TB, change func(*ingest.Config)) *hall {
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
	eventually(t, "the server is ready", func() bool { status, _ := h.get("/readyz"); return status == 200 })
	return h
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
	t      testing.TB
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
	for end := time.After(time.Minute); ; {
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
