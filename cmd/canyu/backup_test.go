package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// elsewhere is the same installation with an empty data folder, on another machine.
func (s *site) elsewhere() *site {
	s.t.Helper()
	o := &site{t: s.t, dir: s.t.TempDir(), activity: s.activity, atOnce: s.atOnce}
	text, err := os.ReadFile(s.config)
	check(s.t, err)
	o.config = filepath.Join(o.dir, "canyu.yaml")
	check(s.t, os.WriteFile(o.config, []byte(strings.ReplaceAll(string(text), s.dir, o.dir)), 0o600))
	return o
}

// load posts seats from several clients until it is told to stop, and remembers who
// was acknowledged with which receipt.
type load struct {
	mu           sync.Mutex
	acknowledged map[seatOf]string
	stop         func()
}

func (l *load) sofar() map[seatOf]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acknowledged)
}

func (s *site) load(v *server, seats []seatOf) *load {
	l := &load{acknowledged: make(map[seatOf]string)}
	var next atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				seat := seats[int(next.Add(1)-1)%len(seats)]
				r, err := s.postSeat(v.url, seat)
				if err != nil {
					s.t.Error(err)
					return
				}
				l.mu.Lock()
				l.acknowledged[seat] = r.Receipt
				l.mu.Unlock()
			}
		})
	}
	l.stop = sync.OnceFunc(func() { close(done); wg.Wait() })
	s.t.Cleanup(l.stop)
	return l
}

func someSeats() (seats []seatOf) {
	for seat := 1; seat <= 25; seat++ {
		for grade := 1; grade <= 6; grade++ {
			seats = append(seats, seatOf{grade, 1, seat}, seatOf{grade, 2, seat})
		}
	}
	return seats
}

// counted posts all seats and returns how many counted now: none of those known may.
func (s *site) counted(v *server, seats []seatOf, known map[seatOf]string) (n int) {
	s.t.Helper()
	for _, seat := range seats {
		r, err := s.postSeat(v.url, seat)
		check(s.t, err)
		if receipt, ok := known[seat]; ok && (r.Counted || r.Receipt != receipt) {
			s.t.Errorf("%v was acknowledged before the backup; counted again: %v, receipt %s, had %s", seat, r.Counted, r.Receipt, receipt)
		}
		if r.Counted {
			n++
		}
	}
	return n
}

// A backup under load, restored elsewhere, agrees with itself and has everybody who
// was acknowledged before it began.
func TestBackup(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	if _, err := s.elsewhere().canyu("backup", filepath.Join(s.dir, "none")); err == nil {
		t.Error("backed up nothing")
	}
	v := s.serve()
	seats := someSeats()
	l := s.load(v, seats)
	v.eventually("some are acknowledged", func() error {
		if n := len(l.sofar()); n < 60 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	backup := filepath.Join(s.dir, "backup")
	before := l.sofar()
	s.must("backup", backup)
	if _, err := s.canyu("backup", backup); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over another backup: %v", err)
	}
	l.stop()
	v.stop()

	err := filepath.WalkDir(backup, func(path string, e fs.DirEntry, err error) error {
		check(t, err)
		info, err := e.Info()
		if check(t, err); info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v", path, info.Mode())
		}
		return nil
	})
	check(t, err)

	if _, err := s.canyu("restore", backup); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over a data folder: %v", err)
	}
	o := s.elsewhere()
	o.must("restore", backup)
	if out := o.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify, restored: %s", out)
	}
	v = o.serve()
	had, err := o.students(v)
	if check(t, err); had < len(before) {
		t.Errorf("%d students are restored, %d were acknowledged before", had, len(before))
	}
	if n := o.counted(v, seats, before); had+n != len(seats) {
		t.Errorf("%d restored and %d counted since, of %d", had, n, len(seats))
	}
	v.stop()
	if out := o.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify, in the end: %s", out)
	}
}

// What is in the log only, and dead letters, are in the backup too.
func TestBackupOfAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve("--run", "ingest") // nobody carries anything into the archive
	for seat := 1; seat <= 5; seat++ {
		s.postStatus(v, seatOf{1, 1, seat})
	}
	letters := filepath.Join(s.dir, "data", "dead-letters")
	check(t, os.Mkdir(letters, 0o700))
	check(t, os.WriteFile(filepath.Join(letters, s.activity+".ndjson"), []byte("{}\n"), 0o600))
	backup := filepath.Join(s.dir, "backup")
	s.must("backup", backup)
	v.stop()
	o := s.elsewhere()
	o.must("restore", backup)
	if out := o.must("deadletter", "list"); !strings.Contains(out, ": 1 dead letters") {
		t.Errorf("dead letters: %s", out)
	}
	v = o.serve()
	if n, err := o.students(v); err != nil || n != 5 {
		t.Errorf("%d students, %v", n, err)
	}
	v.stop()
	if out := o.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}

// A backup that is not what it was is refused before anything is written.
func TestRestoreDamaged(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	s.postStatus(v, seatOf{1, 1, 1})
	v.stop()
	for name, damage := range map[string]func(backup string) error{
		"a byte":      func(b string) error { return flip(filepath.Join(b, "archive.db")) },
		"a key":       func(b string) error { return os.WriteFile(filepath.Join(b, "key"), []byte("00"), 0o600) },
		"a file":      func(b string) error { return os.Remove(filepath.Join(b, "ledger.db")) },
		"no manifest": func(b string) error { return os.Remove(filepath.Join(b, "manifest.json")) },
		"a later format": func(b string) error {
			return os.WriteFile(filepath.Join(b, "manifest.json"), []byte(`{"format":2}`), 0o600)
		},
	} {
		backup := filepath.Join(t.TempDir(), "backup")
		s.must("backup", backup)
		check(t, damage(backup))
		o := s.elsewhere()
		if _, err := o.canyu("restore", backup); err == nil {
			t.Errorf("%s: restored", name)
		}
		if left, err := os.ReadDir(filepath.Join(o.dir, "data")); err == nil && len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func flip(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text[len(text)/2] ^= 1
	return os.WriteFile(path, text, 0o600)
}

// A backup waits until no worker is between ledger and archive, and one that is broken
// off leaves nothing.
func TestBackupWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve("--run", "ingest")
	s.postStatus(v, seatOf{1, 1, 1})
	_, e, err := (&Flags{Config: s.config}).open(t.Context())
	check(t, err)
	defer e.close()
	held, err := e.ledger.Claim(t.Context(), "rollup/"+s.activity, "a worker", time.Minute)
	if check(t, err); !held {
		t.Fatal("not held")
	}
	before, err := os.ReadDir(s.dir)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := run(ctx, []string{"backup", filepath.Join(s.dir, "backup"), "--config", s.config}, io.Discard, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a backup beside a worker at work: %v", err)
	}
	if after, err := os.ReadDir(s.dir); err != nil || len(after) != len(before) {
		t.Errorf("left behind: %v, %v", after, err)
	}
	check(t, e.ledger.Release(t.Context(), "rollup/"+s.activity, "a worker"))
	s.must("backup", filepath.Join(s.dir, "backup"))
}
