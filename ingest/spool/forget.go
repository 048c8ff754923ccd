package spool

import (
	"context"
	"fmt"
)

// Forget destroys everything of an activity but its tail.
func (s *Spool) Forget(ctx context.Context, activity string) error {
	r, err := s.db.ExecContext(ctx, "delete from batches where activity = ?", activity)
	if err != nil {
		return fmt.Errorf("cannot clear the spool: %w", err)
	}
	gone, err := r.RowsAffected()
	if err != nil {
		return err
	}
	m, err := s.db.ExecContext(ctx, "delete from memory where key = ?", "activity "+activity)
	if err != nil {
		return fmt.Errorf("cannot clear the spool: %w", err)
	}
	if n, err := m.RowsAffected(); err != nil || gone+n == 0 {
		return err
	}
	if err := s.Scrub(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, activity)
	return s.db.QueryRowContext(ctx, "select coalesce(sum(length(payload)), 0) from batches").Scan(&s.bytes)
}

// Scrub leaves nothing in the file of what was removed: SQLite keeps it in free pages
// and in the write-ahead log.
func (s *Spool) Scrub(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "vacuum"); err != nil {
		return fmt.Errorf("cannot scrub the spool: %w", err)
	}
	var busy, pages, moved int
	if err := s.db.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &pages, &moved); err != nil {
		return fmt.Errorf("cannot scrub the spool: %w", err)
	}
	return nil
}
