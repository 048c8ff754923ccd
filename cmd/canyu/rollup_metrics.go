package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

// progress is how far rollup is behind, asked when the metrics are. What is not
// known is left out.
type progress struct {
	worker      *rollup.Worker
	deadLetters string
}

func progressDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"activity"}, nil)
}

var (
	backlogDesc     = progressDesc("canyu_backlog_participations", "Recorded participations that the archive does not have yet.")
	oldestDesc      = progressDesc("canyu_backlog_oldest_seconds", "Age of the oldest of them; 0 where there are none.")
	limitDesc       = progressDesc("canyu_backlog_limit", "How many of them may wait, by configuration.")
	drainDesc       = progressDesc("canyu_backlog_drain_seconds", "How long the backlog takes at the pace of late; absent while the archive takes nothing.")
	lagDesc         = progressDesc("canyu_archive_lag_seconds", "Age of the oldest participation that this process has read and no rollup has yet.")
	errorsDesc      = progressDesc("canyu_rollup_errors_total", "Failed tries to carry participations into the archive.")
	carriedDesc     = progressDesc("canyu_rollup_participations_total", "Participations that this process has carried into the archive, repeated ones too.")
	deadLettersDesc = progressDesc("canyu_dead_letters", "Entries of the log that the archive could not take: see canyu deadletter.")
)

// Describe implements prometheus.Collector.
func (p progress) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{drainDesc, lagDesc, errorsDesc, carriedDesc, deadLettersDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p progress) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, s := range p.worker.Status() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Activity)
		}
		if n, err := p.worker.Ledger.Backlog(ctx, s.Activity); err == nil {
			if n == 0 {
				gauge(drainDesc, 0)
			} else if s.Rate > 0 && s.LastError == "" {
				gauge(drainDesc, float64(n)/s.Rate)
			}
		}
		gauge(lagDesc, s.Lag.Seconds())
		ch <- prometheus.MustNewConstMetric(errorsDesc, prometheus.CounterValue, float64(s.Errors), s.Activity)
		ch <- prometheus.MustNewConstMetric(carriedDesc, prometheus.CounterValue, float64(s.Participations), s.Activity)
		if letters, err := rollup.DeadLetters(p.deadLetters, s.Activity); err == nil {
			gauge(deadLettersDesc, float64(len(letters)))
		}
	}
}

// backlog is what waits for the archive, told by every process: while rollup is away
// somebody else has to.
type backlog struct {
	ledger   canyu.Ledger
	settings *settings
}

// Describe implements prometheus.Collector.
func (b backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{backlogDesc, oldestDesc, limitDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, a := range b.settings.activities {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, a.ID)
		}
		gauge(limitDesc, float64(b.settings.BacklogLimit))
		if n, err := b.ledger.Backlog(ctx, a.ID); err == nil {
			gauge(backlogDesc, float64(n))
		}
		if age, err := b.oldest(ctx, a.ID); err == nil {
			gauge(oldestDesc, age.Seconds())
		}
	}
}

// oldest is the greatest age of what comes first in the logs.
func (b backlog) oldest(ctx context.Context, activity string) (age time.Duration, err error) {
	for shard := range b.ledger.Shards() {
		entries, err := b.ledger.Log(ctx, activity, shard, "", 1)
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			for i := range e.Recorded {
				age = max(age, time.Since(e.Recorded[i].At))
			}
		}
	}
	return age, nil
}
