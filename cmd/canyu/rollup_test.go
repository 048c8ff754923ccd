package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/rollup"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

func TestRollupDrain(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		check(t, s.worker().Drain(t.Context())) // of nothing
		s.record(0, 300)
		s.record(100, 400) // 200 repeats
		for range 2 {
			check(t, s.worker().Drain(t.Context()))
			s.expect(400, 600)
		}
		s.record(350, 450)
		check(t, s.worker().Drain(t.Context()))
		s.expect(450, 700)
	})
}

func TestRollupRun(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		w := s.worker()
		stop := startWorker(t, w)
		for i := range 3 {
			s.record(i*100, i*100+100)
			eventually(t, "from the click to the rollups", func() bool {
				rollups, err := s.archive.Rollups(t.Context(), s.activity.ID, nil, shelfDay, shelfDay+6)
				check(t, err)
				return sumOf(rollups)[0] == i*100+100
			})
		}
		eventually(t, "nothing behind", func() bool {
			st := w.Status()[0]
			return st.Participations == 300 && st.Lag == 0 && !st.Done.IsZero() && st.Errors == 0 && st.Newest.Equal(shelfStart.AddDate(0, 0, 6).Add(293*time.Millisecond))
		})
		s.record(300, 350)
		stop() // what is in the log is carried over first
		s.expect(350, 350)
		if held, err := s.ledger.Claim(t.Context(), "rollup/"+s.activity.ID, "somebody else", time.Second); err != nil || !held {
			t.Errorf("the claim was not given back: %v, %v", held, err)
		}
	})
}

// faulty answers with an error now and then, before or after it did what it was asked.
type faulty struct {
	rate atomic.Int64 // percent of calls
	seen atomic.Int64
}

var errFault = errors.New("planted fault")

func (f *faulty) call(do func() error) error {
	fails := rand.Int64N(100) < f.rate.Load()
	if fails {
		f.seen.Add(1)
		if rand.IntN(2) == 0 {
			return errFault
		}
	}
	if err := do(); err != nil || !fails {
		return err
	}
	return errFault
}

type faultyArchive struct {
	canyu.Archive
	*faulty
}

func (f faultyArchive) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	return f.call(func() error { return f.Archive.Store(ctx, activity, rs) })
}
func (f faultyArchive) Restate(ctx context.Context, activity string, classes []canyu.Class) error {
	return f.call(func() error { return f.Archive.Restate(ctx, activity, classes) })
}

// faultyLedger also sees that nothing is forgotten before rollups have it.
type faultyLedger struct {
	canyu.Ledger
	*faulty
	t       *testing.T
	archive canyu.Archive
}

func (f faultyLedger) Log(ctx context.Context, activity string, shard int, after string, max int) (es []canyu.LogEntry, err error) {
	err = f.call(func() error { es, err = f.Ledger.Log(ctx, activity, shard, after, max); return err })
	return es, err
}
func (f faultyLedger) Acknowledge(ctx context.Context, activity string, shard int, position string) error {
	tallies, err := f.archive.Tallies(ctx, activity, nil)
	if err != nil {
		return err
	}
	rollups, err := f.archive.Rollups(ctx, activity, nil, shelfDay, shelfDay+6)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(byGroup(tallies), byGroup(rollups)) {
		f.t.Errorf("acknowledged before the rollups have it: %v of %v", sumOf(rollups), sumOf(tallies))
	}
	return f.call(func() error { return f.Ledger.Acknowledge(ctx, activity, shard, position) })
}

// TestRollupFaults runs two workers over engines that fail every fifth time.
func TestRollupFaults(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		archive, ledger := new(faulty), new(faulty)
		archive.rate.Store(20)
		ledger.rate.Store(20)
		var stops []func()
		var workers []*rollup.Worker
		for range 2 {
			w := s.worker()
			w.Archive, w.Ledger = faultyArchive{s.archive, archive}, faultyLedger{s.ledger, ledger, t, s.archive}
			workers = append(workers, w)
			stops = append(stops, startWorker(t, w))
		}
		for i := range 40 {
			s.record(i*50, i*50+75)
		}
		eventually(t, "ten faults", func() bool {
			s.record(0, 1)
			return archive.seen.Load() >= 4 && ledger.seen.Load() >= 6
		})
		archive.rate.Store(0)
		ledger.rate.Store(0)
		eventually(t, "an empty log", func() bool {
			n, err := s.ledger.Backlog(t.Context(), s.activity.ID)
			check(t, err)
			return n == 0
		})
		for _, stop := range stops {
			stop()
		}
		s.expect(39*50+75, int(s.sequence)-40+40*75)
		if workers[0].Status()[0].Errors+workers[1].Status()[0].Errors == 0 {
			t.Error("no error was counted")
		}
	})
}

// TestRollupOneActivityAlone: what fails for one activity does not hold up another.
func TestRollupOneActivityAlone(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		w := s.worker()
		bad := &canyu.Activity{ID: s.activity.ID + "-bad"}
		w.Activities = []*canyu.Activity{bad, s.activity}
		w.Archive = badActivity{s.archive, bad.ID}
		epoch, err := canyu.Attach(t.Context(), s.ledger, s.archive, bad.ID, "fingerprint")
		check(t, err)
		check(t, s.ledger.Record(t.Context(), &canyu.Batch{Activity: bad.ID, Epoch: epoch, Writer: "bad", Sequence: 1, Participations: []canyu.Participation{
			{Class: shelfClass(0), Role: canyu.Student, Participant: 1, At: shelfStart, Day: shelfDay}}}))
		stop := startWorker(t, w)
		s.record(0, 100)
		eventually(t, "the other activity", func() bool { return w.Status()[1].Participations == 100 && w.Status()[0].Errors > 0 })
		stop()
		s.expect(100, 100)
		if n, err := s.ledger.Backlog(t.Context(), bad.ID); err != nil || n != 1 {
			t.Errorf("backlog of what cannot be stored: %d, %v", n, err)
		}
	})
}

type badActivity struct {
	canyu.Archive
	bad string
}

func (b badActivity) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	if activity == b.bad {
		return errFault
	}
	return b.Archive.Store(ctx, activity, rs)
}

// waits does it for so long, and wants to get nowhere. The end may meet a call to Redis,
// which notices it a moment before the context does.
func (s *shelf) waits(long time.Duration, do func(*rollup.Worker, context.Context) error) {
	s.t.Helper()
	end := time.Now().Add(long)
	ctx, cancel := context.WithDeadline(s.t.Context(), end)
	defer cancel()
	if err := do(s.worker(), ctx); err == nil || time.Now().Before(end) {
		s.t.Errorf("nobody carries it over: %v, after %s", err, long-time.Until(end))
	}
}

func TestRollupDrainWaitsForAnother(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 10)
		held, err := s.ledger.Claim(t.Context(), "rollup/"+s.activity.ID, "somebody else", time.Minute)
		if check(t, err); !held {
			t.Fatal("not held")
		}
		s.waits(time.Second, (*rollup.Worker).Drain)
		done := make(chan error)
		go func() { done <- s.worker().Drain(t.Context()) }()
		check(t, s.ledger.Release(t.Context(), "rollup/"+s.activity.ID, "somebody else"))
		check(t, <-done)
		s.expect(10, 10)
	})
}

// TestRollupAwait: what another process carries over is waited for, and nothing else is
// done about it.
func TestRollupAwait(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 10)
		s.waits(time.Second, (*rollup.Worker).Await)
		done := make(chan error)
		go func() { done <- s.worker().Await(t.Context()) }()
		check(t, s.worker().Drain(t.Context()))
		check(t, <-done)
		s.expect(10, 10)
		check(t, s.worker().Await(t.Context()))
	})
}

// TestRollupHold: what is held is carried by nobody until it is let go.
func TestRollupHold(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		stop := startWorker(t, s.worker())
		defer stop()
		check(t, rollup.Hold(t.Context(), s.ledger, []string{s.activity.ID, s.activity.ID + "-2"}, func(context.Context) error {
			s.record(0, 10)
			s.waits(2*time.Second, (*rollup.Worker).Drain)
			if tallies, err := s.archive.Tallies(t.Context(), s.activity.ID, nil); err != nil || len(tallies) > 0 || len(s.log()) != 1 {
				t.Errorf("carried while it is held: %v, %v", tallies, err)
			}
			return nil
		}))
		check(t, s.worker().Drain(t.Context()))
		s.expect(10, 10)
	})
}

// BenchmarkRollupDrain carries 200,000 participations, 100 a batch, from ledger
// to archive, embedded.
func BenchmarkRollupDrain(b *testing.B) {
	const batches, each = 2000, 100
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		ledger, err := embeddedledger.Open(b.Context(), filepath.Join(dir, "ledger"))
		if err != nil {
			b.Fatal(err)
		}
		archive, err := embeddedarchive.Open(b.Context(), filepath.Join(dir, "archive.db"))
		if err != nil {
			b.Fatal(err)
		}
		epoch, err := canyu.Attach(b.Context(), ledger, archive, "bench", "fingerprint")
		if err != nil {
			b.Fatal(err)
		}
		for i := range batches {
			batch := &canyu.Batch{Activity: "bench", Epoch: epoch, Writer: "w", Sequence: uint64(i + 1)}
			for j := range each {
				n := i*each + j
				batch.Participations = append(batch.Participations, canyu.Participation{
					Class: canyu.Class{School: canyu.SchoolCode(3418020001 + n%4000/20), Grade: 3, Number: uint16(1 + n%20)},
					Role:  canyu.Student, Participant: canyu.Participant(rand.Uint64() >> 1), ID: rand.Uint64(), At: shelfStart.Add(time.Duration(n) * time.Millisecond), Day: shelfDay,
				})
			}
			if err := ledger.Record(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		w := &rollup.Worker{Ledger: ledger, Archive: archive, Activities: []*canyu.Activity{{ID: "bench"}}}
		b.StartTimer()
		if err := w.Drain(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := errors.Join(ledger.Close(), archive.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batches*each), "µs/participation")
}
