package loadtest

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
)

//go:embed report.html
var pages embed.FS

var page = template.Must(template.ParseFS(pages, "report.html"))

// report is everything that is told about a run.
type report struct {
	Activity, Scenario, Target string
	Generators                 int // that were merged; 0: none
	Result                     *Result
	OtherTarget                string
	Other                      *Result // of the system that is compared with
	Thresholds                 []Threshold

	failed error
}

func (r *report) writeFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	if err := errors.Join(page.Execute(f, r), f.Close()); err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}

// Title is what was done.
func (r *report) Title() string {
	if r.Scenario != "" {
		return r.Scenario
	}
	return r.Result.Schedule
}

// Charts are the rate, the latency and its distribution.
func (r *report) Charts() []*chart {
	rate := &chart{title: "Requests answered", unitX: "seconds", unitY: "per second"}
	latency := &chart{title: "Latency from the intended start, second by second", unitX: "seconds", unitY: "ms", logY: true}
	answered := series{name: "answered", class: "a", area: true}
	due := series{name: "intended", class: "due"}
	p50 := series{name: "p50", class: "a", leaveOutZero: true}
	p99 := series{name: "p99", class: "b", leaveOutZero: true}
	asked := false
	for _, s := range r.Result.Timeline {
		at := s.At.Seconds()
		answered.xs, answered.ys = append(answered.xs, at), append(answered.ys, s.Rate)
		due.xs, due.ys = append(due.xs, at), append(due.ys, s.Due)
		p50.xs, p50.ys = append(p50.xs, at), append(p50.ys, inMilliseconds(s.P50))
		p99.xs, p99.ys = append(p99.xs, at), append(p99.ys, inMilliseconds(s.P99))
		asked = asked || s.Due > 0
	}
	rate.series = []series{answered}
	if asked {
		rate.series = append(rate.series, due)
	}
	latency.series = []series{p99, p50}
	return []*chart{rate, latency, r.distribution()}
}

// distribution has the percentiles on the horizontal axis, each step ten times rarer.
func (r *report) distribution() *chart {
	c := &chart{title: "Distribution of latency", unitX: "percentile", unitY: "ms", logY: true}
	intended := series{name: "from the intended start", class: "b"}
	sent := series{name: "from when it was sent", class: "a"}
	nines := min(5, max(1, math.Log10(float64(max(r.Result.Requests, 10)))))
	for x := 0.0; x <= nines+1e-9; x += 0.05 {
		q := 100 * (1 - math.Pow(10, -x))
		intended.xs, intended.ys = append(intended.xs, x), append(intended.ys, inMilliseconds(quantile(r.Result.latency, q)))
		sent.xs, sent.ys = append(sent.xs, x), append(sent.ys, inMilliseconds(quantile(r.Result.service, q)))
	}
	c.series = []series{intended, sent}
	c.ticksX = []tickAt{{0, "0"}, {math.Log10(2), "50 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"}, {5, "99.999 %"}}
	return c
}

type tile struct{ Name, Value, Note string }

// Tiles are the few numbers that are looked at first.
func (r *report) Tiles() []tile {
	res := r.Result
	t := []tile{
		{"Answered", thousands(res.Requests), fmt.Sprintf("in %.1f s", res.Seconds)},
		{"Requests a second", thousands(int64(res.Rate)), fmt.Sprintf("%d connections", res.Connections)},
		{"p50", fmt.Sprintf("%.2f ms", res.Latency.P50), "from the intended start"},
		{"p99", fmt.Sprintf("%.2f ms", res.Latency.P99), fmt.Sprintf("greatest %.0f ms", res.Latency.Max)},
		{"Errors", fmt.Sprintf("%.3g %%", 100*float64(res.Errored())/float64(max(res.Total(), 1))), fmt.Sprintf("%s of %s submissions", thousands(res.Errored()), thousands(res.Total()))},
	}
	if rec := res.Reconciliation; rec != nil {
		lost, twice := rec.lostAndTwice()
		t = append(t, tile{"Lost / twice", fmt.Sprintf("%d / %d", lost, twice+int(res.Twice)),
			fmt.Sprintf("%s counted in %s classes", thousands(int64(rec.Counted)), thousands(int64(rec.Classes)))})
	}
	return t
}

// thousands writes 874552 as 874,552.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Started is when, as people write it.
func (r *report) Started() string {
	return r.Result.Started.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// Verdict is of a threshold: "" where it was kept.
func (r *report) Verdict(t Threshold) string {
	if err := t.Check(r.Result); err != nil {
		return strings.TrimPrefix(err.Error(), t.text+": ")
	}
	return ""
}

// Text is the threshold as it was given.
func (t Threshold) Text() string { return t.text }

// Reasons are the errors with how often each came.
func (r *report) Reasons() map[string]int64 { return r.Result.Errors }

// Differences is the reconciliation in words.
func (r *report) Differences() string {
	if r.Result.Reconciliation == nil {
		return "Nothing was reconciled."
	}
	return r.Result.Reconciliation.String()
}

type compared struct{ Name, Ours, Theirs, Ratio string }

// Rows are the result, beside the other system's where there is one.
func (r *report) Rows() []compared {
	other := r.Other
	if other == nil {
		other = &Result{}
	}
	row := func(name, format string, of func(*Result) float64) compared {
		c := compared{Name: name, Ours: fmt.Sprintf(format, of(r.Result)), Theirs: fmt.Sprintf(format, of(other)), Ratio: "–"}
		if of(other) > 0 {
			c.Ratio = fmt.Sprintf("%.2f", of(r.Result)/of(other))
		}
		return c
	}
	rows := []compared{
		row("requests answered", "%.0f", func(x *Result) float64 { return float64(x.Requests) }),
		row("a second", "%.0f", func(x *Result) float64 { return x.Rate }),
	}
	for _, q := range []struct {
		name string
		of   func(Percentiles) float64
	}{
		{"p50", func(p Percentiles) float64 { return p.P50 }}, {"p90", func(p Percentiles) float64 { return p.P90 }},
		{"p99", func(p Percentiles) float64 { return p.P99 }}, {"p99.9", func(p Percentiles) float64 { return p.P999 }},
		{"greatest", func(p Percentiles) float64 { return p.Max }},
	} {
		rows = append(rows, row("latency "+q.name+", ms", "%.2f", func(x *Result) float64 { return q.of(x.Latency) }))
	}
	rows = append(rows, row("p99 from when it was sent, ms", "%.2f", func(x *Result) float64 { return x.Service.P99 }))
	for _, name := range outcomes {
		if r.Result.Outcomes[name]+other.Outcomes[name] > 0 {
			rows = append(rows, row(name, "%.0f", func(x *Result) float64 { return float64(x.Outcomes[name]) }))
		}
	}
	return rows
}

func (r *report) writeComparison(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintf(t, "\n| the same requests\t| %s\t| %s\t| ratio\t|\n|---\t|---\t|---\t|---\t|\n", r.Target, r.OtherTarget)
	for _, c := range r.Rows() {
		fmt.Fprintf(t, "| %s\t| %s\t| %s\t| %s\t|\n", c.Name, c.Ours, c.Theirs, c.Ratio)
	}
	return t.Flush()
}
