package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/canyu/canyu"
)

// saved is a result with everything that is needed to add it to others': the
// histograms, of every second too, and the client's record class by class.
type saved struct {
	Activity string        `json:"activity"`
	Result   *Result       `json:"result"`
	Latency  []byte        `json:"latency"` // HDR, V2, compressed
	Service  []byte        `json:"service"`
	Seconds  [][]byte      `json:"seconds"`
	Classes  []classRecord `json:"classes"`
}

type classRecord struct {
	Class        canyu.Class `json:"class"`
	Before       int         `json:"before,omitempty"` // counted before the run, where it was asked
	Acknowledged int         `json:"acknowledged,omitempty"`
	Unknown      int         `json:"unknown,omitempty"`
}

func (r *Result) save(path, activity string, before Counts) error {
	var err error
	encode := func(h *hdrhistogram.Histogram) []byte {
		b, failed := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		err = errors.Join(err, failed)
		return b
	}
	s := saved{Activity: activity, Result: r, Latency: encode(r.latency), Service: encode(r.service)}
	for _, sec := range r.Timeline {
		s.Seconds = append(s.Seconds, encode(sec.latency))
	}
	all := make(map[canyu.Class]bool)
	for _, m := range []map[canyu.Class]int{before, r.Acknowledged, r.Unknown} {
		for c := range m {
			all[c] = true
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(all), canyu.Class.Compare) {
		s.Classes = append(s.Classes, classRecord{c, before[c], r.Acknowledged[c], r.Unknown[c]})
	}
	if err != nil {
		return fmt.Errorf("cannot save the result: %w", err)
	}
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot save the result: %w", err)
	}
	return nil
}

func load(path string) (*saved, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a result: %w", err)
	}
	var s saved
	if err := json.Unmarshal(text, &s); err != nil || s.Result == nil {
		return nil, fmt.Errorf("%s is not what canyu loadtest run --save writes: %w", path, err)
	}
	r := s.Result
	var err1, err2 error
	r.latency, err1 = hdrhistogram.Decode(s.Latency)
	r.service, err2 = hdrhistogram.Decode(s.Service)
	err = errors.Join(err1, err2)
	if len(s.Seconds) != len(r.Timeline) {
		err = errors.Join(err, errors.New("the timeline is not whole"))
	}
	for i := range r.Timeline {
		if err == nil {
			r.Timeline[i].latency, err = hdrhistogram.Decode(s.Seconds[i])
		}
	}
	r.Acknowledged, r.Unknown = make(map[canyu.Class]int), make(map[canyu.Class]int)
	for _, c := range s.Classes {
		r.Acknowledged[c.Class], r.Unknown[c.Class] = c.Acknowledged, c.Unknown
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return &s, nil
}

// MergeCmd is canyu loadtest merge: the results of several generators, that made
// the parts of one load at the same time, as one result.
type MergeCmd struct {
	Files       []string `arg:"" help:"What canyu loadtest run --save wrote." type:"existingfile"`
	Target      string   `help:"Reconcile with this server's counts as they are now." placeholder:"URL"`
	AllowRemote bool     `help:"Allow a target that is another machine."`
	Output      `embed:""`
}

// Run merges and prints.
func (c *MergeCmd) Run(ctx context.Context, out io.Writer) error {
	ts, err := thresholds(c.Fail)
	if err != nil {
		return err
	}
	var all *saved
	before := make(Counts)
	for i, path := range c.Files {
		s, err := load(path)
		if err != nil {
			return err
		}
		if i > 0 && s.Activity != all.Activity {
			return fmt.Errorf("%s is of activity %s, not %s", path, s.Activity, all.Activity)
		}
		for _, r := range s.Classes {
			// The first generator asked before any had begun.
			if n, ok := before[r.Class]; !ok || r.Before < n {
				before[r.Class] = r.Before
			}
		}
		if i == 0 {
			all = s
		} else {
			all.Result.merge(s.Result)
		}
	}
	res := all.Result
	res.Reconciliation = nil
	if c.Target != "" {
		if res.Reconciliation, err = c.reconcile(ctx, all.Activity, before, res); err != nil {
			return err
		}
	}
	return c.write(out, &report{Result: res, Activity: all.Activity, Generators: len(c.Files)}, ts)
}

func (c *MergeCmd) reconcile(ctx context.Context, activity string, before Counts, r *Result) (*Reconciliation, error) {
	target, err := NewTarget(ctx, c.Target, c.AllowRemote)
	if err != nil {
		return nil, err
	}
	codes := make(map[canyu.SchoolCode]bool)
	for class := range before {
		codes[class.School] = true
	}
	var schools []*canyu.School
	for code := range codes {
		schools = append(schools, &canyu.School{Code: code})
	}
	after, err := FetchCounts(ctx, target, activity, schools)
	if err != nil {
		return nil, err
	}
	return Reconcile(before, after, r.Acknowledged, r.Unknown), nil
}

// merge adds what another generator did meanwhile.
func (r *Result) merge(o *Result) {
	end := func(x *Result) time.Time { return x.Started.Add(seconds(x.Seconds)) }
	if end(o).After(end(r)) {
		r.Seconds = end(o).Sub(r.Started).Seconds()
	}
	shift := o.Started.Sub(r.Started).Round(time.Second)
	if shift < 0 {
		r.Seconds += r.Started.Sub(o.Started).Seconds()
		r.Started = o.Started
		for i := range r.Timeline {
			r.Timeline[i].At -= shift
		}
		shift = 0
	}
	for _, s := range o.Timeline {
		s.At += shift
		i, found := slices.BinarySearchFunc(r.Timeline, s.At.Round(time.Second), func(x Second, at time.Duration) int { return int(x.At.Round(time.Second) - at) })
		if !found {
			r.Timeline = slices.Insert(r.Timeline, i, s)
			continue
		}
		sum := &r.Timeline[i]
		sum.Rate += s.Rate
		sum.Due += s.Due
		sum.Failed += s.Failed
		sum.latency.Merge(s.latency)
		sum.P50, sum.P99 = quantile(sum.latency, 50), quantile(sum.latency, 99)
	}
	if o.Schedule != r.Schedule {
		r.Schedule += " + " + o.Schedule
	}
	r.Connections += o.Connections
	r.Requests += o.Requests
	r.Rate = float64(r.Requests) / r.Seconds
	r.Resent += o.Resent
	r.Twice += o.Twice
	add(&r.Statuses, o.Statuses)
	add(&r.Outcomes, o.Outcomes)
	add(&r.Errors, o.Errors)
	add(&r.Acknowledged, o.Acknowledged)
	add(&r.Unknown, o.Unknown)
	r.latency.Merge(o.latency)
	r.service.Merge(o.service)
	r.Latency, r.Service = percentiles(r.latency), percentiles(r.service)
}

func add[K comparable, N int | int64](to *map[K]N, from map[K]N) {
	if *to == nil {
		*to = make(map[K]N)
	}
	for k, n := range from {
		(*to)[k] += n
	}
}
