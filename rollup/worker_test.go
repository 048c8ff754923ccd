package rollup_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

// bell is a ledger into which participations come at a rate, for so long, and an archive
// that takes some time for each: in synctest nothing of it takes any.
type bell struct {
	canyu.Ledger // none: what a worker does not need here
	began        time.Time
	rate         float64
	lasts        time.Duration
	store        time.Duration // for a participation
	restate      time.Duration // for a class
	slows        float64       // share of its rate that ingest loses while the archive works

	mu       sync.Mutex // guards the rest
	stored   int
	restated int
	worked   time.Duration
	lost     float64       // seconds of ingest
	worst    time.Duration // oldest participation that was without its rollup
}

const (
	bellClasses = 1000
	bellEntry   = 100 // participations in an entry of the log
)

func (b *bell) came() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int((min(time.Since(b.began), b.lasts).Seconds() - b.lost) * b.rate)
}

func (b *bell) Shards() int { return 1 }

func (b *bell) Total(context.Context, string) (int, error) { return b.came(), nil }

func (b *bell) Claim(context.Context, string, string, time.Duration) (bool, error) { return true, nil }

func (b *bell) Release(context.Context, string, string) error { return nil }

func (b *bell) Acknowledge(context.Context, string, int, string) error { return nil }

func (b *bell) Log(_ context.Context, _ string, _ int, after string, most int) (entries []canyu.LogEntry, err error) {
	from := b.restated
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil {
			return nil, err
		}
	}
	for n := 0; n < most && from+bellEntry <= b.came(); n += bellEntry {
		e := canyu.LogEntry{Recorded: make([]canyu.Recorded, bellEntry)}
		for i := range e.Recorded {
			e.Recorded[i].Class = canyu.Class{School: canyu.SchoolCode(1 + (from+i)%bellClasses)}
			e.Recorded[i].At = b.instant(from + i)
		}
		from += bellEntry
		e.Position = strconv.Itoa(from)
		entries = append(entries, e)
	}
	return entries, nil
}

func (b *bell) instant(n int) time.Time {
	return b.began.Add(time.Duration(float64(n) / b.rate * float64(time.Second)))
}

func (b *bell) work(d time.Duration) {
	time.Sleep(d)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.worked += d
	if time.Since(b.began) < b.lasts {
		b.lost += d.Seconds() * b.slows
	}
}

// facts is the archive of a bell.
type facts struct {
	canyu.Archive // none
	*bell
}

func (b facts) Store(_ context.Context, _ string, rs []canyu.Recorded) error {
	b.work(time.Duration(len(rs)) * b.store)
	b.stored += len(rs) // Store and Restate take turns
	return nil
}

func (b facts) Restate(_ context.Context, _ string, classes []canyu.Class) error {
	b.work(time.Duration(len(classes)) * b.restate)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.worst = max(b.worst, time.Since(b.instant(b.restated)))
	b.restated = b.stored
	return nil
}

// soFar is how far the archive was behind at most, the share of the bell that it worked,
// and how many are in it with their rollups.
func (b *bell) soFar() (worst time.Duration, share float64, restated int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.worst, b.worked.Seconds() / b.lasts.Seconds(), b.restated
}

// The archive is at most five seconds behind as long as it could be, and leaves the
// machine to ingest where it could not.
func TestPaceInBurst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate    float64
		slows   float64
		behind  time.Duration // at most, during the bell
		atLeast float64       // share of the time that rollup works, and
		atMost  float64
		after   time.Duration // until all is in the archive, at most
	}{
		"a class now and then":          {rate: 300, behind: 3 * time.Second, atMost: 0.1, after: 3 * time.Second},
		"half of what it could carry":   {rate: 15_000, behind: 4 * time.Second, atLeast: 0.4, atMost: 0.6, after: 5 * time.Second},
		"most of what it could carry":   {rate: 22_000, behind: 5 * time.Second, atLeast: 0.6, atMost: 0.95, after: 5 * time.Second},
		"more than it could ever carry": {rate: 60_000, behind: time.Hour, atLeast: 0.8, atMost: 0.95, after: 2 * time.Minute},
		"at the cost of ingest":         {rate: 30_000, slows: 0.4, behind: time.Hour, atLeast: 0.2, atMost: 0.45, after: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bell{began: time.Now(), rate: c.rate, slows: c.slows, lasts: 30 * time.Second, store: 30 * time.Microsecond, restate: 200 * time.Microsecond}
				ctx, end := context.WithCancel(t.Context())
				w := &rollup.Worker{Ledger: b, Archive: facts{bell: b}, Activities: []*canyu.Activity{{ID: "bell"}}, Log: slog.New(slog.DiscardHandler)}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = w.Run(ctx)
				}()
				time.Sleep(b.lasts)
				worst, share, _ := b.soFar()
				if worst > c.behind {
					t.Errorf("%v behind, at most %v", worst, c.behind)
				}
				if share < c.atLeast || share > c.atMost {
					t.Errorf("rollup worked %.2f of the time, want %.2f to %.2f", share, c.atLeast, c.atMost)
				}
				time.Sleep(c.after)
				all := b.came() / bellEntry * bellEntry
				if _, _, done := b.soFar(); done != all {
					t.Errorf("%v after the bell %d of %d are in the archive", c.after, done, all)
				}
				end()
				<-done
			})
		})
	}
}
