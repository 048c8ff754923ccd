package loadtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/loadtest"
)

// counter is the least of a server that can be reconciled. Plant is called with
// each pupil's first submission and says how many it is counted as.
type counter struct {
	plant func(body) int

	mu      sync.Mutex
	seen    map[[4]any]bool
	classes map[canyu.Class]int
}

func newCounter(plant func(body) int) *counter {
	return &counter{plant: plant, seen: make(map[[4]any]bool), classes: make(map[canyu.Class]int)}
}

func (c *counter) handle(ctx *fasthttp.RequestCtx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.IsPost() && string(ctx.Path()) == "/v1/participations" {
		if text := ctx.PostBody(); text[0] == '[' {
			var items []body
			if err := json.Unmarshal(text, &items); err != nil {
				ctx.Error(err.Error(), 400)
				return
			}
			var results []string
			for _, b := range items {
				results = append(results, fmt.Sprintf(`{"counted":true,"receipt":"\"status\":500","status":%d}`, c.count(b)))
			}
			fmt.Fprintf(ctx, `{"results":[%s]}`, strings.Join(results, ","))
			return
		}
		var b body
		if err := json.Unmarshal(ctx.PostBody(), &b); err != nil {
			ctx.Error(err.Error(), 400)
			return
		}
		ctx.SetStatusCode(c.count(b))
		return
	}
	if string(ctx.Path()) != "/v1/activities/qingming-2017/counts" {
		ctx.Error("not found", 404)
		return
	}
	var classes []string
	for class, n := range c.classes {
		if class.School.String() == string(ctx.QueryArgs().Peek("school")) {
			classes = append(classes, fmt.Sprintf(`{"grade":%d,"class":%d,"enrolled":50,"participants":{"student":%d,"parent":3,"teacher":0}}`,
				class.Grade, class.Number, n))
		}
	}
	fmt.Fprintf(ctx, `{"participants":{"student":1},"submissions":1,"enrolled":50,"rate":null,"classes":[%s]}`, strings.Join(classes, ","))
}

func (c *counter) count(b body) (status int) {
	pupil := [4]any{b.School, b.Grade, b.Class, b.Seat}
	if c.seen[pupil] {
		return 200
	}
	c.seen[pupil] = true
	school, _ := canyu.ParseSchoolCode(b.School)
	c.classes[canyu.Class{School: school, Grade: uint8(b.Grade), Number: uint16(b.Class)}] += c.plant(b)
	return 201
}

func TestReconcileFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	r := newRoster(t, loadtest.Synthetic{Schools: 7, Grades: 2, Classes: 2, Enrolled: 50})
	f := func(plant func(body) int, want []loadtest.Difference) {
		t.Helper()
		target := inMemory(t, newCounter(plant).handle)
		reconcile := func(count int64, first int64) *loadtest.Reconciliation {
			before, err := loadtest.FetchCounts(t.Context(), target, "qingming-2017", r.Schools(0))
			if err != nil {
				t.Fatal(err)
			}
			res := run(t, loadtest.Options{Target: target, Schedule: loadtest.Flood{}, Count: count, First: first,
				Source: newSource(t, r, loadtest.SourceOptions{Repeats: 0.1})})
			after, err := loadtest.FetchCounts(t.Context(), target, "qingming-2017", r.Schools(0))
			if err != nil {
				t.Fatal(err)
			}
			return loadtest.Reconcile(before, after, res.Acknowledged, res.Unknown)
		}
		reconcile(500, 0) // what was counted before the run is not the run's
		rec := reconcile(0, 500)
		if !reflect.DeepEqual(rec.Differences, want) {
			t.Errorf("differences %v; want %v", rec.Differences, want)
		}
		if got := errors.Is(rec.Err(), loadtest.ErrDifference); got != (want != nil) {
			t.Errorf("error %v with differences %v", rec.Err(), want)
		}
		if rec.Classes != 28 || rec.Unknown != 0 || rec.Acknowledged < 800 {
			t.Errorf("reconciled %s", rec)
		}
	}
	school := canyu.SchoolCode(3418020003)
	last := func(b body) bool { return b.School == school.String() && b.Grade == 2 && b.Class == 1 }
	f(func(body) int { return 1 }, nil)

	// One lost and one counted twice, in one class and in two.
	var n int
	f(func(b body) int {
		if last(b) {
			if n++; n == 50 {
				return 0
			}
		}
		return 1
	}, []loadtest.Difference{{Class: canyu.Class{School: school, Grade: 2, Number: 1}, Acknowledged: acknowledgedOf(t, r, 500, last), Counted: acknowledgedOf(t, r, 500, last) - 1}})
	var m int
	f(func(b body) int {
		if last(b) {
			if m++; m == 49 {
				return 2
			}
		}
		return 1
	}, []loadtest.Difference{{Class: canyu.Class{School: school, Grade: 2, Number: 1}, Acknowledged: acknowledgedOf(t, r, 500, last), Counted: acknowledgedOf(t, r, 500, last) + 1}})
}

// acknowledgedOf is how many pupils who satisfy is come first from request first on.
func acknowledgedOf(t *testing.T, r *canyu.Roster, first int64, is func(body) bool) int {
	t.Helper()
	s := newSource(t, r, loadtest.SourceOptions{Repeats: 0.1})
	seen, n := make(map[int]bool), 0
	for i := range s.Requests() {
		if b, _ := decode(t, s, i); is(b) && !seen[b.Seat] {
			seen[b.Seat] = true
			if i >= first {
				n++
			}
		}
	}
	return n
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	class := canyu.Class{School: 3418020001, Grade: 3, Number: 2}
	f := func(before, after, acknowledged, unknown int, wantDifference bool) {
		t.Helper()
		rec := loadtest.Reconcile(loadtest.Counts{class: before}, loadtest.Counts{class: after},
			map[canyu.Class]int{class: acknowledged}, map[canyu.Class]int{class: unknown})
		if got := len(rec.Differences) > 0; got != wantDifference || got != (rec.Err() != nil) {
			t.Errorf("%d → %d, %d acknowledged, %d unknown: %s", before, after, acknowledged, unknown, rec)
		}
	}
	f(0, 0, 0, 0, false)
	f(3, 13, 10, 0, false)
	f(3, 12, 10, 0, true)
	f(3, 14, 10, 0, true)
	f(3, 14, 10, 1, false) // an answer was lost: it may be counted
	f(3, 13, 10, 1, false) // or not
	f(3, 15, 10, 1, true)
	f(3, 12, 10, 1, true)
	f(13, 3, 0, 0, true) // began again from zero

	// A class that the server says nothing about, and one that nobody loaded.
	if rec := loadtest.Reconcile(nil, nil, map[canyu.Class]int{class: 1}, nil); len(rec.Differences) != 1 {
		t.Errorf("nothing counted: %s", rec)
	}
	if rec := loadtest.Reconcile(nil, loadtest.Counts{class: 1}, nil, nil); len(rec.Differences) != 1 {
		t.Errorf("nothing acknowledged: %s", rec)
	}
}

// listen serves h on a free port of this machine and returns its URL.
func listen(t *testing.T, h fasthttp.RequestHandler) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: h, CloseOnShutdown: true}
	done := make(chan error)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}
