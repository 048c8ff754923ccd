package embeddedarchive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Epoch implements canyu.Archive.
func (a *Archive) Epoch(ctx context.Context, activity string) (epoch string, err error) {
	err = a.read.QueryRowContext(ctx, `SELECT epoch FROM epochs WHERE activity = ?`, activity).Scan(&epoch)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("cannot read the epoch: %w", err)
	}
	return epoch, nil
}

// SetEpoch implements canyu.Archive.
func (a *Archive) SetEpoch(ctx context.Context, activity, epoch string) error {
	_, err := a.write.ExecContext(ctx, `INSERT INTO epochs (activity, epoch) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET epoch = excluded.epoch`, activity, epoch)
	if err != nil {
		return fmt.Errorf("cannot write the epoch: %w", err)
	}
	return nil
}

// Begun implements canyu.Archive.
func (a *Archive) Begun(ctx context.Context) ([]string, error) {
	ids, err := collect(ctx, a.read, func(rows *sql.Rows, id *string) error { return rows.Scan(id) },
		`SELECT activity FROM epochs WHERE epoch <> '' ORDER BY activity`)
	if err != nil {
		return nil, fmt.Errorf("cannot read which activities have begun: %w", err)
	}
	return ids, nil
}
