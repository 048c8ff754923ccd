package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/rollup"
	"github.com/canyu/canyu/rollup/clickhousearchive"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// shelf is a ledger and an archive with one activity begun in them, and a writer.
type shelf struct {
	t        *testing.T
	ledger   canyu.Ledger
	archive  canyu.Archive
	activity *canyu.Activity
	lose     func() canyu.Ledger // the ledger, after it lost its data

	mu       sync.Mutex
	epoch    string
	sequence uint64
	writer   string
}

// eachShelf runs a test body over both pairs of engines.
func eachShelf(t *testing.T, body func(t *testing.T, s *shelf)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ledger := func() canyu.Ledger {
			l, err := embeddedledger.Open(t.Context(), filepath.Join(dir, "ledger"))
			check(t, err)
			return l
		}
		archive, err := embeddedarchive.Open(t.Context(), filepath.Join(dir, "archive.db"))
		check(t, err)
		s := newShelf(t, ledger(), archive)
		s.lose = func() canyu.Ledger {
			check(t, s.ledger.Close())
			check(t, os.RemoveAll(filepath.Join(dir, "ledger")))
			s.ledger = ledger()
			return s.ledger
		}
		body(t, s)
	})
	address, servers := os.Getenv("CANYU_TEST_REDIS"), strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(r rune) bool { return r == ' ' || r == ',' })
	if address == "" || len(servers) == 0 {
		t.Fatal("set CANYU_TEST_REDIS and CANYU_TEST_CLICKHOUSE or run make test")
	}
	for i, server := range servers {
		t.Run(fmt.Sprintf("distributed-%d", i+1), func(t *testing.T) {
			t.Parallel()
			ledger, err := redisledger.Open(t.Context(), address)
			check(t, err)
			archive, err := clickhousearchive.Open(t.Context(), database(t, server))
			check(t, err)
			s := newShelf(t, ledger, archive)
			s.lose = func() canyu.Ledger { loseRedis(t, address, s.activity.ID); return s.ledger }
			t.Cleanup(func() { loseRedis(t, address, s.activity.ID) })
			body(t, s)
		})
	}
}

func loseRedis(t *testing.T, address, activity string) {
	t.Helper()
	options, err := redis.ParseURL(address)
	check(t, err)
	c := redis.NewClient(options)
	defer c.Close()
	keys, err := c.Keys(context.Background(), "canyu{"+activity+"/*").Result()
	check(t, err)
	if len(keys) > 0 {
		check(t, c.Del(context.Background(), keys...).Err())
	}
}

func newShelf(t *testing.T, ledger canyu.Ledger, archive canyu.Archive) *shelf {
	t.Helper()
	s := &shelf{t: t, ledger: ledger, archive: archive, activity: &canyu.Activity{ID: fmt.Sprintf("shelf-%d", rand.Uint32())}, writer: fmt.Sprintf("w%d", rand.Uint32())}
	t.Cleanup(func() {
		check(t, s.ledger.Close())
		check(t, s.archive.Close())
	})
	s.attach()
	return s
}

func (s *shelf) attach() {
	s.t.Helper()
	epoch, err := canyu.Attach(s.t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint")
	check(s.t, err)
	s.epoch = epoch
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	shelfDay   = canyu.NewDay(2017, 4, 1)
	shelfStart = time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
)

func shelfClass(i int) canyu.Class {
	return canyu.Class{School: canyu.SchoolCode(3418020001 + i%40/4), Grade: 3, Number: uint16(1 + i%4)}
}

// record records one batch of participants from to to, in 40 classes of 10 schools.
func (s *shelf) record(from, to int) {
	s.t.Helper()
	b := &canyu.Batch{Activity: s.activity.ID, Epoch: s.epoch, Writer: s.writer}
	for i := from; i < to; i++ {
		day := i % 7
		b.Participations = append(b.Participations, canyu.Participation{
			Class: shelfClass(i), Role: canyu.Roles[i%3], Participant: canyu.Participant(i*7919 + 1), ID: rand.Uint64(),
			At: shelfStart.AddDate(0, 0, day).Add(time.Duration(i) * time.Millisecond), Day: shelfDay + canyu.Day(day), Message: strings.Repeat("敬", i%3),
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	b.Sequence = s.sequence
	check(s.t, s.ledger.Record(s.t.Context(), b))
}

func (s *shelf) worker() *rollup.Worker {
	return &rollup.Worker{Ledger: s.ledger, Archive: s.archive, Activities: []*canyu.Activity{s.activity}, Holder: "test", Log: slog.New(slog.DiscardHandler)}
}

// expect holds the archive against what was recorded: n participants and so many
// submissions, in facts and rollups alike, and nothing left in the log.
func (s *shelf) expect(n, submissions int) {
	s.t.Helper()
	tallies, err := s.archive.Tallies(s.t.Context(), s.activity.ID, nil)
	check(s.t, err)
	rollups, err := s.archive.Rollups(s.t.Context(), s.activity.ID, nil, shelfDay, shelfDay+6)
	check(s.t, err)
	if got := sumOf(tallies); got != [2]int{n, submissions} {
		s.t.Errorf("facts: got %v, want %d participants, %d submissions", got, n, submissions)
	}
	if !reflect.DeepEqual(byGroup(tallies), byGroup(rollups)) {
		s.t.Errorf("rollups %v are not the facts %v", sumOf(rollups), sumOf(tallies))
	}
	if backlog, err := s.ledger.Backlog(s.t.Context(), s.activity.ID); err != nil || backlog != 0 {
		s.t.Errorf("backlog %d, %v", backlog, err)
	}
}

func sumOf(rs []canyu.Rollup) (sum [2]int) {
	for _, r := range rs {
		sum[0], sum[1] = sum[0]+r.Participants, sum[1]+r.Submissions
	}
	return sum
}

func byGroup(rs []canyu.Rollup) map[canyu.Rollup][2]int {
	groups := make(map[canyu.Rollup][2]int)
	for _, r := range rs {
		if r.Participants+r.Submissions > 0 {
			groups[canyu.Rollup{Class: r.Class, Role: r.Role, Day: r.Day}] = [2]int{r.Participants, r.Submissions}
		}
	}
	return groups
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, within time.Duration, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(within); !yes(); {
		select {
		case <-timeout:
			t.Fatalf("not within %v: %s", within, what)
		case <-ticker.C:
		}
	}
}

// startWorker runs a worker and returns what stops it and waits for its end.
func startWorker(t *testing.T, w *rollup.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		select {
		case err := <-done:
			check(t, err)
		case <-time.After(20 * time.Second):
			t.Error("the worker does not end")
		}
	}
}

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
			eventually(t, "from the click to the rollups", 5*time.Second, func() bool {
				rollups, err := s.archive.Rollups(t.Context(), s.activity.ID, nil, shelfDay, shelfDay+6)
				check(t, err)
				return sumOf(rollups)[0] == i*100+100
			})
		}
		eventually(t, "nothing behind", 5*time.Second, func() bool {
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

// faulty is an archive or a ledger that answers with an error now and then,
// before or after it did what it was asked.
type faulty struct {
	canyu.Archive
	canyu.Ledger
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

type faultyArchive struct{ *faulty }

func (f faultyArchive) Close() error { return f.Archive.Close() }
func (f faultyArchive) Epoch(ctx context.Context, activity string) (string, error) {
	return f.Archive.Epoch(ctx, activity)
}
func (f faultyArchive) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	return f.call(func() error { return f.Archive.Store(ctx, activity, rs) })
}
func (f faultyArchive) Restate(ctx context.Context, activity string, classes []canyu.Class) error {
	return f.call(func() error { return f.Archive.Restate(ctx, activity, classes) })
}

// faultyLedger also sees that nothing is forgotten before rollups have it.
type faultyLedger struct {
	*faulty
	t       *testing.T
	archive canyu.Archive
}

func (f faultyLedger) Close() error { return f.Ledger.Close() }
func (f faultyLedger) Epoch(ctx context.Context, activity string) (string, error) {
	return f.Ledger.Epoch(ctx, activity)
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
		archive, ledger := &faulty{Archive: s.archive}, &faulty{Ledger: s.ledger}
		archive.rate.Store(20)
		ledger.rate.Store(20)
		var stops []func()
		var workers []*rollup.Worker
		for range 2 {
			w := s.worker()
			w.Archive, w.Ledger = faultyArchive{archive}, faultyLedger{ledger, t, s.archive}
			workers = append(workers, w)
			stops = append(stops, startWorker(t, w))
		}
		for i := range 40 {
			s.record(i*50, i*50+75)
		}
		eventually(t, "ten faults", 60*time.Second, func() bool {
			s.record(0, 1)
			return archive.seen.Load() >= 4 && ledger.seen.Load() >= 6
		})
		archive.rate.Store(0)
		ledger.rate.Store(0)
		eventually(t, "an empty log", 60*time.Second, func() bool {
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
		eventually(t, "the other activity", 10*time.Second, func() bool { return w.Status()[1].Participations == 100 && w.Status()[0].Errors > 0 })
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

func TestRollupDrainWaitsForAnother(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 10)
		held, err := s.ledger.Claim(t.Context(), "rollup/"+s.activity.ID, "somebody else", time.Minute)
		if check(t, err); !held {
			t.Fatal("not held")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.worker().Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain beside somebody who does nothing: %v", err)
		}
		done := make(chan error)
		go func() { done <- s.worker().Drain(t.Context()) }()
		check(t, s.ledger.Release(t.Context(), "rollup/"+s.activity.ID, "somebody else"))
		check(t, <-done)
		s.expect(10, 10)
	})
}

func verify(t *testing.T, s *shelf) []rollup.Difference {
	t.Helper()
	var classes []canyu.Class
	for i := range 10 { // the others are known to the archive alone
		classes = append(classes, shelfClass(i))
	}
	ds, err := rollup.Verify(t.Context(), s.ledger, s.archive, s.activity.ID, classes)
	check(t, err)
	return ds
}

func TestVerify(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		agree := func(when string) {
			t.Helper()
			if ds := verify(t, s); len(ds) > 0 {
				t.Errorf("%s: %v", when, ds)
			}
		}
		agree("nothing recorded")
		s.record(0, 200)
		agree("all in the log")
		entries, err := s.ledger.Log(t.Context(), s.activity.ID, 0, "", 1)
		check(t, err)
		check(t, s.archive.Store(t.Context(), s.activity.ID, entries[0].Recorded))
		agree("stored, not restated, not acknowledged")
		check(t, s.worker().Drain(t.Context()))
		agree("all in the archive")
		s.record(100, 300)
		agree("some in the log")
		check(t, s.worker().Drain(t.Context()))

		// A participant that the ledger never saw, and rollups that do not know it.
		planted := entries[0].Recorded[3]
		planted.Participant, planted.Counted = 4711, true
		check(t, s.archive.Store(t.Context(), s.activity.ID, []canyu.Recorded{planted}))
		ds := verify(t, s)
		if len(ds) != 1 || ds[0].Class != planted.Class || ds[0].Role != planted.Role || ds[0].Facts != ds[0].Ledger+1 || ds[0].Rollups != ds[0].Ledger {
			t.Fatalf("planted in the archive: %v", ds)
		}
		check(t, rollup.Repair(t.Context(), s.archive, s.activity.ID, ds))
		if ds := verify(t, s); len(ds) != 1 || ds[0].Rollups != ds[0].Facts || ds[0].Facts != ds[0].Ledger+1 {
			t.Errorf("after Repair: %v", ds)
		}
	})
}

// TestVerifyRollups: rollups that lag behind facts are told and mended.
func TestVerifyRollups(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.record(0, 50)
		check(t, s.worker().Drain(t.Context()))
		again := canyu.Recorded{Participation: canyu.Participation{Class: shelfClass(0), Role: canyu.Student, Participant: 1, ID: 99, At: shelfStart, Day: shelfDay}}
		check(t, s.archive.Store(t.Context(), s.activity.ID, []canyu.Recorded{again}))
		ds := verify(t, s)
		if len(ds) != 1 || !ds[0].Days || ds[0].Facts != ds[0].Ledger {
			t.Fatalf("a submission that no rollup has: %v", ds)
		}
		check(t, rollup.Repair(t.Context(), s.archive, s.activity.ID, ds))
		if ds := verify(t, s); len(ds) > 0 {
			t.Errorf("after Repair: %v", ds)
		}
	})
}

// TestVerifyWhileRunning: what is under way is no difference.
func TestVerifyWhileRunning(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		stop := startWorker(t, s.worker())
		done := make(chan struct{})
		var recording sync.WaitGroup
		recording.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					s.record(i*20, i*20+25)
				}
			}
		})
		for i := range 3 {
			eventually(t, "more recorded", 10*time.Second, func() bool {
				n, err := s.ledger.Total(t.Context(), s.activity.ID)
				check(t, err)
				return n > 400*(i+1)
			})
			if ds := verify(t, s); len(ds) > 0 {
				t.Errorf("while running: %v", ds)
			}
		}
		close(done)
		recording.Wait()
		stop()
		if ds := verify(t, s); len(ds) > 0 {
			t.Errorf("in the end: %v", ds)
		}
	})
}

func TestRebuild(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		rebuild := func(a canyu.Archive) error {
			return rollup.Rebuild(t.Context(), s.ledger, a, s.activity.ID, "fingerprint", nil)
		}
		s.record(0, 500)
		check(t, s.worker().Drain(t.Context()))
		if err := rebuild(s.archive); !errors.Is(err, rollup.ErrWhole) {
			t.Errorf("of a whole ledger: %v", err)
		}
		before := s.epoch
		s.lose()
		if _, err := canyu.Attach(t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint"); !errors.Is(err, canyu.ErrLost) {
			t.Fatalf("the loss is not noticed: %v", err)
		}
		if err := rebuild(cutShort{s.archive}); err == nil {
			t.Error("rebuilt from an archive that broke off")
		}
		if mark, err := s.ledger.Epoch(t.Context(), s.activity.ID); err != nil || mark != "" {
			t.Fatalf("the half-restored ledger is marked %q, %v", mark, err)
		}
		// The ledger is restored, and the program dies before the archive is told.
		if err := rebuild(noEpoch{s.archive, s.activity.ID}); !errors.Is(err, errFault) {
			t.Errorf("the archive did not take the epoch: %v", err)
		}
		if _, err := canyu.Attach(t.Context(), s.ledger, s.archive, s.activity.ID, "fingerprint"); !errors.Is(err, canyu.ErrLost) {
			t.Errorf("half rebuilt, and attached: %v", err)
		}
		check(t, rebuild(s.archive))
		if err := rebuild(s.archive); !errors.Is(err, rollup.ErrWhole) {
			t.Errorf("once more: %v", err)
		}
		if s.attach(); s.epoch == before {
			t.Error("the epoch is the old one")
		}
		s.record(250, 750)
		if n, err := s.ledger.Total(t.Context(), s.activity.ID); err != nil || n != 750 {
			t.Errorf("total %d, %v", n, err)
		}
		check(t, s.worker().Drain(t.Context()))
		s.expect(750, 1000)
		if ds := verify(t, s); len(ds) > 0 {
			t.Error(ds)
		}
		// A ledger of somebody else's.
		check(t, s.archive.SetEpoch(t.Context(), s.activity.ID, "another"))
		if err := rebuild(s.archive); err == nil || errors.Is(err, rollup.ErrWhole) {
			t.Errorf("over a stranger's ledger: %v", err)
		}
	})
}

// cutShort is an archive whose participants end too soon, without an error.
type cutShort struct{ canyu.Archive }

func (c cutShort) Participants(ctx context.Context, activity string) iter.Seq2[canyu.Recorded, error] {
	return func(yield func(canyu.Recorded, error) bool) {
		n := 0
		for r, err := range c.Archive.Participants(ctx, activity) {
			if n++; n > 100 || !yield(r, err) {
				return
			}
		}
	}
}

// noEpoch is an archive that cannot be told the activity's epoch.
type noEpoch struct {
	canyu.Archive
	activity string
}

func (n noEpoch) SetEpoch(ctx context.Context, activity, epoch string) error {
	if activity == n.activity {
		return errFault
	}
	return n.Archive.SetEpoch(ctx, activity, epoch)
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
