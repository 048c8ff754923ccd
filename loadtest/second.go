package loadtest

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Second is one second of a run.
type Second struct {
	At     time.Duration // since the start, at its end
	Rate   float64       // requests answered per second
	Due    float64       // requests that were meant to start, per second; 0 where the schedule does not say
	P50    time.Duration // from the intended start
	P99    time.Duration
	Failed int64 // participations since the start: refused, failed, unanswered, unsent

	latency *hdrhistogram.Histogram
}

// secondJSON is a second in seconds and milliseconds.
type secondJSON struct {
	At     float64 `json:"at_s"`
	Rate   float64 `json:"rate"`
	Due    float64 `json:"due,omitempty"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Failed int64   `json:"failed"`
}

// MarshalJSON and UnmarshalJSON use seconds and milliseconds.
func (s Second) MarshalJSON() ([]byte, error) {
	return json.Marshal(secondJSON{s.At.Seconds(), s.Rate, s.Due, inMilliseconds(s.P50), inMilliseconds(s.P99), s.Failed})
}

// UnmarshalJSON is the reverse.
func (s *Second) UnmarshalJSON(b []byte) error {
	var j secondJSON
	err := json.Unmarshal(b, &j)
	*s = Second{At: seconds(j.At), Rate: j.Rate, Due: j.Due, P50: seconds(j.P50 / 1000), P99: seconds(j.P99 / 1000), Failed: j.Failed}
	return err
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
