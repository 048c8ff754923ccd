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

const schema = `create table if not exists batches (
  position integer primary key autoincrement,
  activity text    not null,
  writer   text    not null,
  sequence integer not null,
  size     integer not null, -- participations
  payload  blob    not null  -- see package ledgerlog
) strict;
create index if not exists batches_activity on batches (activity, position);`

// Spool is safe for many goroutines.
type Spool struct {
	db    *sql.DB
	lock  *os.File
	limit int64

	mu      sync.Mutex
	bytes   int64          // of payloads that wait
	waiting map[string]int // participations, by activity
}

// Entry is a batch that waits.
type Entry struct {
	Position int64
	Batch    canyu.Batch // without Epoch and After: they are the ledger's of today
}

// Open opens the spool in dir, or makes it, for one process at a time. limit is how
// many bytes of batches may wait.
func Open(ctx context.Context, dir string, limit int64) (_ *Spool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the spool: %w", err)
	}
	s := &Spool{limit: limit, waiting: make(map[string]int)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.lock, err = os.OpenFile(filepath.Join(dir, "spool.lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("cannot lock the spool: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another process has the spool in %s: give each server its own data folder: %w", dir, err)
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

// Append keeps a batch. It is durable when Append returns nil, and not there when it
// does not: ErrFull, or the disk's error.
func (s *Spool) Append(ctx context.Context, b *canyu.Batch) error {
	return s.AppendPayload(ctx, b.Activity, b.Writer, b.Sequence, len(b.Participations), ledgerlog.Append(nil, b.Participations))
}

// AppendPayload is Append for a batch whose payload has been made before.
func (s *Spool) AppendPayload(ctx context.Context, activity, writer string, sequence uint64, size int, payload []byte) error {
	n := int64(len(payload))
	s.mu.Lock()
	full := s.bytes+n > s.limit
	if !full {
		s.bytes += n
	}
	s.mu.Unlock()
	if full {
		return ErrFull
	}
	_, err := s.db.ExecContext(ctx, "insert into batches (activity, writer, sequence, size, payload) values (?, ?, ?, ?, ?)",
		activity, writer, int64(sequence), size, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.bytes -= n
		return fmt.Errorf("cannot write to the spool: %w", err)
	}
	s.waiting[activity] += size
	return nil
}

// First is the oldest batch of an activity, or nil.
func (s *Spool) First(ctx context.Context, activity string) (*Entry, error) {
	var e Entry
	var sequence int64
	var size int
	var payload []byte
	err := s.db.QueryRowContext(ctx, "select position, writer, sequence, size, payload from batches where activity = ? order by position limit 1", activity).
		Scan(&e.Position, &e.Batch.Writer, &sequence, &size, &payload)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	rs, err := ledgerlog.Parse(payload, 0, strings.Repeat("0", size), func(n uint64) uint64 { return n })
	if err != nil {
		return nil, fmt.Errorf("cannot read batch %d of the spool: %w", e.Position, err)
	}
	e.Batch.Activity, e.Batch.Sequence = activity, uint64(sequence)
	for i := range rs {
		e.Batch.Participations = append(e.Batch.Participations, rs[i].Participation)
	}
	return &e, nil
}

// Remove forgets a batch that the ledger has.
func (s *Spool) Remove(ctx context.Context, e *Entry) error {
	var bytes int64
	var size int
	err := s.db.QueryRowContext(ctx, "delete from batches where position = ? returning size, length(payload)", e.Position).Scan(&size, &bytes)
	if err != nil {
		return fmt.Errorf("cannot clear the spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= bytes
	s.waiting[e.Batch.Activity] -= size
	return nil
}

// Waiting is how many participations of an activity wait.
func (s *Spool) Waiting(activity string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[activity]
}

// Close lets go of the file; what waits stays in it.
func (s *Spool) Close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
