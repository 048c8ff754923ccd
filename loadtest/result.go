package loadtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/canyu/canyu"
)

// Result is what a run found.
type Result struct {
	Schedule    string           `json:"schedule"`
	Connections int              `json:"connections"`
	Started     time.Time        `json:"started"`
	Seconds     float64          `json:"seconds"`
	Requests    int64            `json:"requests"` // answered
	Rate        float64          `json:"rate"`     // answered per second
	Statuses    map[int]int64    `json:"statuses"` // of answers
	Outcomes    map[string]int64 `json:"outcomes"` // of submissions: of each in an array
	Resent      int64            `json:"resent,omitempty"`
	Twice       int64            `json:"told_twice"` // pupils who were answered 201 more than once
	Errors      map[string]int64 `json:"errors,omitempty"`
	Latency     Percentiles      `json:"latency_ms"` // from the intended start
	Service     Percentiles      `json:"service_ms"` // from when it was sent
	Timeline    []Second         `json:"timeline,omitempty"`

	// First and Next are the requests of the source to begin and to go on with.
	First int64 `json:"first"`
	Next  int64 `json:"next"`

	// Acknowledged is how many of each class were answered 201: the client's own
	// record. Unknown is how many may have been counted besides: they were not
	// answered, or with 202 or 5xx. Classes with neither are in neither.
	Acknowledged map[canyu.Class]int `json:"-"`
	Unknown      map[canyu.Class]int `json:"-"`

	Reconciliation *Reconciliation `json:"reconciliation,omitempty"`

	latency, service *hdrhistogram.Histogram
}

// Percentiles are in milliseconds.
type Percentiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Percentiles{h.Mean() / 1000, at(50), at(90), at(99), at(99.9), float64(h.Max()) / 1000}
}

// Outcomes of a request, in the order in which they are shown.
const (
	Counted     = "counted"     // 201
	Repeat      = "repeat"      // 200
	Spooled     = "spooled"     // 202
	Empty       = "empty"       // 204, which only a baseline answers
	Refused     = "refused"     // 4xx
	Throttled   = "throttled"   // 429
	Unavailable = "unavailable" // 503
	Failed      = "failed"      // any other reply
	Unanswered  = "unanswered"  // sent, and then silence
	Unsent      = "unsent"      // due, but no connection was free within the timeout
)

var outcomes = []string{Counted, Repeat, Spooled, Empty, Refused, Throttled, Unavailable, Failed, Unanswered, Unsent}

func outcome(status int) string {
	switch {
	case status == 200:
		return Repeat
	case status == 201:
		return Counted
	case status == 202:
		return Spooled
	case status == 204:
		return Empty
	case status == 429:
		return Throttled
	case status == 503:
		return Unavailable
	case status >= 400 && status < 500:
		return Refused
	}
	return Failed
}

func (r *runner) result(elapsed time.Duration, line []Second) *Result {
	all := r.rec.sum()
	if r.Schedule != (Flood{}) {
		before := int64(0)
		for i := range line {
			by := dueBy(r.Schedule, line[i].At)
			at := time.Duration(0)
			if i > 0 {
				at = line[i-1].At
			}
			line[i].Due = float64(by-before) / (line[i].At - at).Seconds()
			before = by
		}
	}
	res := &Result{
		Schedule: r.Schedule.String(), Connections: r.Connections,
		Started: r.start.Round(time.Millisecond), Seconds: elapsed.Seconds(),
		Statuses: make(map[int]int64), Outcomes: make(map[string]int64), Errors: r.rec.errors,
		Latency: percentiles(all.latency), Service: percentiles(all.service),
		latency: all.latency, service: all.service,
		Resent: r.again.Load(), Twice: r.twice.Load(),
		Timeline: line, First: r.First, Next: min(r.First+r.next.Load(), r.Source.Requests()),
		Acknowledged: make(map[canyu.Class]int), Unknown: make(map[canyu.Class]int),
	}
	for status, n := range all.statuses {
		if n > 0 {
			res.Statuses[status] = n
			res.Requests += n
		}
		if n := all.items[status]; n > 0 {
			res.Outcomes[outcome(status)] += n
		}
	}
	res.Rate = float64(res.Requests) / res.Seconds
	for name, n := range map[string]int64{Unanswered: all.silent, Unsent: all.unsent} {
		if n > 0 {
			res.Outcomes[name] = n
		}
	}
	for i := range r.acked {
		if n := r.acked[i].Load(); n > 0 {
			res.Acknowledged[r.Source.Class(i)] = int(n)
		}
		if n := r.maybe[i].Load(); n > 0 {
			res.Unknown[r.Source.Class(i)] = int(n)
		}
	}
	return res
}

// Total is how many submissions were due, answered or not.
func (r *Result) Total() (n int64) {
	for _, k := range r.Outcomes {
		n += k
	}
	return n
}

// WriteJSON writes the result as one JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "schedule\t%s, %d connections\n", r.Schedule, r.Connections)
	fmt.Fprintf(t, "answered\t%d in %.2f s: %.0f/s\n", r.Requests, r.Seconds, r.Rate)
	if total := r.Total(); total != r.Requests {
		fmt.Fprintf(t, "submissions\t%d: %.0f/s\n", total, float64(total)/r.Seconds)
	}
	for _, name := range outcomes {
		if n := r.Outcomes[name]; n > 0 {
			fmt.Fprintf(t, "  %s\t%d\n", name, n)
		}
	}
	if r.Resent > 0 {
		fmt.Fprintf(t, "sent again\t%d\n", r.Resent)
	}
	if r.Twice > 0 {
		fmt.Fprintf(t, "TOLD TWICE\t%d pupils were counted and counted again\n", r.Twice)
	}
	var statuses []string
	for _, s := range slices.Sorted(maps.Keys(r.Statuses)) {
		statuses = append(statuses, fmt.Sprintf("%d: %d", s, r.Statuses[s]))
	}
	fmt.Fprintf(t, "by status\t%s\n", strings.Join(statuses, ", "))
	for _, l := range []struct {
		name string
		p    Percentiles
	}{{"latency, from the intended start", r.Latency}, {"latency, from when it was sent", r.Service}} {
		fmt.Fprintf(t, "%s\tp50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f ms\n",
			l.name, l.p.P50, l.p.P90, l.p.P99, l.p.P999, l.p.Max)
	}
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(t, "error\t%d × %s\n", r.Errors[text], text)
	}
	if r.Reconciliation != nil {
		fmt.Fprintf(t, "reconciled\t%s\n", r.Reconciliation)
	}
	return t.Flush()
}
