package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sendFrom is a submission of somebody behind an address, as a proxy hands it on.
func (b *board) sendFrom(address, browser string, fields map[string]any) (int, string) {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/v1/participations", strings.NewReader(b.submission(fields)))
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", address)
	req.Header.Set("User-Agent", browser)
	resp, err := httpClient.Do(req)
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Error(err)
	}
	return resp.StatusCode, string(text)
}

const (
	bellSchool   = "3418020001"
	targetSchool = "3418020002"
	bellAddress  = "203.0.113.7"
)

// attack is what two scripts get while the bell rings.
type attack struct {
	counted, held int // of those that named a class that there is
	heldAfter     time.Duration
	slowest       time.Duration // between two requests
}

// targets are classes that are attacked one after the other, until this machine was
// quick enough to look like one.
const targets = 6

// Two thousand pupils behind one address at one bell: none is told to wait and none is
// held, while two scripts of fifty requests a second are held apart within ten seconds:
// one, behind the same address, makes up classes; the other sends one class's seats in
// order. A person then decides, and may take it back.
func TestSchoolsSurviveAbuse(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "watch: on\ntrusted_proxies: [127.0.0.1]\n")
		s.atOnce = true
		var roster strings.Builder
		roster.WriteString("region,school,name,grade,class,enrolled\n")
		for class := range 40 {
			fmt.Fprintf(&roster, "341802,%s,甲小学,3,%d,50\n", bellSchool, class+1)
		}
		for class := range 1 + targets {
			fmt.Fprintf(&roster, "341802,%s,乙小学,3,%d,50\n", targetSchool, class+1)
		}
		s.must("roster", "import", s.file("roster.csv", []byte(roster.String())))
		b := &board{site: s, t: t, visitors: newVisitors(t, s)}
		b.server = s.serve()

		var bell sync.WaitGroup
		var invents, inOrder attack
		before, class := attack{}, 1
		bell.Go(b.ring)
		bell.Go(func() { invents = b.invents() })
		bell.Go(func() {
			for {
				class++
				if inOrder = b.inOrder(class); inOrder.slowest < 900*time.Millisecond || class == 1+targets {
					return
				}
				before.counted, before.held = before.counted+inOrder.counted, before.held+inOrder.held
			}
		})
		bell.Wait()
		if inOrder.counted != 9 || inOrder.held != 41 || inOrder.heldAfter > 10*time.Second {
			t.Errorf("seats in order: %+v", inOrder)
		}
		if invents.held == 0 || invents.heldAfter > 10*time.Second {
			t.Errorf("invented classes: %+v", invents)
		}
		without := 9 + before.counted + invents.counted
		b.wantStudents(bellSchool, 2000)
		b.wantStudents(targetSchool, without)
		b.decides(without, without+41)
		b.told(class, 41+before.held, invents.held+before.held)
		b.survives(p, without+41)
	})
}

// survives: what was let count is there after a restart, and after the ledger was lost
// and rebuilt, in which it never was.
func (b *board) survives(p pair, want int) {
	b.t.Helper()
	b.stop()
	if p.dsn == "" {
		files, err := filepath.Glob(filepath.Join(b.dir, "data", "ledger.db*"))
		if err != nil || len(files) == 0 {
			b.t.Fatalf("nothing to lose: %v", err)
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				b.t.Fatal(err)
			}
		}
		b.must("rebuild")
	}
	b.server = b.serve()
	b.wantStudents(targetSchool, want)
	b.wantStudents(bellSchool, 2000)
	if out := b.must("verify"); !strings.Contains(out, "agree") {
		b.t.Errorf("verify: %s", out)
	}
}

// ring is the bell: each pupil once, in any order, within some seconds.
func (b *board) ring() {
	type pupil struct{ class, seat int }
	var pupils []pupil
	for i := range 2000 {
		pupils = append(pupils, pupil{1 + i/50, 1 + i%50})
	}
	rand.Shuffle(len(pupils), func(i, j int) { pupils[i], pupils[j] = pupils[j], pupils[i] })
	var wg sync.WaitGroup
	var next, wrong atomic.Int32
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(pupils); i = int(next.Add(1)) - 1 {
				status, text := b.sendFrom(bellAddress, "lab", map[string]any{"school": bellSchool, "class": pupils[i].class, "seat": pupils[i].seat})
				if status != 201 && wrong.Add(1) < 5 {
					b.t.Errorf("a pupil at the bell: %d %s", status, text)
				}
			}
		})
	}
	wg.Wait()
}

// invents sends classes that there are not, and one in five that there is, until it is
// held.
func (b *board) invents() (a attack) {
	tick, began := time.NewTicker(time.Second/50), time.Now()
	defer tick.Stop()
	for i := 0; time.Since(began) < 10*time.Second && a.held < 5; i++ {
		fields := map[string]any{"school": targetSchool, "class": 100 + i%800, "seat": 1}
		if i%5 == 4 {
			fields = map[string]any{"school": targetSchool, "class": 1, "seat": 1 + i*7%50}
		}
		switch status, text := b.sendFrom(bellAddress, "python-requests/2.31", fields); {
		case status == 422:
		case status == 201:
			a.counted++
		case status == 202 && strings.Contains(text, `"state":"held"`):
			if a.held++; a.held == 1 {
				a.heldAfter = time.Since(began)
			}
		default:
			b.t.Errorf("an invented class: %d %s", status, text)
		}
		<-tick.C
	}
	return a
}

// inOrder sends one class's seats.
func (b *board) inOrder(class int) (a attack) {
	tick, began := time.NewTicker(time.Second/50), time.Now()
	defer tick.Stop()
	last := began
	for seat := range 50 {
		status, text := b.sendFrom(fmt.Sprint("198.51.100.", class), "Mozilla/5.0", map[string]any{"school": targetSchool, "class": class, "seat": seat + 1})
		a.slowest, last = max(a.slowest, time.Since(last)), time.Now()
		switch {
		case status == 201:
			a.counted++
		case status == 202 && strings.Contains(text, `"state":"held"`):
			if a.held++; a.held == 1 {
				a.heldAfter = time.Since(began)
			}
		default:
			b.t.Errorf("seat %d: %d %s", seat+1, status, text)
		}
		<-tick.C
	}
	return a
}

func (b *board) wantStudents(school string, want int) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%s has %d", school, want), func() error {
		_, text, err := b.get("/v1/activities/" + b.activity + "/counts?school=" + school)
		var v struct{ Participants map[string]int }
		if err == nil {
			err = json.Unmarshal([]byte(text), &v)
		}
		if err == nil && v.Participants["student"] != want {
			err = fmt.Errorf("%d students", v.Participants["student"])
		}
		return err
	})
}

var heldPattern = regexp.MustCompile(`(?s)<li>.*?</b> <span>([0-9,]+) 次提交，([0-9,]+) 人（不含已另行计入的）</span></p>(.*?)</li>`)

const heldPath = "/bureau/341802/held"

// heldCases are the cases on the bureau's page by how many submissions they have, with
// the rest of each.
func (b *board) heldCases() (cases map[string]string, token string) {
	b.t.Helper()
	status, _, body := b.ask("county", heldPath, nil)
	if status != 200 {
		b.t.Fatalf("%d: %s", status, body)
	}
	cases = make(map[string]string)
	for _, m := range heldPattern.FindAllStringSubmatch(body, -1) {
		cases[m[1]] = m[3]
	}
	if m := tokenPattern.FindStringSubmatch(body); m != nil {
		token = m[1]
	}
	return cases, token
}

// decides lets a class count, takes that back, and leaves it out.
func (b *board) decides(without, with int) {
	b.t.Helper()
	b.eventually("what is held is on the page", func() error {
		if cases, _ := b.heldCases(); len(cases) < 2 || !strings.Contains(cases["41"], "快于人手操作") {
			return fmt.Errorf("%q", cases)
		}
		return nil
	})
	if status, _, _ := b.ask("none", heldPath, nil); status != 401 {
		b.t.Errorf("without a link: %d", status)
	}
	b.eventually("the bureau's page leads there", func() error { // it may be as old as the one before
		if _, _, page := b.ask("county", "/bureau/341802", nil); !strings.Contains(page, "次提交暂未计入，请核对") {
			return errors.New("it does not")
		}
		return nil
	})
	for _, step := range []struct {
		do, did string
		want    int
	}{{"count", "admitted", with}, {"undo", "undecided", without}, {"leave", "left-out", without}, {"undo", "undecided", without}, {"count", "admitted", with}} {
		cases, token := b.heldCases()
		m := regexp.MustCompile(`name="` + step.do + `" value="([^"]+)"`).FindStringSubmatch(cases["41"])
		if m == nil {
			b.t.Fatalf("no button to %s: %s", step.do, cases["41"])
		}
		if _, to, _ := b.ask("county", heldPath, url.Values{"token": {"wrong"}, step.do: {m[1]}}); !strings.Contains(to, "did=stale") {
			b.t.Errorf("another site's form: %s", to)
		}
		status, to, _ := b.ask("county", heldPath, url.Values{"token": {token}, step.do: {m[1]}})
		if status != 303 || !strings.Contains(to, "did="+step.did) {
			b.t.Fatalf("%s: %d %s", step.do, status, to)
		}
		b.wantStudents(targetSchool, step.want)
	}
}

// told: the report's numbers and notes, what is audited, the metrics; and ledger and
// archive agree.
func (b *board) told(class, pace, waiting int) {
	b.t.Helper()
	if _, text, _ := b.get("/metrics"); !strings.Contains(text, fmt.Sprintf("canyu_held_total{activity=%q,reason=\"pace\"} %d", b.activity, pace)) {
		b.t.Error("metrics do not tell of what is held")
	}
	today := time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	out := filepath.Join(b.dir, "report")
	b.must("report", "render", "--region", "341802", "--date", today, "--out", out)
	text, err := os.ReadFile(filepath.Join(out, "report.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	var r struct {
		Schools []struct {
			School  string
			Student struct{ Total int }
			Classes []struct{ Class, Student int }
		}
		Quality struct{ Held struct{ Today, Total int } }
	}
	if err := json.Unmarshal(text, &r); err != nil {
		b.t.Fatal(err)
	}
	if len(r.Schools) != 2 || r.Schools[0].Student.Total != 2000 || len(r.Schools[1].Classes) < class || r.Schools[1].Classes[class-1].Student != 50 || r.Quality.Held.Total != waiting {
		b.t.Errorf("report: %+v", r)
	}
	lines := 0
	for l := range strings.Lines(b.must("audit")) {
		if strings.Contains(l, "held.") && strings.Contains(l, fmt.Sprintf("%s 3(%d)", targetSchool, class)) {
			lines++
		}
	}
	if lines != 5 {
		b.t.Errorf("%d lines of the audit log, want 5", lines)
	}
	if out := b.must("verify"); !strings.Contains(out, "agree") {
		b.t.Errorf("verify: %s", out)
	}
}
