package ingest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// fullLedger writes nothing while it is full.
type fullLedger struct {
	canyu.Ledger
	full atomic.Bool
}

var errFull = errors.New("database or disk is full")

func (l *fullLedger) Record(ctx context.Context, b *canyu.Batch) error {
	if l.full.Load() {
		return errFull
	}
	return l.Ledger.Record(ctx, b)
}

func (l *fullLedger) Claim(ctx context.Context, duty, holder string, ttl time.Duration) (bool, error) {
	if l.full.Load() {
		return false, errFull
	}
	return l.Ledger.Claim(ctx, duty, holder, ttl)
}

// A node whose ledger takes nothing, and that has no spool, is not ready; it is again by
// itself, also if nobody sends anything because of that.
func TestNotReadyWhileNothingIsRecorded(t *testing.T) {
	t.Parallel()
	var ledger *fullLedger
	w, _ := newSiteOf(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"), func(c *ingest.Config) {
		ledger = &fullLedger{Ledger: c.Ledger}
		c.Ledger = ledger
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.server.Collectors()...)
	counting := func() float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "canyu_counting" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("no canyu_counting")
		return 0
	}
	post := func() int {
		t.Helper()
		r, err := w.http.Post("http://canyu/v1/participations", "application/json",
			strings.NewReader(`{"activity":"qingming-2017","school":"3418020001","grade":3,"class":1,"role":"student","seat":1,"steps":["bow","flower","message"]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	ledger.full.Store(true)
	if status := post(); status != http.StatusServiceUnavailable {
		t.Fatalf("answered %d", status)
	}
	for range 2 {
		if r := w.get("/readyz"); r.status != 503 || strings.Contains(r.body, "disk") {
			t.Errorf("to a stranger: %d %s", r.status, r.body)
		}
	}
	if n := counting(); n != 0 {
		t.Errorf("canyu_counting is %v", n)
	}
	ledger.full.Store(false)
	for begin := time.Now(); w.get("/readyz").status != 200; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("it is not ready again")
		}
	}
	if n := counting(); n != 1 {
		t.Errorf("canyu_counting is %v again", n)
	}
	if status := post(); status != http.StatusCreated {
		t.Errorf("answered %d", status)
	}
}
