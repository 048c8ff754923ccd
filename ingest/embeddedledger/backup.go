package embeddedledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Backup copies the ledger as of one moment into path, an empty file or none, also
// beside the process that records. It returns the version of the schema. Claims are
// left out: whoever had them is not there any more when the copy is needed.
func (l *Ledger) Backup(ctx context.Context, path string) (schema int, err error) {
	if _, err := l.db.ExecContext(ctx, "vacuum into ?", path); err != nil {
		return 0, fmt.Errorf("cannot copy the ledger: %w", err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return 0, fmt.Errorf("cannot open the copy of the ledger: %w", err)
	}
	_, err = db.ExecContext(ctx, "delete from claims")
	if err == nil {
		err = db.QueryRowContext(ctx, "pragma user_version").Scan(&schema)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return 0, fmt.Errorf("cannot finish the copy of the ledger: %w", err)
	}
	return schema, nil
}

// Activities are those that were begun here.
func (l *Ledger) Activities(ctx context.Context) ([]string, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Sorted(maps.Keys(l.activities)), nil
}
