package loadtest_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu/loadtest"
)

// inMemory is a target that answers with h, without a network: in a bubble of
// synctest its stalls take no time.
func inMemory(t *testing.T, h fasthttp.RequestHandler) *loadtest.Target {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait) // a bubble wants every goroutine to end
	s := &fasthttp.Server{Handler: h, NoDefaultDate: true, Logger: quiet{}}
	return &loadtest.Target{
		URL: &url.URL{Scheme: "http", Host: "canyu.test", Path: "/"},
		Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			serving.Go(func() {
				s.ServeConn(theirs)
				theirs.Close()
			})
			return ours, nil
		},
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func run(t *testing.T, o loadtest.Options) *loadtest.Result {
	t.Helper()
	if o.Source == nil {
		o.Source = newSource(t, newRoster(t, loadtest.Synthetic{Schools: 20, Grades: 12, Classes: 5, Enrolled: 50}), loadtest.SourceOptions{})
	}
	if o.Connections == 0 {
		o.Connections = 8
	}
	res, err := loadtest.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A server that stalls for 0.7 s of 10 delays 7 % of what was due, whatever the
// few requests say that it was asked to answer meanwhile.
func TestStallShowsInPercentiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		res := run(t, loadtest.Options{
			Schedule: loadtest.Constant(1000), Duration: 10 * time.Second,
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) {
				if at := time.Since(start); at >= 5*time.Second && at < 5700*time.Millisecond {
					time.Sleep(5700*time.Millisecond - at)
				}
				ctx.SetStatusCode(201)
			}),
		})
		if res.Requests != 10_000 || res.Outcomes[loadtest.Counted] != 10_000 {
			t.Errorf("%d requests, %v; want 10000 counted", res.Requests, res.Outcomes)
		}
		if res.Latency.P50 > 1 || res.Latency.P90 > 1 {
			t.Errorf("p50 %g, p90 %g ms; want next to nothing", res.Latency.P50, res.Latency.P90)
		}
		if res.Latency.P99 < 590 || res.Latency.P99 > 610 || res.Latency.Max < 699 || res.Latency.Max > 701 {
			t.Errorf("p99 %g, max %g ms; want 600 and 700", res.Latency.P99, res.Latency.Max)
		}
		if res.Service.P99 > 1 {
			t.Errorf("p99 %g ms from when it was sent; want next to nothing: only 8 of 10000 requests met the stall", res.Service.P99)
		}
	})
}

func TestRunKeepsToItsSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var perSecond [10]atomic.Int64
		start := time.Now()
		var told []loadtest.Second
		res := run(t, loadtest.Options{
			Schedule: loadtest.Bell{Peak: 200, Rise: 2 * time.Second, Hold: time.Second, Decay: 2 * time.Second},
			Every:    func(s loadtest.Second) { told = append(told, s) },
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) {
				perSecond[time.Since(start)/time.Second].Add(1)
				ctx.SetStatusCode(201)
			}),
		})
		for i, want := range []int64{50, 150, 200, 150, 50, 0} {
			if got := perSecond[i].Load(); got < want-1 || got > want+1 {
				t.Errorf("second %d has %d requests; want %d", i, got, want)
			}
		}
		if res.Requests != 600 || res.Next != 600 && res.Next != 608 {
			t.Errorf("%d requests, next %d", res.Requests, res.Next)
		}
		if len(told) < 4 || told[1].Rate < 148 || told[1].Rate > 152 {
			t.Errorf("was told %+v", told)
		}
	})
}

func TestRunEndsByCountAndByDuration(t *testing.T) {
	t.Parallel()
	f := func(o loadtest.Options, want int64, wantLasts time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			o.Target = inMemory(t, func(ctx *fasthttp.RequestCtx) {
				time.Sleep(10 * time.Millisecond)
				ctx.SetStatusCode(201)
			})
			res := run(t, o)
			if lasted := time.Since(start); res.Requests != want || lasted != wantLasts {
				t.Errorf("%s: %d requests in %v; want %d in %v", o.Schedule, res.Requests, lasted, want, wantLasts)
			}
			acknowledged := 0
			for _, n := range res.Acknowledged {
				acknowledged += n
			}
			if int64(acknowledged) != want {
				t.Errorf("%s: %d acknowledged; want %d", o.Schedule, acknowledged, want)
			}
		})
	}
	f(loadtest.Options{Schedule: loadtest.Flood{}, Duration: time.Second}, 8*100, time.Second)
	f(loadtest.Options{Schedule: loadtest.Flood{}, Count: 80}, 80, 100*time.Millisecond)
	f(loadtest.Options{Schedule: loadtest.Constant(100), Duration: time.Second}, 100, time.Second)
	f(loadtest.Options{Schedule: loadtest.Constant(100), Count: 11, Duration: time.Minute}, 11, 110*time.Millisecond)
	f(loadtest.Options{Schedule: loadtest.Flood{}, First: 60_000 - 16}, 16, 20*time.Millisecond) // until the roster is used up
}

func TestEveryOutcomeIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		res := run(t, loadtest.Options{
			Schedule: loadtest.Constant(10), Count: 10, Connections: 1, Timeout: time.Second,
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) {
				switch status := []int{201, 200, 202, 204, 422, 429, 503, 500, 0, -1}[n.Add(1)-1]; status {
				case 0:
					ctx.HijackSetNoResponse(true)
					ctx.Hijack(func(net.Conn) {}) // closed without an answer
				case -1:
					time.Sleep(time.Minute)
				default:
					ctx.SetStatusCode(status)
				}
			}),
		})
		want := map[string]int64{"counted": 1, "repeat": 1, "spooled": 1, "empty": 1, "refused": 1, "throttled": 1,
			"unavailable": 1, "failed": 1, "unanswered": 2}
		for name, n := range want {
			if res.Outcomes[name] != n {
				t.Errorf("%s: %d; want %d", name, res.Outcomes[name], n)
			}
		}
		if res.Total() != 10 || res.Requests != 8 {
			t.Errorf("%d in all, %d answered; want 10 and 8", res.Total(), res.Requests)
		}
		acknowledged, unknown := 0, 0
		for _, n := range res.Acknowledged {
			acknowledged += n
		}
		for _, n := range res.Unknown {
			unknown += n
		}
		if acknowledged != 1 || unknown != 5 { // 202, 503, 500 and the two silences
			t.Errorf("%d acknowledged, %d unknown; want 1 and 5", acknowledged, unknown)
		}
		if len(res.Errors) != 6 {
			t.Errorf("errors %v; want six different", res.Errors)
		}
		var text strings.Builder
		if err := res.WriteText(&text); err != nil || !strings.Contains(text.String(), "unanswered") {
			t.Errorf("%v: %s", err, text.String())
		}
	})
}

// Whoever cannot be sent within the timeout is not forgotten: he is in the
// percentiles with the time he waited.
func TestUnsentCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		res := run(t, loadtest.Options{
			Schedule: loadtest.Constant(100), Duration: 10 * time.Second, Connections: 1, Timeout: time.Second,
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) {
				time.Sleep(100 * time.Millisecond) // a tenth of what is asked
				ctx.SetStatusCode(201)
			}),
		})
		if res.Total() != 1000 || res.Outcomes[loadtest.Unsent] < 800 {
			t.Errorf("%v of %d; want at least 800 unsent of 1000", res.Outcomes, res.Total())
		}
		if res.Latency.P50 < 1000 || res.Seconds > 12 {
			t.Errorf("p50 %g ms after %g s; want a second or more, and an end", res.Latency.P50, res.Seconds)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		res, err := loadtest.Run(ctx, loadtest.Options{
			Schedule: loadtest.Constant(10), Connections: 3,
			Source: newSource(t, newRoster(t, loadtest.Synthetic{Schools: 1, Grades: 1, Classes: 1, Enrolled: 50}), loadtest.SourceOptions{}),
			Target: inMemory(t, func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(201) }),
		})
		if err != nil || res.Requests < 5 || res.Requests > 6 || res.Seconds != 0.5 {
			t.Errorf("%+v, %v; want what was done in half a second", res, err)
		}
	})
}

func TestTargetIsThisMachine(t *testing.T) {
	t.Parallel()
	f := func(base string, remote bool, want error) {
		t.Helper()
		if _, err := loadtest.NewTarget(t.Context(), base, remote); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%s: %v; want %v", base, err, want)
		}
	}
	f("http://127.0.0.1:8080", false, nil)
	f("http://[::1]:8080", false, nil)
	f("https://localhost", false, nil)
	f("http://192.0.2.1", false, loadtest.ErrRemote)
	f("http://0.0.0.0:8080", false, loadtest.ErrRemote)
	f("http://192.0.2.1", true, nil)
	for _, bad := range []string{"", "127.0.0.1:8080", "ftp://127.0.0.1", "http://"} {
		if _, err := loadtest.NewTarget(t.Context(), bad, true); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
