package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

// An activity that was begun by an earlier version has no salt. It counts on under its
// old key, and nobody counts twice; its purge deletes what it cannot shred.
func TestBegunBeforeSalts(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		old := attacker{secret: s.secretOf(t), activity: s.activity, roster: s.classes(t)}
		class := canyu.Class{School: 3418020001, Grade: 1, Number: 1}
		s.inside(t, func(settings *settings, e *engines) { // as version 0 did it
			mark, err := e.ledger.Begin(t.Context(), s.activity, "", oldFingerprint(&old))
			check(t, err)
			check(t, e.archive.SetEpoch(t.Context(), s.activity, mark))
			now := time.Now().Truncate(time.Millisecond)
			b := &canyu.Batch{Activity: s.activity, Epoch: mark, Writer: "old", Sequence: 1}
			for seat := 1; seat <= 3; seat++ {
				b.Participations = append(b.Participations, canyu.Participation{Class: class, Role: canyu.Student,
					Participant: canyu.Participant(participantOf(old.keyed(nil), class, seat)), ID: uint64(seat), At: now, Day: settings.activities[0].DayOf(now)})
			}
			check(t, e.ledger.Record(t.Context(), b))
		})
		v := s.serve()
		s.seats(v, 1, 3, 200)
		s.seats(v, 4, 4, 201)
		if salt := s.salt(t); salt != nil {
			t.Error("a salt was made for an activity that was begun without")
		}
		v.stop()
		v = s.serve() // again, from what it remembers
		s.seats(v, 1, 4, 200)
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
		if told := old.seats(s.remainsOf(t, p)); len(told) != 4 {
			t.Fatalf("%d of 4 seats can be told before the purge", len(told))
		}
		s.must("purge", "--now")
		if told := old.seats(s.remainsOf(t, p)); len(told) != 0 {
			t.Errorf("%d seats can be told after the purge", len(told))
		}
	})
}

func oldFingerprint(a *attacker) string {
	h := a.keyed(nil)
	h.Write([]byte("fingerprint"))
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// remainsOf is what the stores of a pair with a shared Redis have of the site.
func (s *site) remainsOf(t *testing.T, p pair) search {
	left := make(search)
	left.folder(t, "data/", filepath.Join(s.dir, "data"))
	if p.dsn == "" {
		return left
	}
	left.clickhouse(t, "clickhouse/", p.dsn)
	s.inside(t, func(_ *settings, e *engines) {
		members, err := e.ledger.Participants(t.Context(), s.activity, canyu.Class{School: 3418020001, Grade: 1, Number: 1}, canyu.Student)
		if err != nil && !errors.Is(err, canyu.ErrLost) {
			t.Error(err)
		}
		left.add("redis", fmt.Append(nil, members))
	})
	return left
}

// An activity that was taken out of canyu.yaml before its retention was over is named
// everywhere, and can be purged all the same: also by the server that runs.
func TestPurgeOfWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		old := s.activity
		v := s.serve()
		s.seats(v, 1, 3, 201)
		v.kill() // something may wait in the log
		s.change("id: "+old, "id: "+old+"-b")
		v = s.serve()
		advice := "activity " + old + " has begun and is not in canyu.yaml"
		v.eventually("the log", func() error {
			if log := v.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, advice) {
				return errors.New("it does not say that the activity is never purged")
			}
			return nil
		})
		if said, ok := s.preflight(); ok || !strings.Contains(said, "wrong  activities     "+advice) {
			t.Errorf("preflight: %s", said)
		}
		if out := s.must("verify"); !strings.Contains(out, advice) {
			t.Errorf("verify: %s", out)
		}
		if p.name != "embedded" {
			v.stop() // it has the spool
		}
		if out, err := s.canyu("purge", "--activity", old); err == nil || !strings.Contains(err.Error(), "not known whether it is over") {
			t.Errorf("purge: %s, %v", out, err)
		}
		if out, err := s.canyu("purge", "--activity", old+"-c"); err == nil || !strings.Contains(err.Error(), "want one of") {
			t.Errorf("purge of what never was: %s, %v", out, err)
		}
		if out := s.must("purge", "--activity", old, "--now"); !strings.Contains(out, "purged at") || !strings.Contains(out, "with 3 participants and 3 submissions") {
			t.Errorf("purge: %s", out)
		}
		if p.name == "embedded" {
			v.stop()
		}
		s.inside(t, func(_ *settings, e *engines) {
			if salt, err := e.archive.Salt(t.Context(), old); err != nil || salt != nil {
				t.Errorf("the salt: %x, %v", salt, err)
			}
			if total, err := e.ledger.Total(t.Context(), old); err != nil || total != 0 {
				t.Errorf("the ledger has %d, %v", total, err)
			}
		})
		if out := s.must("verify"); strings.Contains(out, advice) {
			t.Errorf("after the purge, verify: %s", out)
		}
	})
}

// However many begin an activity at once, there is one salt and one key.
func TestOneSalt(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		activity := "salt-" + unique()
		var mu sync.Mutex
		var salts [][]byte
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				salt, err := canyu.BeginSalt(t.Context(), s.ledger, s.archive, activity)
				if err == nil {
					_, err = canyu.Attach(t.Context(), s.ledger, s.archive, activity, fmt.Sprintf("%x", salt))
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				salts = append(salts, salt)
			})
		}
		group.Wait()
		for _, salt := range salts {
			if len(salt) != canyu.SaltSize || !bytes.Equal(salt, salts[0]) {
				t.Errorf("%x is not %x", salt, salts[0])
			}
		}
		if salt, err := canyu.BeginSalt(t.Context(), s.ledger, s.archive, s.activity.ID); err != nil || salt != nil {
			t.Errorf("of an activity that was begun without: %x, %v", salt, err)
		}
	})
}

// Nothing goes without a week's notice; then messages, then participants, each at the
// end of its days, and only once everything is in the rollups.
func TestRetention(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		a := s.activity
		a.Zone, a.FirstDay, a.LastDay = time.UTC, shelfDay, shelfDay+6
		a.Retention = canyu.Retention{Participants: 60, Messages: 20}
		_, err := s.archive.MakeSalt(t.Context(), a.ID, make([]byte, canyu.SaltSize))
		check(t, err)
		s.record(0, 30)
		w := s.worker()
		w.DeadLetters = t.TempDir()
		check(t, w.Drain(t.Context()))
		// Two that were held apart, and let count by a person: they stay in the numbers.
		held := canyu.HeldCase{Class: shelfClass(3), Day: shelfDay + 1, Why: canyu.MachinePace}
		var apart []canyu.Recorded
		for i := range 2 {
			apart = append(apart, canyu.Recorded{Participation: canyu.Participation{Class: held.Class, Role: canyu.Student, Participant: canyu.Participant(900_000 + i),
				ID: uint64(i), At: shelfStart.AddDate(0, 0, 1), Day: held.Day, Held: held.Why}})
		}
		check(t, s.archive.Store(t.Context(), a.ID, apart))
		check(t, s.archive.DecideHeld(t.Context(), a.ID, []canyu.HeldDecision{{HeldCase: held, State: canyu.Admitted,
			Until: shelfStart.AddDate(0, 0, 1), By: "a link", At: shelfStart.AddDate(0, 0, 2)}}))
		check(t, os.WriteFile(filepath.Join(w.DeadLetters, a.ID+".ndjson"), []byte("{}\n"), 0o600))
		before, err := s.archive.Rollups(t.Context(), a.ID, nil, shelfDay, shelfDay+6)
		check(t, err)

		if sumOf(before) != [2]int{32, 32} {
			t.Fatalf("rollups %v, want 30 and the 2 that were held", sumOf(before))
		}
		var now time.Time
		p := &rollup.Purger{Ledger: s.ledger, Archive: s.archive, DeadLetters: w.DeadLetters, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
		end := a.LastDay.End(time.UTC)
		step := func(days int, messages, participants bool) {
			t.Helper()
			now = end.AddDate(0, 0, days)
			for range 2 {
				check(t, p.Step(t.Context(), a))
			}
			state, err := s.archive.Purged(t.Context(), a.ID)
			check(t, err)
			if got := [2]bool{!state.MessagesDone.IsZero(), !state.ParticipantsDone.IsZero()}; got != [2]bool{messages, participants} {
				t.Errorf("day %d: messages and participants purged: %v", days, got)
			}
			left := 0
			for day := shelfDay; day < shelfDay+7; day++ {
				ms, err := s.archive.Messages(t.Context(), a.ID, nil, day, 100)
				check(t, err)
				left += len(ms)
			}
			total, err := s.ledger.Total(t.Context(), a.ID)
			check(t, err)
			salt, err := s.archive.Salt(t.Context(), a.ID)
			check(t, err)
			if (left == 0) != messages || (total == 0) != participants || (salt == nil) != participants {
				t.Errorf("day %d: %d messages, %d participants in the ledger, %d bytes of salt", days, left, total, len(salt))
			}
			after, err := s.archive.Rollups(t.Context(), a.ID, nil, shelfDay, shelfDay+6)
			check(t, err)
			if sumOf(after) != sumOf(before) {
				t.Errorf("day %d: rollups %v, were %v", days, sumOf(after), sumOf(before))
			}
		}
		step(1, false, false)
		step(12, false, false)
		step(18, false, false) // announced, late
		step(24, false, false) // due for four days, but announced six days ago
		step(25, true, false)
		step(59, true, false)
		s.record(30, 31) // it waits in the log
		now = end.AddDate(0, 0, 61)
		if err := p.Step(t.Context(), a); err == nil {
			t.Error("what waits in the log would have been lost")
		}
		check(t, w.Drain(t.Context()))
		before, err = s.archive.Rollups(t.Context(), a.ID, nil, shelfDay, shelfDay+6)
		check(t, err)
		step(61, true, true)
		if _, err := os.Stat(filepath.Join(w.DeadLetters, a.ID+".ndjson")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("dead letters are there: %v", err)
		}
		if err := rollup.Rebuild(t.Context(), s.ledger, s.archive, a.ID, "fingerprint", nil); !errors.Is(err, canyu.ErrPurged) {
			t.Errorf("rebuild: %v", err)
		}
		if _, err := canyu.BeginSalt(t.Context(), s.ledger, s.archive, a.ID); !errors.Is(err, canyu.ErrPurged) {
			t.Errorf("to begin again: %v", err)
		}
	})
}

func TestRetentionSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{}": "", "{participants: 365d}": "", "{messages: 1d}": "", "{participants: 32d, messages: 32d}": "",
		"{participants: 31d}":                "retention.participants 31d",
		"{participants: 40d, messages: 50d}": "retention.messages 50d",
		"{participants: forever}":            `retention.participants "forever"`,
		"{messages: 90}":                     "retention.messages",
		"{participants: 9999d}":              "retention.participants 9999d",
	} {
		s := newSite(t, pair{}, "")
		config, err := os.ReadFile(s.config)
		check(t, err)
		check(t, os.WriteFile(s.config, append(config, "    retention: "+text+"\n"...), 0o600))
		_, err = s.canyu("check")
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
