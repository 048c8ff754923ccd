package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// Every request is in one cell, by the pattern of its address and not by the address:
// however many there are, the numbers stay as few.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	requests := ingest.NewRequests([]canyu.Route{{Path: "/v1/participations"}, {Path: "/a/{activity}"}})
	status := 200
	handle := requests.Watch(func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(status) })
	for _, path := range []string{"/v1/participations", "/a/one", "/a/two", "/a/two/", "/no/such/path", "/nor/this"} {
		for _, status = range []int{201, 404, 429, 503} {
			var ctx fasthttp.RequestCtx
			var request fasthttp.Request
			request.SetRequestURI("http://canyu" + path)
			ctx.Init(&request, nil, nil)
			handle(&ctx)
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(requests)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v: %v", families, err)
	}
	got := make(map[string]uint64)
	for _, m := range families[0].Metric {
		got[fmt.Sprint(m.Label[1].GetValue(), " ", m.Label[0].GetValue())] = m.Histogram.GetSampleCount()
		if buckets := m.Histogram.Bucket; buckets[0].GetUpperBound() != 0.00025 || buckets[15].GetUpperBound() < 8 {
			t.Errorf("buckets %v", buckets)
		}
	}
	for path, n := range map[string]uint64{"/v1/participations": 1, "/a/{activity}": 3, "other": 2} {
		for _, outcome := range []string{"answered", "refused", "limited", "failed"} {
			if got[path+" "+outcome] != n {
				t.Errorf("%s %s: %d, want %d", path, outcome, got[path+" "+outcome], n)
			}
		}
	}
	if len(got) != 12 {
		t.Errorf("%d numbers: %v", len(got), got)
	}
}

// How long an answer took is in the first bucket that is not too small for it.
func TestRequestsAreTimed(t *testing.T) {
	t.Parallel()
	requests := ingest.NewRequests([]canyu.Route{{Path: "/v1/participations"}})
	var ctx fasthttp.RequestCtx
	var request fasthttp.Request
	request.SetRequestURI("http://canyu/v1/participations")
	ctx.Init(&request, nil, nil)
	wait := 3 * time.Millisecond
	requests.Watch(func(ctx *fasthttp.RequestCtx) {
		for time.Since(ctx.Time()) < wait {
		}
	})(&ctx)
	registry := prometheus.NewRegistry()
	registry.MustRegister(requests)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].Metric {
		if m.Histogram.GetSampleCount() == 0 {
			continue
		}
		took := m.Histogram.GetSampleSum()
		if took < wait.Seconds() {
			t.Errorf("took %v s, at least %s", took, wait)
		}
		for _, b := range m.Histogram.Bucket {
			if want := b.GetUpperBound() >= took; (b.GetCumulativeCount() == 1) != want {
				t.Errorf("took %v s: the bucket up to %v has %d", took, b.GetUpperBound(), b.GetCumulativeCount())
			}
		}
	}
}
