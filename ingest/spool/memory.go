package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Remember keeps a value durably under a key, in place of the one before: what a
// server has to know to take submissions while those who would tell it are away.
func (s *Spool) Remember(ctx context.Context, key string, value []byte) error {
	_, err := s.db.ExecContext(ctx, "insert or replace into memory (key, value) values (?, ?)", key, value)
	if err != nil {
		return fmt.Errorf("cannot remember the %s: %w", key, err)
	}
	return nil
}

// Recall is the value of a key, or nil.
func (s *Spool) Recall(ctx context.Context, key string) (value []byte, err error) {
	err = s.db.QueryRowContext(ctx, "select value from memory where key = ?", key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("cannot recall the %s: %w", key, err)
	}
	return value, nil
}
