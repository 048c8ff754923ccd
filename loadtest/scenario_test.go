package loadtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu/loadtest"
)

func TestArraysAndScreensHaveEveryPupilOnce(t *testing.T) {
	t.Parallel()
	r := unevenRoster(t)
	f := func(o loadtest.SourceOptions, parts int, oneClass bool) {
		t.Helper()
		seen := make(map[[4]any]int)
		pupils := int64(0)
		for part := range parts {
			o.Part, o.Of = part, parts
			s := newSource(t, r, o)
			pupils = s.Pupils()
			for n := range s.Requests() {
				text, who, ok := s.Append(nil, n)
				if !ok {
					t.Fatalf("%+v: there is no request %d", o, n)
				}
				if who.Count == 0 {
					continue
				}
				if o.Array < 2 {
					text = append(append([]byte{'['}, text...), ']')
				}
				var items []body
				if err := json.Unmarshal(text, &items); err != nil || len(items) != who.Count {
					t.Fatalf("%+v: request %d is of %d: %v: %s", o, n, who.Count, err, text)
				}
				for i, b := range items {
					seen[[4]any{b.School, b.Grade, b.Class, b.Seat}]++
					if c := s.Class(s.ClassOf(s.PupilOf(who, i))); c.School.String() != b.School || int(c.Number) != b.Class {
						t.Fatalf("%+v: request %d is of %v, not of %v", o, n, b, c)
					}
					if oneClass && (b.Class != items[0].Class || b.School != items[0].School) {
						t.Fatalf("%+v: request %d is of two classes: %s", o, n, text)
					}
				}
			}
		}
		if int64(len(seen)) != pupils {
			t.Errorf("%+v: %d of %d pupils", o, len(seen), pupils)
		}
		for who, n := range seen {
			if n != 1 {
				t.Fatalf("%+v: %v comes %d times", o, who, n)
			}
		}
	}
	f(loadtest.SourceOptions{Array: 1}, 1, true)
	f(loadtest.SourceOptions{Array: 100}, 1, false)
	f(loadtest.SourceOptions{Array: 7, Seed: 9}, 3, false)
	f(loadtest.SourceOptions{Array: 30, Scattered: true}, 1, false)
	f(loadtest.SourceOptions{Screens: 6}, 1, true)
	f(loadtest.SourceOptions{Screens: 1000}, 2, true)
	f(loadtest.SourceOptions{Screens: 6, Array: 20}, 1, true)
}

func TestAScreenHasOneClassAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newSource(t, newRoster(t, loadtest.Synthetic{Schools: 1, Grades: 2, Classes: 2, Enrolled: 3}), loadtest.SourceOptions{Screens: 2})
	var got []int64
	for n := range s.Requests() {
		_, who, _ := s.Append(nil, n)
		got = append(got, s.PupilOf(who, 0))
	}
	want := []int64{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}
	if len(got) != len(want) {
		t.Fatalf("%v; want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v; want %v", got, want)
		}
	}
}

func TestProfileKeepsToItsShape(t *testing.T) {
	t.Parallel()
	p := loadtest.NewProfile("up and down", []loadtest.Knot{{0, 0}, {1, 2}, {2, 0}, {3, 0}, {4, 2}}, 3000, 40*time.Second)
	var inTen [4]int
	last := time.Duration(-1)
	for n := range int64(3000) {
		due, ok := p.Due(n)
		if !ok || due < last || due > 40*time.Second {
			t.Fatalf("request %d is due at %v after %v", n, due, last)
		}
		last = due
		inTen[min(due/(10*time.Second), 3)]++
	}
	for i, want := range []int{1000, 1000, 0, 1000} {
		if inTen[i] < want-2 || inTen[i] > want+2 {
			t.Errorf("%v in ten seconds each; want 1000, 1000, 0, 1000", inTen)
			break
		}
	}
	if _, ok := p.Due(3000); ok {
		t.Error("there is one too many")
	}
}

// A pupil whose answer was lost and who sends again is one request, and nobody knows
// which of the two was counted.
func TestRetriesAreOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		res := run(t, loadtest.Options{
			Schedule: loadtest.Constant(0.2), Count: 4, Connections: 1, Timeout: time.Second, Retries: 2, Pause: 200 * time.Millisecond,
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) {
				switch status := []int{-1, 201, 503, 200, 503, 503, 503, 429, 201}[n.Add(1)-1]; status {
				case -1:
					time.Sleep(time.Minute)
				default:
					ctx.SetStatusCode(status)
				}
			}),
		})
		unknown := 0
		for _, n := range res.Unknown {
			unknown += n
		}
		if res.Outcomes[loadtest.Counted] != 2 || res.Outcomes[loadtest.Repeat] != 1 || res.Outcomes[loadtest.Unavailable] != 1 ||
			res.Resent != 5 || unknown != 2 || res.Total() != 4 {
			t.Errorf("%v, %d sent again, %d unknown; want 2 counted, 1 repeat, 1 unavailable, 5 and 2", res.Outcomes, res.Resent, unknown)
		}
		if res.Latency.Max < 1190 {
			t.Errorf("longest %g ms; want the first try in it", res.Latency.Max)
		}
	})
}

func TestScenariosRunAndArraysReconcile(t *testing.T) {
	t.Parallel()
	for _, s := range loadtest.Scenarios {
		for _, array := range []string{"0", "30"} {
			url := listen(t, newCounter(func(body) int { return 1 }).handle)
			var out bytes.Buffer
			err := canyuCommand(t.Context(), &out, "loadtest", "run", "--target", url, "--activity", "qingming-2017", "--schools", "2", "--quiet",
				"--scenario", s.Name, "--array", array, "--count", "100", "--duration", "1s", "--connections", "8",
				"--rise", "1s", "--hold", "100ms", "--decay", "100ms", "--fail", "lost=0", "--fail", "twice=0", "--json")
			var res loadtest.Result
			if err := errors.Join(err, json.Unmarshal(out.Bytes(), &res)); err != nil {
				t.Fatalf("%s, arrays of %s: %v", s.Name, array, err)
			}
			if res.Requests == 0 || res.Reconciliation.Counted == 0 || array == "30" && res.Total() < 5*res.Requests {
				t.Errorf("%s, arrays of %s: %s", s.Name, array, out.String())
			}
		}
	}
	err := canyuCommand(t.Context(), new(bytes.Buffer), "loadtest", "run", "--activity", "x", "--scenario", "nonsense")
	if err == nil || !strings.Contains(err.Error(), "retry-storm") {
		t.Errorf("an unknown scenario: %v; want the list", err)
	}
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	f := func(threshold string, kept bool) {
		t.Helper()
		n := 0
		counter := newCounter(func(body) int { return 1 })
		url := listen(t, func(ctx *fasthttp.RequestCtx) {
			if ctx.IsPost() {
				counter.mu.Lock()
				n++
				refused := n%10 == 0
				counter.mu.Unlock()
				if refused {
					ctx.SetStatusCode(422)
					return
				}
			}
			counter.handle(ctx)
		})
		err := canyuCommand(t.Context(), new(bytes.Buffer), "loadtest", "run", "--target", url, "--activity", "qingming-2017", "--schools", "1",
			"--quiet", "--count", "100", "--connections", "4", "--fail", "lost=0", "--fail", threshold)
		if errors.Is(err, loadtest.ErrThreshold) == kept || kept && err != nil {
			t.Errorf("%s: %v", threshold, err)
		}
	}
	f("p99=1m", true)
	f("p50=1ns", false)
	f("errors=10%", true)
	f("errors=9.9%", false)
	f("errors=9", false)
	f("rate=1", true)
	f("rate=1e9", false)
	for _, bad := range []string{"p99", "p99=5", "p98=5ms", "lost=1%", "errors=-1", "rate=NaN"} {
		if _, err := loadtest.ParseThreshold(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Two generators that make a half each are, merged, the one that makes all of it.
func TestMerge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := listen(t, newCounter(func(body) int { return 1 }).handle)
	var files []string
	for _, part := range []string{"1/2", "2/2"} {
		file := filepath.Join(dir, strings.ReplaceAll(part, "/", "of")+".json")
		files = append(files, file)
		err := canyuCommand(t.Context(), new(bytes.Buffer), "loadtest", "run", "--target", url, "--activity", "qingming-2017", "--schools", "1",
			"--grades", "2", "--quiet", "--part", part, "--rate", "400", "--duration", "1200ms", "--connections", "4", "--save", file)
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	html := filepath.Join(dir, "all.html")
	args := append([]string{"loadtest", "merge", "--target", url, "--json", "--html", html, "--fail", "lost=0"}, files...)
	if err := canyuCommand(t.Context(), &out, args...); err != nil {
		t.Fatal(err)
	}
	var res loadtest.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatal(err)
	}
	rec := res.Reconciliation
	if res.Outcomes[loadtest.Counted] != 480 || rec.Acknowledged != 480 || rec.Counted != 480 || len(res.Timeline) < 2 || res.Latency.P99 <= 0 {
		t.Errorf("merged: %s", out.String())
	}
	if text, err := os.ReadFile(html); err != nil || !strings.Contains(string(text), "2 generators") || !strings.Contains(string(text), "<svg") {
		t.Errorf("the page: %v", err)
	}
	// One of the two saw less than the server counted: merging it alone says so.
	if err := canyuCommand(t.Context(), &out, "loadtest", "merge", "--target", url, files[0]); !errors.Is(err, loadtest.ErrDifference) {
		t.Errorf("a half alone: %v", err)
	}
	if err := canyuCommand(t.Context(), &out, "loadtest", "merge", html); err == nil || !strings.Contains(err.Error(), "--save") {
		t.Errorf("something else: %v", err)
	}
}

func TestCompareSendsTheSameElsewhere(t *testing.T) {
	t.Parallel()
	ours := listen(t, newCounter(func(body) int { return 1 }).handle)
	bodies := make(chan string, 100)
	theirs := listen(t, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/other/submit" {
			bodies <- string(ctx.PostBody())
		}
	})
	html := filepath.Join(t.TempDir(), "page.html")
	var out bytes.Buffer
	err := canyuCommand(t.Context(), &out, "loadtest", "run", "--target", ours, "--activity", "qingming-2017", "--schools", "1", "--quiet",
		"--count", "50", "--connections", "2", "--compare", theirs+"/other/submit", "--html", html)
	if err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 50 || !strings.Contains(out.String(), theirs+"/other/submit") || !strings.Contains(out.String(), "| requests answered") {
		t.Errorf("%d went elsewhere; said %s", len(bodies), out.String())
	}
	if text, err := os.ReadFile(html); err != nil || !strings.Contains(string(text), theirs) {
		t.Errorf("the page: %v", err)
	}
}
