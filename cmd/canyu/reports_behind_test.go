package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup"
)

// writer records participations as ingest does.
type writer struct {
	b        *bureau
	epoch    string
	name     string
	sequence uint64
}

func newWriter(b *bureau) *writer {
	b.t.Helper()
	epoch, err := canyu.Attach(b.t.Context(), b.ledger, b.archive, b.activity.ID, "k")
	if err != nil {
		b.t.Fatal(err)
	}
	return &writer{b: b, epoch: epoch, name: "w" + unique()}
}

// record lets n new pupils take part at an instant, in one batch.
func (w *writer) record(n int, at time.Time, school canyu.SchoolCode) {
	w.b.t.Helper()
	w.sequence++
	batch := &canyu.Batch{Activity: w.b.activity.ID, Epoch: w.epoch, Writer: w.name, Sequence: w.sequence}
	for range n {
		w.b.people++
		batch.Participations = append(batch.Participations, canyu.Participation{Class: canyu.Class{School: school, Grade: 3, Number: 1}, Role: canyu.Student,
			Participant: canyu.Participant(w.b.people), ID: w.b.people, At: at, Day: w.b.activity.DayOf(at)})
	}
	if err := w.b.ledger.Record(w.b.t.Context(), batch); err != nil {
		w.b.t.Fatal(err)
	}
}

func (b *bureau) drain() {
	b.t.Helper()
	w := &rollup.Worker{Ledger: b.ledger, Archive: b.archive, Activities: []*canyu.Activity{b.activity}, Log: slog.New(slog.DiscardHandler)}
	if err := w.Drain(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// told are the reports of the county as they were frozen.
func (b *bureau) told() []string {
	b.t.Helper()
	frozen, err := b.archive.Frozen(b.t.Context(), b.activity.ID, county)
	if err != nil {
		b.t.Fatal(err)
	}
	var told []string
	for _, f := range frozen {
		r, err := reports.Thaw(b.activity, f)
		if err != nil {
			b.t.Fatal(err)
		}
		told = append(told, fmt.Sprintf("%s r%d at %s: %d", r.Day.String()[5:], r.Revision, r.AsOf.Format("15:04:05"), r.Total.Student.Total))
	}
	return told
}

// eachLedger is eachPair, and Redis with several shards.
func eachLedger(t *testing.T, body func(t *testing.T, b *bureau)) {
	t.Helper()
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		body(t, newBureauOn(t, p, nil))
		if p.dsn == "" {
			return
		}
		t.Run("shards", func(t *testing.T) {
			b := newBureauOn(t, p, nil)
			address := os.Getenv("CANYU_TEST_REDIS")
			join := "?"
			if strings.Contains(address, "?") {
				join = "&"
			}
			ledger, err := redisledger.Open(t.Context(), address+join+"shards=5")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ledger.Close() })
			b.ledger = ledger
			body(t, b)
		})
	})
}

// A report waits until the archive has what was acknowledged, and says why; it looks
// again at every tick.
func TestReportsWaitForTheArchive(t *testing.T) {
	eachLedger(t, func(t *testing.T, b *bureau) {
		w := newWriter(b)
		w.record(30, b.at("04-01 10:00"), 3418020001)
		w.record(20, b.at("04-01 11:00"), 3418020002)
		b.activity.Report.Recipients[otherCounty] = []string{"b@school.test"}
		s := b.scheduler()
		pauses := 0
		s.Pause = func(context.Context, time.Duration) error { pauses++; return nil }
		b.at("04-01 16:30")
		for range 2 {
			err := s.Tick(t.Context(), b.now())
			if !errors.Is(err, reports.ErrBehind) || !strings.Contains(err.Error(), "2017-04-01 10:00:00") || strings.Count(err.Error(), "behind") != 1 {
				t.Errorf("the tick says: %v", err)
			}
		}
		if pauses == 0 || pauses > 200 {
			t.Errorf("it looked %d times, want some seconds long at each tick, once for all regions", pauses)
		}
		if _, err := s.Send(t.Context(), b.activity, county, b.activity.FirstDay); !errors.Is(err, reports.ErrBehind) {
			t.Errorf("sent by hand: %v", err)
		}
		b.want(b.told())
		b.want(b.got())
		lines, err := s.Alarms(t.Context(), b.at("04-01 17:31"))
		if err != nil || len(lines) != 2 || lines[0].Standing != reports.Overdue {
			t.Errorf("alarms %v, %v", lines, err)
		}
		b.drain()
		b.tick(s)
		b.want(b.told(), "04-01 r1 at 17:31:00: 50")

		w.record(5, b.at("04-01 09:00"), 3418020001) // a paper list
		b.at("04-01 18:00")
		if _, err := s.Correct(t.Context(), b.activity, county, b.activity.FirstDay); !errors.Is(err, reports.ErrBehind) {
			t.Errorf("corrected: %v", err)
		}
		b.drain()
		if r, err := s.Correct(t.Context(), b.activity, county, b.activity.FirstDay); err != nil || r.Outcome != reports.Delivered {
			t.Errorf("corrected: %+v, %v", r, err)
		}
		b.want(b.told(), "04-01 r1 at 17:31:00: 50", "04-01 r2 at 18:00:00: 55")
	})
}

// Where rollup is at work the report waits for what came before it, within the tick,
// and not for what goes on coming, be it new or of another day.
func TestReportsWaitForNoMoreThanTheirMoment(t *testing.T) {
	eachLedger(t, func(t *testing.T, b *bureau) {
		w := newWriter(b)
		w.record(30, b.at("04-01 10:00"), 3418020001)
		w.record(20, b.at("04-01 11:00"), 3418020002)
		s := b.scheduler()
		s.Pause = func(_ context.Context, d time.Duration) error {
			b.clock.Add(1)
			b.drain()
			for _, school := range []canyu.SchoolCode{3418020001, 3418020002} {
				w.record(1, b.now(), school)
				w.record(1, b.now().Add(-5*time.Hour), school)
			}
			return nil
		}
		b.at("04-01 16:30")
		b.tick(s)
		b.want(b.told(), "04-01 r1 at 16:30:00: 50")
	})
}

// A damaged entry of the log holds up no report: it becomes a dead letter.
func TestReportsDoNotWaitForDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	w := newWriter(b)
	w.record(3, b.at("04-01 10:00"), 3418020001)
	w.record(30, b.at("04-01 11:00"), 3418020001)
	damageFile(t, b.dir+"/ledger.db", "1")
	s := b.scheduler()
	s.Pause = func(ctx context.Context, _ time.Duration) error {
		w := &rollup.Worker{Ledger: b.ledger, Archive: b.archive, Activities: []*canyu.Activity{b.activity}, DeadLetters: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
		return w.Drain(ctx)
	}
	b.at("04-01 16:30")
	b.tick(s)
	b.want(b.told(), "04-01 r1 at 16:30:00: 30")
}
