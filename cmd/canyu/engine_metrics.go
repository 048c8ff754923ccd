package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
)

// timing times what the engines are asked while serving: each by what is asked of it,
// and whether that failed.
type timing struct{ seconds *prometheus.HistogramVec }

func newTiming(engine string) timing {
	return timing{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "canyu_" + engine + "_seconds",
		Help:    "Time that the " + engine + " took for a call.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
	}, []string{"call", "result"})}
}

// observe counts a call that began at since, when it has ended with *err.
func (t timing) observe(call string, since time.Time, err *error) {
	result := "done"
	if *err != nil {
		result = "failed"
	}
	t.seconds.WithLabelValues(call, result).Observe(time.Since(since).Seconds())
}

type timedLedger struct {
	canyu.Ledger
	timing
}

func (w timedLedger) Record(ctx context.Context, b *canyu.Batch) (err error) {
	defer w.observe("record", time.Now(), &err)
	return w.Ledger.Record(ctx, b)
}

func (w timedLedger) Counts(ctx context.Context, activity string, classes []canyu.Class) (_ []canyu.Tally, err error) {
	defer w.observe("counts", time.Now(), &err)
	return w.Ledger.Counts(ctx, activity, classes)
}

func (w timedLedger) Log(ctx context.Context, activity string, shard int, after string, most int) (_ []canyu.LogEntry, err error) {
	defer w.observe("log", time.Now(), &err)
	return w.Ledger.Log(ctx, activity, shard, after, most)
}

func (w timedLedger) Acknowledge(ctx context.Context, activity string, shard int, position string) (err error) {
	defer w.observe("acknowledge", time.Now(), &err)
	return w.Ledger.Acknowledge(ctx, activity, shard, position)
}

type timedArchive struct {
	canyu.Archive
	timing
}

func (w timedArchive) Store(ctx context.Context, activity string, rs []canyu.Recorded) (err error) {
	defer w.observe("store", time.Now(), &err)
	return w.Archive.Store(ctx, activity, rs)
}

func (w timedArchive) Restate(ctx context.Context, activity string, classes []canyu.Class) (err error) {
	defer w.observe("restate", time.Now(), &err)
	return w.Archive.Restate(ctx, activity, classes)
}

func (w timedArchive) Rollups(ctx context.Context, activity string, schools []canyu.SchoolCode, from, to canyu.Day) (_ []canyu.Rollup, err error) {
	defer w.observe("rollups", time.Now(), &err)
	return w.Archive.Rollups(ctx, activity, schools, from, to)
}

func (w timedArchive) Minutes(ctx context.Context, activity string, schools []canyu.SchoolCode, day canyu.Day) (_ []canyu.Minute, err error) {
	defer w.observe("minutes", time.Now(), &err)
	return w.Archive.Minutes(ctx, activity, schools, day)
}

func (w timedArchive) Roster(ctx context.Context) (_ *canyu.Roster, err error) {
	defer w.observe("roster", time.Now(), &err)
	return w.Archive.Roster(ctx)
}

// timed are the same engines, timed.
func (e *engines) timed(registry *prometheus.Registry) *engines {
	ledger, archive := newTiming("ledger"), newTiming("archive")
	registry.MustRegister(ledger.seconds, archive.seconds)
	return &engines{ledger: timedLedger{e.ledger, ledger}, archive: timedArchive{e.archive, archive}, beside: e.beside}
}

// buildInfo says which version runs: after an update all should say the same.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "canyu_build_info", Help: "1, with the version of this process."}, []string{"version"})
	g.WithLabelValues(version).Set(1)
	return g
}
