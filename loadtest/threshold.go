package loadtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrThreshold is returned where a run was worse than it may be.
var ErrThreshold = errors.New("a threshold is not kept")

// Threshold is what a run must keep: p99=5ms, errors=0.1%, lost=0.
type Threshold struct {
	text, name string
	most       float64 // milliseconds, a share, a number; for rate: at least
	share      bool
}

// ParseThreshold reads one. Latencies are from the intended start.
func ParseThreshold(s string) (Threshold, error) {
	name, value, _ := strings.Cut(s, "=")
	t := Threshold{text: s, name: name}
	var err error
	switch name {
	case "p50", "p90", "p99", "p99.9", "max":
		var d time.Duration
		d, err = time.ParseDuration(value)
		t.most = float64(d) / float64(time.Millisecond)
	case "errors", "lost", "twice", "rate":
		number, percent := strings.CutSuffix(value, "%")
		t.most, err = strconv.ParseFloat(number, 64)
		if t.share = percent; percent {
			t.most /= 100
		}
		if percent && name != "errors" {
			err = errors.New("no share")
		}
	default:
		err = errors.New("unknown")
	}
	if err != nil || !(t.most >= 0) {
		return t, fmt.Errorf("fail %q: want p50, p90, p99, p99.9 or max=5ms, errors=0.1%% or =3, lost=0, twice=0, or rate=1000", s)
	}
	return t, nil
}

// Check is nil where the run kept it, else why not.
func (t Threshold) Check(r *Result) error {
	got, unit := 0.0, " ms"
	switch t.name {
	case "p50":
		got = r.Latency.P50
	case "p90":
		got = r.Latency.P90
	case "p99":
		got = r.Latency.P99
	case "p99.9":
		got = r.Latency.P999
	case "max":
		got = r.Latency.Max
	case "errors":
		got, unit = float64(r.Errored()), ""
		if t.share {
			got /= float64(max(r.Total(), 1))
			if got > t.most {
				return fmt.Errorf("%s: it was %.3g%%", t.text, got*100)
			}
			return nil
		}
	case "lost", "twice":
		unit = ""
		if r.Reconciliation == nil {
			return fmt.Errorf("%s: nothing was reconciled", t.text)
		}
		lost, twice := r.Reconciliation.lostAndTwice()
		if got = float64(lost); t.name == "twice" {
			got = float64(twice + int(r.Twice))
		}
	case "rate":
		if r.Rate >= t.most {
			return nil
		}
		return fmt.Errorf("%s: it was %.0f/s", t.text, r.Rate)
	}
	if got > t.most {
		return fmt.Errorf("%s: it was %.4g%s", t.text, got, unit)
	}
	return nil
}

// Errored is how many submissions were not answered with success.
func (r *Result) Errored() (n int64) {
	for _, name := range []string{Refused, Throttled, Unavailable, Failed, Unanswered, Unsent} {
		n += r.Outcomes[name]
	}
	return n
}

// lostAndTwice are the differences, by which of the two they must be.
func (r *Reconciliation) lostAndTwice() (lost, twice int) {
	for _, d := range r.Differences {
		lost += max(0, d.Acknowledged-d.Counted)
		twice += max(0, d.Counted-d.Acknowledged-d.Unknown)
	}
	return lost, twice
}

// thresholds are read before anything is loaded.
func thresholds(list []string) ([]Threshold, error) {
	var ts []Threshold
	var errs []error
	for _, s := range list {
		t, err := ParseThreshold(s)
		ts, errs = append(ts, t), append(errs, err)
	}
	return ts, errors.Join(errs...)
}

// check joins what was not kept.
func (r *Result) check(ts []Threshold) error {
	var errs []error
	for _, t := range ts {
		if err := t.Check(r); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrThreshold, err))
		}
	}
	return errors.Join(errs...)
}
