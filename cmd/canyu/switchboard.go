package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
)

const (
	switchesEvery    = 2 * time.Second
	switchesPatience = 5 * time.Second
)

// switchboard knows how the switches stand, as the archive had them last: while it is
// away they stay so.
type switchboard struct {
	mu  sync.RWMutex
	all map[string]canyu.Switches
}

func (b *switchboard) of(activity string) canyu.Switches {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.all[activity]
}

// run follows those of the activities until ctx ends.
func (b *switchboard) run(ctx context.Context, archive canyu.WallArchive, activities []*canyu.Activity, log *slog.Logger) error {
	failed := false
	for {
		err := b.read(ctx, archive, activities, log)
		if err != nil && !failed && ctx.Err() == nil {
			log.Warn("the switches stay as they are", "error", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(switchesEvery):
		}
	}
}

func (b *switchboard) read(ctx context.Context, archive canyu.WallArchive, activities []*canyu.Activity, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, switchesPatience)
	defer cancel()
	for _, a := range activities {
		now, err := canyu.ReadSwitches(ctx, archive, a.ID)
		if err != nil {
			return err
		}
		b.mu.Lock()
		was := b.all[a.ID]
		if b.all == nil {
			b.all = make(map[string]canyu.Switches)
		}
		b.all[a.ID] = now
		b.mu.Unlock()
		for _, what := range canyu.AllSwitches {
			if was[what].Down != now[what].Down {
				log.Info("switched", "activity", a.ID, "switch", what, "position", what.Position(now[what].Down))
			}
		}
	}
	return nil
}

var switchDesc = prometheus.NewDesc("canyu_switched_down", "1 while an operator has turned it down: the wall, live views, all but the page. See canyu switch.", []string{"activity", "switch"}, nil)

// switchMetrics are those of the activities of a process.
type switchMetrics struct {
	board      *switchboard
	activities []*canyu.Activity
}

// Describe implements prometheus.Collector.
func (m switchMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- switchDesc }

// Collect implements prometheus.Collector.
func (m switchMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, a := range m.activities {
		all := m.board.of(a.ID)
		for _, what := range canyu.AllSwitches {
			down := 0.0
			if all[what].Down {
				down = 1
			}
			ch <- prometheus.MustNewConstMetric(switchDesc, prometheus.GaugeValue, down, a.ID, string(what))
		}
	}
}
