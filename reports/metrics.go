package reports

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var alarmsDesc = prometheus.NewDesc("canyu_report_alarms",
	"Reports that somebody must do something about, by what is wrong with them.", []string{"activity", "standing"}, nil)

var reportsDesc = prometheus.NewDesc("canyu_reports",
	"Planned reports of activities that have begun, by where they stand: see canyu report status.", []string{"activity", "standing"}, nil)

var missingDesc = prometheus.NewDesc("canyu_calendar_missing_year",
	"The year whose holidays somebody should put into calendar.d, or 0.", nil, nil)

// Describe makes the Scheduler a prometheus.Collector.
func (s *Scheduler) Describe(to chan<- *prometheus.Desc) {
	to <- alarmsDesc
	to <- reportsDesc
	to <- missingDesc
}

// Collect reads the archive at every scrape: an alarm that was computed by what it
// watches over would be silent when that is.
func (s *Scheduler) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(missingDesc, prometheus.GaugeValue, float64(s.Calendar.Missing(s.now())))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	now := s.now()
	lines, err := s.overview(ctx, now)
	if err != nil {
		to <- prometheus.NewInvalidMetric(alarmsDesc, err)
		return
	}
	type key struct {
		activity string
		standing Standing
	}
	all, alarms := make(map[key]int), make(map[key]int)
	for _, a := range s.Activities {
		for _, standing := range []Standing{Ahead, Waiting, Complete} {
			all[key{a.ID, standing}] = 0
		}
		for _, standing := range []Standing{Overdue, Missed, Rejected, Blind, Unplaced} {
			all[key{a.ID, standing}], alarms[key{a.ID, standing}] = 0, 0
		}
	}
	for _, l := range lines {
		k := key{l.Activity, l.Standing}
		all[k]++
		if l.alarm(now) {
			alarms[k]++
		}
	}
	for k, n := range all {
		to <- prometheus.MustNewConstMetric(reportsDesc, prometheus.GaugeValue, float64(n), k.activity, string(k.standing))
	}
	for k, n := range alarms {
		to <- prometheus.MustNewConstMetric(alarmsDesc, prometheus.GaugeValue, float64(n), k.activity, string(k.standing))
	}
}
