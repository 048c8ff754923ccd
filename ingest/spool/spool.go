// Package spool keeps batches that the ledger could not take, durably and in order,
// until it can. It is what lets a submission be acknowledged while Redis is away.
//
// One row of a SQLite file is one batch, with its writer and sequence: given to the
// ledger again it is recorded once, also where the ledger had it already and only
// the reply was lost.
package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// ErrFull: what waits has reached the spool's limit.
var ErrFull = errors.New("the spool is full")

// ErrInUse: each server has a data folder of its own.
var ErrInUse = errors.New("another process has the spool")

const schema = `create table if not exists batches (
  position integer primary key autoincrement,
  activity text    not null,
  writer   text    not null,
  sequence integer not null,
  size     integer not null, -- participations
  payload  blob    not null  -- see package ledgerlog
) strict;
create index if not exists batches_activity on batches (activity, position);
create table if not exists memory (key text primary key, value blob not null) strict;`

// Spool is safe for many goroutines.
type Spool struct {
	db    *sql.DB
	dir   string
	lock  *os.File
	limit int64

	mu      sync.Mutex
	bytes   int64          // of payloads that wait
	waiting map[string]int // participations, by activity
}

// Entry is what waits, to be recorded as one batch.
type Entry struct {
	Position int64       // of the last that is in it
	Batch    canyu.Batch // without Epoch and After: they are the ledger's of today

	bytes int64
}

// Kept is a batch in the form in which it is kept.
type Kept struct {
	Writer   string
	Sequence uint64
	Size     int    // participations
	Payload  []byte // see package ledgerlog
}

// Open opens the spool in dir, or makes it, for one process at a time. limit is how
// many bytes of batches may wait.
func Open(ctx context.Context, dir string, limit int64) (_ *Spool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the spool: %w", err)
	}
	s := &Spool{dir: dir, limit: limit, waiting: make(map[string]int)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.lock, err = os.OpenFile(filepath.Join(dir, "spool.lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("cannot lock the spool: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%w in %s: give each server its own data folder: %w", ErrInUse, dir, err)
	}
	if err := own(filepath.Join(dir, "spool.db")); err != nil {
		return nil, fmt.Errorf("cannot make the spool: %w", err)
	}
	dsn := "file:" + filepath.Join(dir, "spool.db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)"
	if s.db, err = sql.Open("sqlite", dsn); err != nil {
		return nil, fmt.Errorf("cannot open the spool: %w", err)
	}
	s.db.SetMaxOpenConns(1) // appending and draining take turns
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("cannot open the spool: %w", err)
	}
	rows, err := s.db.QueryContext(ctx, "select activity, sum(size), sum(length(payload)) from batches group by activity")
	if err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var activity string
		var size int
		var bytes int64
		if err := rows.Scan(&activity, &size, &bytes); err != nil {
			return nil, fmt.Errorf("cannot read the spool: %w", err)
		}
		s.waiting[activity] = size
		s.bytes += bytes
	}
	return s, rows.Err()
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

// Append keeps a batch. It is durable when Append returns nil, and not there when it
// does not: ErrFull, or the disk's error.
func (s *Spool) Append(ctx context.Context, b *canyu.Batch) error {
	return s.AppendAll(ctx, b.Activity, []Kept{{b.Writer, b.Sequence, len(b.Participations), ledgerlog.Append(nil, b.Participations)}})
}

// AppendAll keeps batches of one activity, in order: all or none.
func (s *Spool) AppendAll(ctx context.Context, activity string, batches []Kept) error {
	var bytes int64
	size := 0
	for _, b := range batches {
		bytes += int64(len(b.Payload))
		size += b.Size
	}
	s.mu.Lock()
	full := s.bytes+bytes > s.limit
	if !full {
		s.bytes += bytes
	}
	s.mu.Unlock()
	if full {
		return ErrFull
	}
	err := s.insert(ctx, activity, batches)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.bytes -= bytes
		return fmt.Errorf("cannot write to the spool: %w", err)
	}
	s.waiting[activity] += size
	return nil
}

func (s *Spool) insert(ctx context.Context, activity string, batches []Kept) error {
	const statement = "insert into batches (activity, writer, sequence, size, payload) values (?, ?, ?, ?, ?)"
	if len(batches) == 1 { // is a transaction by itself
		b := batches[0]
		_, err := s.db.ExecContext(ctx, statement, activity, b.Writer, int64(b.Sequence), b.Size, b.Payload)
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, b := range batches {
		if _, err := tx.ExecContext(ctx, statement, activity, b.Writer, int64(b.Sequence), b.Size, b.Payload); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Next is what comes first of an activity: its oldest batch, joined with those behind
// it while they are the same writer's and no more than most participations. They are
// one batch then, under the newest sequence: a writer that gives a batch up may go on
// with a higher number, and whoever of it was recorded before counts once. nil where
// nothing waits.
func (s *Spool) Next(ctx context.Context, activity string, most int) (*Entry, error) {
	rows, err := s.db.QueryContext(ctx, "select position, writer, sequence, size, payload from batches where activity = ? order by position", activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	defer rows.Close()
	var e *Entry
	for rows.Next() {
		var position, sequence int64
		var size int
		var writer string
		var payload sql.RawBytes
		if err := rows.Scan(&position, &writer, &sequence, &size, &payload); err != nil {
			return nil, fmt.Errorf("cannot read the spool: %w", err)
		}
		if e == nil {
			e = &Entry{Batch: canyu.Batch{Activity: activity, Writer: writer}}
		} else if writer != e.Batch.Writer || uint64(sequence) <= e.Batch.Sequence || len(e.Batch.Participations)+size > most {
			break
		}
		rs, err := ledgerlog.Parse(payload, 0, strings.Repeat("0", size), func(n uint64) uint64 { return n })
		if err != nil {
			return nil, fmt.Errorf("cannot read batch %d of the spool: %w", position, err)
		}
		for i := range rs {
			e.Batch.Participations = append(e.Batch.Participations, rs[i].Participation)
		}
		e.Position, e.Batch.Sequence = position, uint64(sequence)
		e.bytes += int64(len(payload))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	return e, nil
}

// Remove forgets what Next gave: the ledger has it.
func (s *Spool) Remove(ctx context.Context, e *Entry) error {
	_, err := s.db.ExecContext(ctx, "delete from batches where activity = ? and position <= ?", e.Batch.Activity, e.Position)
	if err != nil {
		return fmt.Errorf("cannot clear the spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= e.bytes
	s.waiting[e.Batch.Activity] -= len(e.Batch.Participations)
	return nil
}

// Waiting is how many participations of an activity wait.
func (s *Spool) Waiting(activity string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[activity]
}

// Bytes is how much waits, and how much may.
func (s *Spool) Bytes() (waiting, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, s.limit
}

// Close lets go of the file; what waits stays in it.
func (s *Spool) Close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		// A child that is being started has a copy of the descriptor for a moment:
		// closing ours would leave the lock with it.
		errs = append(errs, syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN), s.lock.Close())
	}
	return errors.Join(errs...)
}
