package ingest

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Requests counts what was asked, by route and outcome, and how long the answer took.
// A request costs two atomic additions. Which addresses there are is known, so the
// numbers are few however many schools and pupils there are.
type Requests struct {
	routes []canyu.Route
	cells  [][outcomes]requestCell // of each route, then of all other addresses
	submit int
}

// Outcomes of a request.
const (
	answered = iota
	refusal  // 4xx: by who asks
	limited  // 429
	failed   // 5xx: by canyu, or by what it needs
	outcomes
)

var outcomeNames = [outcomes]string{"answered", "refused", "limited", "failed"}

// requestCell is a histogram whose bounds double from a quarter of a millisecond to
// eight seconds.
type requestCell struct {
	buckets [requestBounds + 1]atomic.Uint64
	nanos   atomic.Int64
}

const (
	requestBounds = 16
	requestFirst  = 250 * time.Microsecond
)

func (c *requestCell) observe(took time.Duration) {
	took = max(took, 1)
	c.buckets[min(bits.Len64(uint64((took-1)/requestFirst)), requestBounds)].Add(1)
	c.nanos.Add(int64(took))
}

// NewRequests counts by the first of the routes that an address has.
func NewRequests(routes []canyu.Route) *Requests {
	r := &Requests{routes: routes, cells: make([][outcomes]requestCell, len(routes)+1), submit: len(routes)}
	r.submit = r.find(participationsPath)
	return r
}

func (r *Requests) find(path string) int {
	path = canyu.TrimSlash(path)
	for i := range r.routes {
		if _, ok := r.routes[i].Match(path); ok {
			return i
		}
	}
	return len(r.routes)
}

// Watch counts what next answers.
func (r *Requests) Watch(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		route := r.submit
		if path := ctx.Path(); string(path) != participationsPath {
			route = r.find(string(path))
		}
		r.cells[route][outcomeOf(ctx.Response.StatusCode())].observe(time.Since(ctx.Time()))
	}
}

func outcomeOf(status int) int {
	switch {
	case status < 400:
		return answered
	case status == 429:
		return limited
	case status < 500:
		return refusal
	}
	return failed
}

var requestDesc = prometheus.NewDesc("canyu_request_seconds",
	"Time from the whole of a request to its answer, by route and outcome.", []string{"route", "outcome"}, nil)

// Describe implements prometheus.Collector.
func (r *Requests) Describe(ch chan<- *prometheus.Desc) { ch <- requestDesc }

// Collect implements prometheus.Collector. What never happened is left out, but for
// submissions: of them zero is told, so that a first failure is seen to be one more.
func (r *Requests) Collect(ch chan<- prometheus.Metric) {
	for i := range r.cells {
		route := "other"
		if i < len(r.routes) {
			route = r.routes[i].Path
		}
		for o := range outcomes {
			cell := &r.cells[i][o]
			buckets := make(map[float64]uint64, requestBounds)
			var count uint64
			for b := range requestBounds {
				count += cell.buckets[b].Load()
				buckets[(requestFirst << b).Seconds()] = count
			}
			count += cell.buckets[requestBounds].Load()
			if count > 0 || route == participationsPath {
				ch <- prometheus.MustNewConstHistogram(requestDesc, count, time.Duration(cell.nanos.Load()).Seconds(), buckets, route, outcomeNames[o])
			}
		}
	}
}
