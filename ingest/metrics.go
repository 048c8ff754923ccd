package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
)

// metrics are the numbers that operators watch; none has a label that grows with
// schools or people.
type metrics struct {
	participations *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	batches        prometheus.Histogram
	commits        *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		participations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "canyu_participations_total",
			Help: "Accepted submissions: durable, and counted, a repeat, or spooled until that is known.",
		}, []string{"activity", "outcome"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "canyu_refusals_total",
			Help: "Submissions that were not accepted, by reason.",
		}, []string{"reason"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "canyu_batch_participations",
			Help:    "Participations recorded in one batch.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "canyu_commit_seconds",
			Help:    "Time until the ledger had a batch, or did not.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 15),
		}, []string{"result"}),
	}
}

// Collectors of the server's metrics, to be registered once.
func (s *Server) Collectors() []prometheus.Collector {
	m := s.metrics
	all := append(s.hub.collectors(), m.participations, m.refusals, m.batches, m.commits)
	for _, a := range s.activities {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "canyu_spool_participations",
			Help:        "Acknowledged participations that wait in this process's spool.",
			ConstLabels: prometheus.Labels{"activity": a.ID},
		}, func() float64 { return float64(a.spooled()) }))
	}
	return all
}

// outcomeCounters are looked up once, not at every request.
type outcomeCounters struct{ counted, repeats, accepted prometheus.Counter }

func (m *metrics) outcomesOf(activity string) outcomeCounters {
	return outcomeCounters{
		counted:  m.participations.WithLabelValues(activity, "counted"),
		repeats:  m.participations.WithLabelValues(activity, "repeat"),
		accepted: m.participations.WithLabelValues(activity, "spooled"),
	}
}

func (c outcomeCounters) tell(o canyu.Outcome) {
	if o.Counted {
		c.counted.Inc()
	} else {
		c.repeats.Inc()
	}
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

func (m *metrics) observeCommit(size int, took time.Duration, err error) {
	result := "recorded"
	if err != nil {
		result = "failed"
	}
	m.batches.Observe(float64(size))
	m.commits.WithLabelValues(result).Observe(took.Seconds())
}
