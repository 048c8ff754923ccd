package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// watched is a server with the classes of the sample week that watches who sends.
func watched(t *testing.T) *Server {
	t.Helper()
	f, err := os.Open("testdata/roster.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	roster, err := ReadRoster(f, "roster.csv")
	if err != nil {
		t.Fatal(err)
	}
	day := canyu.NewDay(2017, time.April, 1)
	s := NewServer(Config{
		Activities: []*canyu.Activity{{ID: "qingming-2017", Zone: time.FixedZone("", 8*3600), FirstDay: day, LastDay: day + 6,
			Steps: []string{"bow", "flower", "message"}, Roles: []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher}, Identify: canyu.BySeat}},
		Secret: []byte("a secret of the test"), Watch: true, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Log: slog.New(slog.DiscardHandler),
	})
	s.classes.Store(roster)
	a := s.activities["qingming-2017"]
	a.who.Store(newIdentity(s.Secret, nil, a.Activity))
	return s
}

// line is a submission of the sample week.
type line struct {
	at   time.Time
	item decoded
}

// week is the sample week in the order of time.
func week(t *testing.T) []line {
	t.Helper()
	f, err := os.Open("../cmd/canyu/testdata/submissions.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []line
	for lines := bufio.NewScanner(z); lines.Scan(); {
		d := &decoder{json: decoders.New().(*decoder).json, replay: true}
		if err := d.decode(bytes.Clone(lines.Bytes())); err != nil {
			continue
		}
		at, err := time.Parse(time.RFC3339, d.items[0].at)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line{at, d.items[0]})
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	return all
}

// Nothing of the sample week is held or limited: neither where every school has an
// address and no page of ours, nor where all of them are behind one.
func TestNothingOfTheWeekIsHeld(t *testing.T) {
	t.Parallel()
	lines := week(t)
	for name, who := range map[string]func(school string) visitor{
		"an address for each school": func(school string) visitor {
			h := mix(uint64(len(school)), classHash(canyu.Class{School: canyu.SchoolCode(submissionID(school))}))
			return visitor{fine: h, place: h | 1}
		},
		"one address for all":          func(string) visitor { return visitor{fine: 7, place: 9} },
		"a proxy that is not known":    func(string) visitor { return visitor{fine: 7} },
		"one address, a page for each": nil,
	} {
		s, accepted, refused := watched(t), 0, 0
		for i, l := range lines {
			v := visitor{fine: 7, place: 9, page: pageToken{session: mix(uint64(i), 1) | 1, of: s.activities["qingming-2017"].pages}}
			if who != nil {
				v = who(l.item.School)
			}
			if p := s.limited(&v, l.at); p != nil {
				t.Fatalf("%s: %s is limited", name, l.at)
			}
			_, p, _, err := s.take(&v, &l.item, l.at, true)
			if err != nil {
				refused++
				continue
			}
			if accepted++; p.Held != canyu.Unsuspected {
				t.Fatalf("%s: %s of %s is held for %s", name, l.item.ID, l.at, p.Held)
			}
		}
		if accepted != 38753 || accepted+refused != 39293 {
			t.Errorf("%s: %d accepted, %d refused", name, accepted, refused)
		}
	}
}

// script sends seat after seat of a class and returns which are held.
func script(s *Server, v visitor, class int, every time.Duration, at time.Time, seats ...int) (held []int) {
	v.page.of = s.activities["qingming-2017"].pages
	for _, seat := range seats {
		item := decoded{Submission: canyu.Submission{Activity: "qingming-2017", School: "3418020001", Grade: 3, Class: class,
			Role: "student", Seat: seat, HasSeat: true, Steps: []string{"bow", "flower", "message"}}}
		if _, p, _, err := s.take(&v, &item, at, true); err == nil && p.Held == canyu.MachinePace {
			held = append(held, seat)
		}
		at = at.Add(every)
	}
	return held
}

func upTo(n int) (seats []int) {
	for seat := range n {
		seats = append(seats, seat+1)
	}
	return seats
}

func TestMachinePace(t *testing.T) {
	t.Parallel()
	at := time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	far, near := visitor{fine: 1, place: 2}, visitor{fine: 1}
	page := visitor{fine: 1, place: 2, page: pageToken{session: 3}}
	backwards, shuffled := upTo(39), upTo(39)
	slices.Reverse(backwards)
	for i := range shuffled {
		shuffled[i] = (i*17)%39 + 1
	}
	for _, c := range []struct {
		name  string
		who   visitor
		every time.Duration
		seats []int
		first int // of the held, 0: none is
		n     int
	}{
		{"50 a second", far, 20 * time.Millisecond, upTo(39), 10, 30},
		{"as fast as it goes", far, time.Millisecond, upTo(39), 10, 30},
		{"two a second", far, time.Second / 2, upTo(39), 10, 30},
		{"backwards", far, 20 * time.Millisecond, backwards, 30, 30},
		{"from this machine, 50 a second", near, 20 * time.Millisecond, upTo(39), 31, 9},
		{"from this machine, what has piled up", near, time.Millisecond, upTo(39), 0, 0},
		{"a page, its teacher seat by seat", page, time.Second / 3, upTo(39), 0, 0},
		{"a page, 50 a second", page, 20 * time.Millisecond, upTo(39), 10, 30},
		{"one screen, pupil after pupil", far, 3 * time.Second, upTo(39), 0, 0},
		{"a lab, each when ready", far, 300 * time.Millisecond, shuffled, 0, 0},
		{"a few neighbours at once", far, 100 * time.Millisecond, upTo(9), 0, 0},
		{"double clicks", far, 50 * time.Millisecond, []int{1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4}, 0, 0},
	} {
		held := script(watched(t), c.who, 4, c.every, at, c.seats...)
		if len(held) != c.n || c.n > 0 && held[0] != c.first {
			t.Errorf("%s: held %v", c.name, held)
		}
	}
}

// A page for each submission, or another browser, does not hide a script.
func TestMachinePaceInDisguise(t *testing.T) {
	t.Parallel()
	at := time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	for name, disguise := range map[string]func(v *visitor, seat uint64){
		"a page each time":    func(v *visitor, seat uint64) { v.page.session = mix(seat, 1) },
		"a browser each time": func(v *visitor, seat uint64) { v.fine = mix(seat, 1) },
	} {
		s, held := watched(t), 0
		for seat := range 39 {
			v := visitor{fine: 1, place: 2, page: pageToken{session: 5, of: s.activities["qingming-2017"].pages}}
			disguise(&v, uint64(seat))
			held += len(script(s, v, 4, 0, at.Add(time.Duration(seat)*20*time.Millisecond), seat+1))
		}
		if held != 30 {
			t.Errorf("%s: %d held, want 30", name, held)
		}
	}
}

// Who has run through two classes is held in the third from the first seat on; pupils
// behind the same address who came by a page of ours are not.
func TestHeldApartFromOthers(t *testing.T) {
	t.Parallel()
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	who := visitor{fine: 1, place: 2}
	if held := script(s, who, 1, 20*time.Millisecond, at, upTo(20)...); len(held) != 11 {
		t.Fatalf("first class: %v", held)
	}
	if held := script(s, who, 2, 20*time.Millisecond, at.Add(time.Minute), upTo(20)...); len(held) != 11 {
		t.Fatalf("second class: %v", held)
	}
	pupil := who
	pupil.page = pageToken{session: 5, of: s.activities["qingming-2017"].pages}
	for name, c := range map[string]struct {
		who  visitor
		held int
	}{"the same": {who, 1}, "a pupil": {pupil, 0}, "another browser": {visitor{fine: 3, place: 2}, 0}} {
		if held := script(s, c.who, 3, time.Second, at.Add(2*time.Minute), 5); len(held) != c.held {
			t.Errorf("%s: %v", name, held)
		}
	}
	if held := script(s, who, 3, time.Second, at.Add(time.Hour), 6); len(held) != 0 {
		t.Errorf("an hour later: %v", held)
	}
}

// A sender who makes up classes is held within a second, and whoever else is behind
// the address is not.
func TestInvented(t *testing.T) {
	t.Parallel()
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	who, pupils := visitor{fine: 1, place: 2}, visitor{fine: 3, place: 2}
	heldAt := time.Duration(0)
	for i := range 500 {
		now := at.Add(time.Duration(i) * 20 * time.Millisecond)
		script(s, who, 100+i, 0, now, 1)
		if held := sent(s, who, now, i); held == canyu.Invented && heldAt == 0 {
			heldAt = now.Sub(at)
		}
		if held := sent(s, pupils, now, i); held != canyu.Unsuspected {
			t.Fatalf("after %s a pupil is held for %s", now.Sub(at), held)
		}
	}
	if heldAt == 0 || heldAt > time.Second {
		t.Errorf("held after %s", heldAt)
	}
}

// sent is one submission of somewhere, and why it is held.
func sent(s *Server, v visitor, at time.Time, i int) canyu.Suspicion {
	item := decoded{Submission: canyu.Submission{Activity: "qingming-2017", School: "3418020001", Grade: 1 + i*7%6, Class: 1 + i%2,
		Role: "student", Seat: 1 + int(mix(uint64(i), 7)>>33)%25, HasSeat: true, Steps: []string{"bow"}}}
	_, p, _, err := s.take(&v, &item, at, true)
	if err != nil {
		return 0
	}
	return p.Held
}

// Two thousand pupils at once, each of whom tries five times, are not told to wait; a
// machine is, in the end, and so is a single page.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	school := visitor{fine: 1, place: 2}
	for i := range 10_000 {
		if p := s.limited(&school, at.Add(time.Duration(i)*time.Millisecond)); p != nil {
			t.Fatalf("request %d: %+v", i, p)
		}
	}
	n := 0
	for s.limited(&school, at.Add(10*time.Second)) == nil {
		if n++; n > 2000 {
			t.Fatal("no limit")
		}
	}
	if p := s.limited(&school, at.Add(10*time.Second)); p.Status != 429 || p.retryAfter != "1" {
		t.Errorf("%+v", p)
	}
	if p := s.limited(&school, at.Add(11*time.Second)); p != nil {
		t.Errorf("a second later: %+v", p)
	}
	page := visitor{page: pageToken{session: 9}}
	for n = 0; s.limited(&page, at) == nil && n < 1000; n++ {
	}
	if n != 401 {
		t.Errorf("%d requests of a page", n)
	}
	for range 20_000 { // a proxy that nobody has named stands for everybody
		if p := s.limited(&visitor{fine: 5}, at); p != nil {
			t.Fatal("everybody is limited")
		}
	}
}

func TestFlooding(t *testing.T) {
	t.Parallel()
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	got := ""
	for i := range 70 {
		item := decoded{Submission: canyu.Submission{Activity: "qingming-2017", School: "3418020001", Grade: 3, Class: 2, Role: "student",
			Seat: 17, HasSeat: true, Message: fmt.Sprint("念 ", i)}}
		_, p, _, err := s.take(&visitor{}, &item, at.Add(time.Duration(i)*time.Minute), true)
		switch {
		case err != nil:
			got += "x"
		case p.Held == canyu.Flooding:
			got += "h"
		default:
			got += "."
		}
	}
	if want := "....." + string(bytes.Repeat([]byte("h"), 55)) + "xxxxxxxxxx"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A child has not more than twelve parents.
func TestParentsOfOneChild(t *testing.T) {
	t.Parallel()
	s, at, held := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC), 0
	for i := range 20 {
		item := decoded{Submission: canyu.Submission{Activity: "qingming-2017", School: "3418020001", Grade: 3, Class: 2, Role: "parent",
			Seat: 17, HasSeat: true, Name: fmt.Sprint("家长", i)}}
		_, p, _, err := s.take(&visitor{fine: mix(uint64(i), 1)}, &item, at.Add(time.Duration(i)*time.Minute), true)
		if err != nil {
			t.Fatal(err)
		}
		if p.Held == canyu.Flooding {
			held++
		}
	}
	if held != 8 {
		t.Errorf("%d held, want 8", held)
	}
}

func TestAddressIsWhatCanBeBelieved(t *testing.T) {
	t.Parallel()
	c := clients{proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}}
	for _, w := range []struct {
		from    string
		headers []string
		want    string
		known   bool
	}{
		{"203.0.113.9", nil, "203.0.113.9", true},
		{"203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9", true}, // nobody believes a visitor
		{"192.168.1.9", nil, "192.168.1.9", false},
		{"127.0.0.1", nil, "127.0.0.1", false},
		{"127.0.0.1", []string{"198.51.100.1"}, "198.51.100.1", true},
		{"127.0.0.1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1", true},
		{"127.0.0.1", []string{"1.2.3.4, 198.51.100.1, 10.9.9.9"}, "198.51.100.1", true},
		{"127.0.0.1", []string{"1.2.3.4", "198.51.100.1"}, "198.51.100.1", true}, // a line of the proxy's own
		{"127.0.0.1", []string{"1.2.3.4", "10.0.0.1"}, "1.2.3.4", true},
		{"127.0.0.1", []string{"1.2.3.4, nonsense"}, "127.0.0.1", false},
		{"127.0.0.1", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::", true},
		{"::ffff:203.0.113.9", nil, "203.0.113.9", true},
	} {
		var ctx fasthttp.RequestCtx
		var r fasthttp.Request
		for _, h := range w.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		ctx.Init(&r, &net.TCPAddr{IP: net.ParseIP(w.from), Port: 1}, nil)
		if addr, known := c.address(&ctx); addr.String() != w.want || known != w.known {
			t.Errorf("%s %v: %s %v, want %s %v", w.from, w.headers, addr, known, w.want, w.known)
		}
	}
}

func TestPageToken(t *testing.T) {
	t.Parallel()
	s, at := watched(t), time.Date(2017, 4, 5, 2, 0, 0, 0, time.UTC)
	a, tokens := s.activities["qingming-2017"], s.watch.tokens
	one, other := tokens.fresh(a, at), tokens.fresh(a, at)
	p, q := tokens.read([]byte(one), at.Add(time.Hour)), tokens.read([]byte(other), at)
	if p.session == 0 || p.session == q.session || p.of != a.pages {
		t.Errorf("%+v, %+v", p, q)
	}
	if tokens.shared(a, "x", at) != tokens.shared(a, "x", at.Add(59*time.Minute)) || tokens.shared(a, "x", at) == tokens.shared(a, "y", at) {
		t.Error("what a class has in common is not")
	}
	if p := newPageTokens([]byte("another site")).read([]byte(one), at); p.session != 0 {
		t.Error("another site's token is read")
	}
	for name, text := range map[string]string{"nothing": "", "short": one[1:], "long": one + "A", "changed": "A" + one[1:], "no base64": "!" + one[1:]} {
		if p := tokens.read([]byte(text), at); p.session != 0 && text[0] != one[0] {
			t.Errorf("%s is read", name)
		}
	}
	for _, d := range []time.Duration{14 * time.Hour, -14 * time.Hour} {
		if p := tokens.read([]byte(one), at.Add(d)); p.session != 0 {
			t.Errorf("it is read after %s", d)
		}
	}
}

func TestHeldAnswer(t *testing.T) {
	t.Parallel()
	r := result{Held: true, Accepted: true, Receipt: receipt([]byte("ABCD-1234"))}
	var v struct{ State, Receipt string }
	if err := json.Unmarshal(append(r.append(nil), '}'), &v); err != nil || r.status() != 202 || v.State != "held" || v.Receipt != "ABCD-1234" {
		t.Errorf("%d %+v, %v", r.status(), v, err)
	}
}
