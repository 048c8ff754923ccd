package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/ingest/spool"
)

// What waited in small batches is recorded in large ones, and counts once: also what
// the ledger had already, because its reply was lost.
func TestSpoolDrainsManyAtOnce(t *testing.T) {
	t.Parallel()
	const batches, each = 600, 10
	r := newRedis(t)
	s := newSite(t, r.distributed(), "")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	s.serve("--run", "ingest").stop() // the activity begins

	waiting, err := spool.Open(t.Context(), filepath.Join(s.dir, "data", "spool"), 1<<30)
	check(t, err)
	for i := range batches {
		b := &canyu.Batch{Activity: s.activity, Writer: "w", Sequence: uint64(i + 1)}
		for j := range each {
			b.Participations = append(b.Participations, canyu.Participation{
				Class: canyu.Class{School: 3418020001, Grade: 1 + uint8(i%6), Number: 1}, Role: canyu.Student,
				Participant: canyu.Participant(i*each + j + 1), ID: uint64(i*each + j + 1), At: time.Now(), Day: canyu.DayAt(time.Now(), time.UTC)})
		}
		check(t, waiting.Append(t.Context(), b))
		if i == 0 { // this one arrived
			l, err := redisledger.Open(t.Context(), r.url())
			check(t, err)
			b.Epoch, err = l.Epoch(t.Context(), s.activity)
			check(t, err)
			check(t, l.Record(t.Context(), b))
			check(t, l.Close())
		}
	}
	check(t, waiting.Close())

	began := time.Now()
	v := s.serve("--run", "ingest")
	v.eventually("the spool is empty", func() error {
		_, body, err := v.get("/metrics")
		if err == nil && !strings.Contains(body, fmt.Sprintf("canyu_spool_participations{activity=%q} 0\n", s.activity)) {
			err = fmt.Errorf("something waits")
		}
		return err
	})
	t.Logf("%.0f participations/s, with the start", batches*each/time.Since(began).Seconds())
	s.awaitStudents(v, batches*each)
	v.stop()
	c := r.client()
	defer c.Close()
	n, err := c.XLen(t.Context(), "canyu{"+s.activity+"/0}log").Result()
	check(t, err)
	if n > 1+batches*each/2000 {
		t.Errorf("recorded as %d batches", n)
	}
	v = s.serve()
	v.stop() // carries the log over
	if out := s.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}
