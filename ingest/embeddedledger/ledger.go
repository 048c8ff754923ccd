// Package embeddedledger is the ledger for one machine: a SQLite file, and in
// memory who took part already.
//
// One process records; a lock file beside the database makes sure of it. Any
// other that opens the ledger meanwhile reads beside it (canyu verify, report)
// and gets canyu.ErrHeld where it tries to write.
package embeddedledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/canyu/canyu"
)

//go:embed schema.sql
var schema string

// Ledger is a canyu.Ledger in a SQLite file.
type Ledger struct {
	db   *sql.DB
	lock *os.File // nil beside a process that holds the ledger

	// mu guards activities and all in them. Record and Acknowledge hold it only
	// to read and change memory; they take turns at the file by writing.
	mu         sync.RWMutex
	activities map[string]*activity
	version    int64 // of the file, as of the newest load; beside another process

	saveAfter int        // see the constant
	saving    sync.Mutex // one at a time

	writing sync.Mutex
	conn    *sql.Conn // the one that records
	stmts   statements
}

// activity is the memory of one activity.
type activity struct {
	epoch       string
	fingerprint string
	counted     uint64 // ordinals given so far
	sets        map[setKey]*set
	dirty       []setKey // sets that are newer here than in the file
	unsaved     int      // participations recorded since they were saved

	acknowledged int64 // the log up to here is in the archive
	writers      map[string]reply
	payload      []byte // room for the next batch
	outcomes     []byte
	found        []*set // of its participations
}

// reply is what a writer's newest batch was told.
type reply struct {
	sequence uint64
	before   uint64
	outcomes string
}

// Open opens the ledger in folder dir, or makes it. It must be closed.
func Open(ctx context.Context, dir string) (_ *Ledger, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w", err)
	}
	l := &Ledger{activities: make(map[string]*activity), saveAfter: saveAfter}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.lock, err = hold(filepath.Join(dir, "ledger.lock")); err != nil {
		return nil, err
	}
	if err := own(filepath.Join(dir, "ledger.db")); err != nil {
		return nil, fmt.Errorf("cannot make the ledger: %w", err)
	}
	// FULL: a commit returns when it is on the disk (promise 1).
	dsn := "file:" + filepath.Join(dir, "ledger.db") +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate"
	if l.db, err = sql.Open("sqlite", dsn); err != nil {
		return nil, fmt.Errorf("cannot open the ledger: %w", err)
	}
	if err := migrate(ctx, l.db); err != nil {
		return nil, fmt.Errorf("cannot open the ledger: %w", err)
	}
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("cannot open the ledger: %w", err)
	}
	if err := l.stmts.prepare(ctx, l.conn); err != nil {
		return nil, fmt.Errorf("cannot prepare the ledger: %w", err)
	}
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("cannot load the ledger: %w", err)
	}
	return l, nil
}

// hold takes the lock file; nil where another process has it. The system drops
// the lock with the process, however that ends.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot lock the ledger: %w", err)
	}
	return f, nil
}

// own makes the file, where there is none yet, readable by its owner alone: it is
// about children. SQLite gives the files it puts beside it the same rights.
func own(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // nor is it opened: closing it would end SQLite's locks
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// migrate brings the file to the newest schema, one process at a time. The version
// goes up only for what an older program cannot work with; what is merely added is made
// where it is missing, so that an update can be taken back.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil) // immediate: waits for another that migrates
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, "pragma user_version").Scan(&version); err != nil {
		return err
	}
	switch version {
	case 1:
		return nil
	case 0:
		if _, err := tx.ExecContext(ctx, schema+"pragma user_version = 1"); err != nil {
			return err
		}
		return tx.Commit()
	default:
		return fmt.Errorf("its schema is version %d, this program knows 1: "+
			"run the newer canyu that wrote it, or restore the backup from before the update", version)
	}
}

// Held reports whether this process is the one that may record.
func (l *Ledger) Held() bool { return l.lock != nil }

// Shards is 1: there is one file.
func (l *Ledger) Shards() int { return 1 }

// Epoch implements canyu.Ledger.
func (l *Ledger) Epoch(ctx context.Context, activity string) (string, error) {
	if err := l.refresh(ctx); err != nil {
		return "", err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if a := l.activities[activity]; a != nil {
		return a.epoch, nil
	}
	return "", nil
}

// Begin implements canyu.Ledger.
func (l *Ledger) Begin(ctx context.Context, activity, epoch, fingerprint string) (string, error) {
	if err := l.refresh(ctx); err != nil {
		return "", err
	}
	l.mu.RLock()
	a := l.activities[activity]
	l.mu.RUnlock()
	switch {
	case a == nil || a.epoch == "":
		if epoch != "" {
			return "", canyu.ErrLost
		}
	case epoch != "" && a.epoch != epoch:
		return "", canyu.ErrLost
	case a.fingerprint != fingerprint:
		return "", canyu.ErrKey
	default:
		return a.epoch, nil
	}
	return l.mark(ctx, activity, rand.Text(), fingerprint)
}

// Unmark implements canyu.Ledger.
func (l *Ledger) Unmark(ctx context.Context, activity string) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.unmark(ctx, activity)
}

func (l *Ledger) unmark(ctx context.Context, activity string) error {
	if _, err := l.conn.ExecContext(ctx, "update activities set epoch = '' where activity = ?", activity); err != nil {
		return fmt.Errorf("cannot take the mark away: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.activities[activity]; a != nil {
		a.epoch = ""
	}
	return nil
}

// mark writes the epoch of an activity.
func (l *Ledger) mark(ctx context.Context, activity, epoch, fingerprint string) (string, error) {
	if !l.Held() {
		return "", canyu.ErrHeld
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err := l.conn.ExecContext(ctx, `insert into activities (activity, epoch, fingerprint, counted) values (?, ?, ?, 0)
		on conflict do update set epoch = excluded.epoch, fingerprint = excluded.fingerprint`, activity, epoch, fingerprint)
	if err != nil {
		return "", fmt.Errorf("cannot mark the ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.activity(activity)
	a.epoch, a.fingerprint = epoch, fingerprint
	return epoch, nil
}

// activity is made where there is none. The caller holds mu.
func (l *Ledger) activity(id string) *activity {
	a := l.activities[id]
	if a == nil {
		a = &activity{sets: make(map[setKey]*set), writers: make(map[string]reply)}
		l.activities[id] = a
	}
	return a
}

// Close implements canyu.Ledger. It saves the sets, so that the next start reads
// little of the log; without that, it reads more.
func (l *Ledger) Close() error {
	var errs []error
	if l.conn != nil && l.Held() {
		errs = append(errs, l.saveAll())
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.conn != nil { // and stays: who still uses it gets sql.ErrConnDone
		errs = append(errs, l.conn.Close())
	}
	if l.db != nil {
		errs = append(errs, l.db.Close())
	}
	if l.lock != nil {
		// A child that is being started has a copy of the descriptor for a moment:
		// closing ours would leave the lock with it.
		errs = append(errs, syscall.Flock(int(l.lock.Fd()), syscall.LOCK_UN), l.lock.Close())
	}
	return errors.Join(errs...)
}
