package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
	"github.com/canyu/canyu/rollup"
)

// damageFile cuts an entry of an embedded ledger's log short: the newest, or the
// one at position.
func damageFile(t *testing.T, path, position string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	r, err := db.ExecContext(t.Context(), "update log set payload = substr(payload, 1, 10) where position = ?1 or ?1 = '' and position = (select max(position) from log)", position)
	check(t, err)
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("damaged %d entries, %v", n, err)
	}
}

// damageRedis does it to a stream, whose entries cannot be changed: all of them are
// written again, under their names.
func damageRedis(t *testing.T, address, activity, position string) {
	t.Helper()
	options, err := redis.ParseURL(address)
	check(t, err)
	c := redis.NewClient(options)
	defer c.Close()
	log := "canyu{" + activity + "/0}log"
	entries, err := c.XRange(t.Context(), log, "-", "+").Result()
	check(t, err)
	pipe := c.TxPipeline()
	pipe.Del(t.Context(), log)
	for i, e := range entries {
		if e.ID == position || position == "" && i == len(entries)-1 {
			e.Values["p"] = e.Values["p"].(string)[:10]
		}
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: log, ID: e.ID, Values: e.Values})
	}
	_, err = pipe.Exec(t.Context())
	check(t, err)
}

// log is what is in the ledger's log.
func (s *shelf) log() []canyu.LogEntry {
	s.t.Helper()
	entries, err := s.ledger.Log(s.t.Context(), s.activity.ID, 0, "", 1<<30)
	check(s.t, err)
	return entries
}

func (s *shelf) letters(w *rollup.Worker) []rollup.DeadLetter {
	s.t.Helper()
	letters, err := rollup.DeadLetters(w.DeadLetters, s.activity.ID)
	check(s.t, err)
	return letters
}

func (s *shelf) retry(a canyu.Archive, w *rollup.Worker) rollup.Retried {
	s.t.Helper()
	r, err := rollup.RetryDeadLetters(s.t.Context(), s.ledger, a, w.DeadLetters, s.activity.ID, ledgerlog.ParseRaw)
	check(s.t, err)
	return r
}

// A damaged entry goes to the dead letters once, also where the worker dies before
// it has acknowledged it, and holds up nothing.
func TestDeadLetterDamaged(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		for i := range 3 {
			s.record(i*10, i*10+10)
		}
		entries := s.log()
		s.damage(entries[1].Position)
		if err := s.worker().Drain(t.Context()); err == nil {
			t.Fatal("drained without a place for dead letters")
		}
		w := s.worker()
		w.DeadLetters = filepath.Join(t.TempDir(), "dead-letters")
		w.Ledger = noAcknowledge{s.ledger}
		if err := w.Drain(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("Drain without Acknowledge: %v", err)
		}
		w.Ledger = s.ledger
		check(t, w.Drain(t.Context()))
		s.expect(20, 20)
		letters := s.letters(w)
		if len(letters) != 1 || letters[0].Position != entries[1].Position || letters[0].Reason == "" || len(letters[0].Raw) == 0 {
			t.Fatalf("letters: %+v", letters)
		}
		info, err := os.Stat(filepath.Join(w.DeadLetters, s.activity.ID+".ndjson"))
		if check(t, err); info.Mode().Perm() != 0o600 {
			t.Errorf("others may read it: %v", info.Mode())
		}
		if r := s.retry(s.archive, w); r.Stored != 0 || r.Left != 1 || r.Reason == nil {
			t.Errorf("retried what cannot be read: %+v", r)
		}
		if ds := verify(t, s); len(ds) == 0 {
			t.Error("ten are missing in the archive, and verify agrees")
		}
	})
}

type noAcknowledge struct{ canyu.Ledger }

func (noAcknowledge) Acknowledge(context.Context, string, int, string) error { return errFault }

// picky is an archive that refuses what has a certain participant in it, or all.
type picky struct {
	canyu.Archive
	poison canyu.Participant
	away   *atomic.Bool
	asked  *atomic.Int64
}

func (p picky) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	p.asked.Add(1)
	for _, r := range rs {
		if r.Participant == p.poison {
			return errFault
		}
	}
	if p.away.Load() {
		return errFault
	}
	return p.Archive.Store(ctx, activity, rs)
}

// What the archive refuses while it takes others is set aside, then given up; the
// rest goes on meanwhile, and the log is forgotten only up to it.
func TestDeadLetterRefused(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		for i := range 20 {
			s.record(i*10, i*10+10)
		}
		poisoned := s.log()[7]
		p := picky{s.archive, poisoned.Recorded[3].Participant, new(atomic.Bool), new(atomic.Int64)}
		w := s.worker()
		var later atomic.Int64
		w.Archive, w.DeadLetters = p, t.TempDir()
		w.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		stop := startWorker(t, w)
		last := 200
		eventually(t, "the others are in the rollups", func() bool {
			rollups, err := s.archive.Rollups(t.Context(), s.activity.ID, nil, shelfDay, shelfDay+6)
			check(t, err)
			return sumOf(rollups)[0] == last-10
		})
		eventually(t, "the refused entry is at the front of the log", func() bool {
			return s.log()[0].Position == poisoned.Position
		})
		if len(s.letters(w)) != 0 {
			t.Error("given up at once")
		}
		if st := w.Status()[0]; st.Lag == 0 || st.LastError == "" {
			t.Errorf("the status hides it: %+v", st)
		}
		later.Store(int64(2 * time.Minute))
		eventually(t, "a dead letter", func() bool {
			s.record(last, last+10)
			last += 10
			return len(s.letters(w)) == 1
		})
		stop()
		s.expect(last-10, last-10)
		letter := s.letters(w)[0]
		if got := letter.Participations(); len(got) != 10 || !reflect.DeepEqual(got, poisoned.Recorded) || letter.Position != poisoned.Position {
			t.Errorf("the letter has %+v, want %+v", got, poisoned.Recorded)
		}
		if r := s.retry(p, w); r.Stored != 0 || r.Left != 1 || !errors.Is(r.Reason, errFault) {
			t.Errorf("still refused: %+v", r)
		}
		if r := s.retry(s.archive, w); r.Stored != 1 || r.Left != 0 {
			t.Errorf("taken: %+v", r)
		}
		if left := s.letters(w); len(left) != 0 {
			t.Errorf("left in the file: %+v", left)
		}
		s.expect(last, last)
		if ds := verify(t, s); len(ds) > 0 {
			t.Error(ds)
		}
	})
}

// An archive that takes nothing for long makes no dead letters, and takes everything
// when it is back.
func TestDeadLetterNever(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		p := picky{s.archive, 1<<63 - 1, new(atomic.Bool), new(atomic.Int64)}
		w := s.worker()
		var later atomic.Int64
		w.Archive, w.DeadLetters = p, t.TempDir()
		w.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		s.record(0, 10)
		check(t, w.Drain(t.Context()))
		stop := startWorker(t, w)
		p.away.Store(true)
		s.record(10, 20)
		for _, tries := range []int64{10, 3} { // of one entry alone, for minutes of the clock; of many
			before := p.asked.Load()
			eventually(t, "it is asked in vain", func() bool {
				later.Add(int64(10 * time.Second)) // until what was set aside is tried again
				return p.asked.Load() >= before+tries
			})
			for i := 2; i < 30; i++ {
				s.record(i*10, i*10+10)
			}
		}
		p.away.Store(false)
		eventually(t, "everything", func() bool {
			n, err := s.ledger.Backlog(t.Context(), s.activity.ID)
			check(t, err)
			return n == 0
		})
		stop()
		if letters := s.letters(w); len(letters) != 0 {
			t.Errorf("%d dead letters of an archive that was away", len(letters))
		}
		s.expect(300, 300+280)
	})
}

// The commands, on both pairs: a damaged entry is found by serve, told by verify and
// deadletter list, and comes back by deadletter retry once it can be read.
func TestDeadLetterCommand(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "rebuild: auto\n")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve("--run", "ingest")
		for seat := 1; seat <= 3; seat++ {
			if status, body := s.postStatus(v, seatOf{1, 1, seat}); status != 201 {
				t.Fatalf("seat %d: %d %s", seat, status, body)
			}
		}
		v.stop()
		whole := s.damageNewest(p)
		v = s.serve()
		v.eventually("a dead letter is in the metrics", func() error {
			_, body, err := v.get("/metrics")
			for _, line := range []string{"canyu_dead_letters{activity=%q} 1", "canyu_backlog_participations{activity=%q} 0", "canyu_archive_lag_seconds{activity=%q} 0", "canyu_backlog_drain_seconds{activity=%q} 0"} {
				if line = fmt.Sprintf(line, s.activity); err == nil && !strings.Contains(body, line) {
					err = fmt.Errorf("no %s in %s", line, body)
				}
			}
			return err
		})
		v.stop()
		out, err := s.canyu("deadletter", "list")
		if check(t, err); !strings.Contains(out, "unreadable") || !strings.Contains(out, "1 dead letters") {
			t.Errorf("list: %s", out)
		}
		if _, err := s.canyu("deadletter", "retry"); !errors.Is(err, errQuiet) {
			t.Errorf("retry of what cannot be read: %v", err)
		}
		// A later program can read what this one cannot: here its bytes are put right.
		path := filepath.Join(s.dir, "data", "dead-letters", s.activity+".ndjson")
		text, err := os.ReadFile(path)
		check(t, err)
		var line map[string]any
		check(t, json.Unmarshal(text, &line))
		line["raw"] = whole
		text, err = json.Marshal(line)
		check(t, err)
		check(t, os.WriteFile(path, append(text, '\n'), 0o600))
		if out := s.must("deadletter", "retry"); !strings.Contains(out, "1 dead letters stored, 0 left") {
			t.Errorf("retry: %s", out)
		}
		if out := s.must("deadletter", "list"); !strings.Contains(out, ": 0 dead letters") {
			t.Errorf("list in the end: %s", out)
		}
		// Of an embedded ledger the damage took the pupil away too: it is found to be
		// behind the archive, and restored.
		v = s.serve()
		if n, err := s.students(v); err != nil || n != 3 {
			t.Errorf("%d students, %v; want 3", n, err)
		}
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
	})
}

// damageNewest damages the newest entry of the log and returns what it was.
func (s *site) damageNewest(p pair) []byte {
	s.t.Helper()
	if p.dsn == "" {
		path := filepath.Join(s.dir, "data", "ledger.db")
		db, err := sql.Open("sqlite", path)
		check(s.t, err)
		defer db.Close()
		var decided string
		var payload []byte
		check(s.t, db.QueryRow("select before || ' ' || outcomes, payload from log order by position desc limit 1").Scan(&decided, &payload))
		damageFile(s.t, path, "")
		return ledgerlog.Raw(decided, payload)
	}
	address := strings.Fields(p.settings)[1]
	options, err := redis.ParseURL(address)
	check(s.t, err)
	c := redis.NewClient(options)
	defer c.Close()
	newest, err := c.XRevRangeN(s.t.Context(), "canyu{"+s.activity+"/0}log", "+", "-", 1).Result()
	check(s.t, err)
	damageRedis(s.t, address, s.activity, "")
	return ledgerlog.Raw(newest[0].Values["o"].(string), []byte(newest[0].Values["p"].(string)))
}
