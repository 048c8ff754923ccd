package embeddedledger_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/ingest/ledgertest"
)

func open(t *testing.T, dir string) *embeddedledger.Ledger {
	t.Helper()
	l, err := embeddedledger.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestContract(t *testing.T) { contract(t, func(*embeddedledger.Ledger) {}) }

// The same promises, with the sets saved and the log trimmed at every chance.
func TestContractSavingAlways(t *testing.T) {
	contract(t, func(l *embeddedledger.Ledger) { l.SaveAfter(1) })
}

func contract(t *testing.T, opened func(*embeddedledger.Ledger)) {
	ledgertest.Test(t, func(t *testing.T) ledgertest.Engine {
		dir := t.TempDir()
		return ledgertest.Engine{
			Open: func(t *testing.T) canyu.Ledger {
				l := open(t, dir)
				opened(l)
				return l
			},
			Lose: func(t *testing.T, activity string) {
				files, err := filepath.Glob(filepath.Join(dir, "ledger.db*"))
				if err != nil || len(files) == 0 {
					t.Fatalf("nothing to lose: %v", err)
				}
				for _, f := range files {
					if err := os.Remove(f); err != nil {
						t.Fatal(err)
					}
				}
			},
			Damage: func(t *testing.T, activity, position string) {
				db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				r, err := db.ExecContext(t.Context(), "update log set payload = substr(payload, 1, 10) where activity = ? and position = ?", activity, position)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := r.RowsAffected(); err != nil || n != 1 {
					t.Fatalf("damaged %d entries, %v", n, err)
				}
			},
		}
	})
}

// A second opening, as by canyu verify, sees what the first records and may not record.
func TestBesideAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := open(t, dir)
	defer holder.Close()
	epoch, err := holder.Begin(t.Context(), "a", "", "key")
	if err != nil {
		t.Fatal(err)
	}
	beside := open(t, dir)
	defer beside.Close()
	if beside.Held() || !holder.Held() {
		t.Fatalf("held: %v by the first, %v by the second", holder.Held(), beside.Held())
	}
	class := canyu.Class{School: 3418020001, Grade: 3, Number: 2}
	for n := 1; n <= 3; n++ {
		b := &canyu.Batch{Activity: "a", Epoch: epoch, Writer: "w", Sequence: uint64(n),
			Participations: []canyu.Participation{{Class: class, Role: canyu.Student, Participant: canyu.Participant(n)}}}
		if err := holder.Record(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		tallies, err := beside.Counts(t.Context(), "a", []canyu.Class{class})
		if err != nil || tallies[0][canyu.Student] != n {
			t.Fatalf("beside: %v, %v; want %d", tallies, err, n)
		}
		if err := beside.Record(t.Context(), b); !errors.Is(err, canyu.ErrHeld) {
			t.Fatalf("recording beside: %v, want ErrHeld", err)
		}
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir)
	defer next.Close()
	if !next.Held() {
		t.Fatal("the lock outlived its process")
	}
}

// What is kept is about children: nobody but its owner reads it.
func TestFilesAreTheOwners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	defer open(t, dir).Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// A file that a newer canyu has changed is left alone, with what to do about it.
func TestSchemaFromTheFuture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "pragma user_version = 2"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := embeddedledger.Open(t.Context(), dir)
	if err == nil {
		l.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "run the newer canyu that wrote it, or restore the backup") {
		t.Errorf("opened a file of a newer canyu: %v", err)
	}
}

// A child that somebody starts at the wrong moment does not keep the lock of a ledger
// that is closed.
func TestCloseUnlocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	fd, err := l.CopyLock()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	defer again.Close()
	if !again.Held() {
		t.Error("the lock is held by nobody, and yet not free")
	}
}

// Whoever comes after Close gets an error.
func TestClosed(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	epoch, err := l.Begin(t.Context(), "a", "", "fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, claim := l.Claim(t.Context(), "duty", "holder", time.Minute)
	_, read := l.Log(t.Context(), "a", 0, "", 1)
	_, erase := l.Erase(t.Context(), "a", canyu.Class{School: 3418020001}, canyu.Student, 1)
	for what, err := range map[string]error{
		"Claim": claim, "Release": l.Release(t.Context(), "duty", "holder"), "Log": read, "Erase": erase,
		"Record":      l.Record(t.Context(), &canyu.Batch{Activity: "a", Epoch: epoch, Writer: "w", Sequence: 1, Participations: []canyu.Participation{{Participant: 1}}}),
		"Acknowledge": l.Acknowledge(t.Context(), "a", 0, "1"), "Unmark": l.Unmark(t.Context(), "a"), "Purge": l.Purge(t.Context(), "a"), "Scrub": l.Scrub(t.Context(), "a"),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
