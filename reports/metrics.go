package reports

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var alarmsDesc = prometheus.NewDesc("canyu_report_alarms",
	"Reports that somebody must do something about, by what is wrong with them.", []string{"activity", "standing"}, nil)

var missingDesc = prometheus.NewDesc("canyu_calendar_missing_year",
	"The year whose holidays somebody should put into calendar.d, or 0.", nil, nil)

// Describe makes the Scheduler a prometheus.Collector.
func (s *Scheduler) Describe(to chan<- *prometheus.Desc) {
	to <- alarmsDesc
	to <- missingDesc
}

// Collect reads the archive at every scrape: an alarm that was computed by what it
// watches over would be silent when that is.
func (s *Scheduler) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(missingDesc, prometheus.GaugeValue, float64(s.Calendar.Missing(s.now())))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	lines, err := s.Alarms(ctx, s.now())
	if err != nil {
		to <- prometheus.NewInvalidMetric(alarmsDesc, err)
		return
	}
	type key struct {
		activity string
		standing Standing
	}
	counts := make(map[key]int)
	for _, a := range s.Activities {
		for _, standing := range []Standing{Overdue, Missed, Rejected, Blind, Unplaced} {
			counts[key{a.ID, standing}] = 0
		}
	}
	for _, l := range lines {
		counts[key{l.Activity, l.Standing}]++
	}
	for k, n := range counts {
		to <- prometheus.MustNewConstMetric(alarmsDesc, prometheus.GaugeValue, float64(n), k.activity, string(k.standing))
	}
}
