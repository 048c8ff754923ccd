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
	all := append(append(s.hub.collectors(), s.watch.collectors()...), m.participations, m.refusals, m.batches, m.commits, s.requests)
	gauge := func(name, help, activity string, value func() float64) {
		var labels prometheus.Labels
		if activity != "" {
			labels = prometheus.Labels{"activity": activity}
		}
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	for _, a := range s.activities {
		gauge("canyu_spool_participations", "Acknowledged participations that wait in this process's spool.", a.ID,
			func() float64 { return float64(a.spooled()) })
		gauge("canyu_counting", "1 while submissions are counted as they come; 0 while they wait in the spool or are refused: /readyz says why.", a.ID,
			func() float64 { return truth(a.epochNow() != "" && a.spooled() == 0 && a.failing() == nil) })
		gauge("canyu_activity_open", "1 on the activity's days, in its time zone.", a.ID,
			func() float64 { return truth(a.Open(s.now()) == nil) })
	}
	gauge("canyu_live_viewers_limit", "Live streams that this process serves at once.", "", func() float64 { return float64(s.hub.most) })
	gauge("canyu_roster_classes", "Classes of the roster that this process validates with.", "",
		func() float64 {
			n := 0
			for _, school := range s.roster().Schools(0) {
				n += len(school.Classes)
			}
			return float64(n)
		})
	gauge("canyu_roster_age_seconds", "Since this process last read the roster from the archive, or began; it does so every ten seconds.", "",
		func() float64 { return time.Since(time.Unix(0, s.rosterRead.Load())).Seconds() })
	if s.Spool != nil {
		gauge("canyu_spool_bytes", "Bytes of batches that wait in this process's spool.", "",
			func() float64 { waiting, _ := s.Spool.Bytes(); return float64(waiting) })
		gauge("canyu_spool_limit_bytes", "How many may: spool_limit.", "",
			func() float64 { _, limit := s.Spool.Bytes(); return float64(limit) })
	}
	return all
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
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
