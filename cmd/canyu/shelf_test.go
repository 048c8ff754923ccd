package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
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
	lose     func() canyu.Ledger   // the ledger, after it lost its data
	damage   func(position string) // cuts an entry of the log short

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
		s.damage = func(position string) { damageFile(t, filepath.Join(dir, "ledger", "ledger.db"), position) }
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
			s.damage = func(position string) { damageRedis(t, address, s.activity.ID, position) }
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

// eventually asks until the answer is yes. How long that takes on a busy machine says
// nothing about canyu: what should be fast is measured elsewhere.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(2 * time.Minute); !yes(); {
		select {
		case <-timeout:
			t.Fatalf("not within two minutes: %s", what)
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
