package embeddedarchive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/canyu/canyu"
)

// Terms implements canyu.Archive.
func (a *Archive) Terms(ctx context.Context, activity string) (t canyu.Terms, err error) {
	err = a.read.QueryRowContext(ctx, `SELECT identify, timezone FROM terms WHERE activity = ?`, activity).Scan(&t.Identify, &t.Zone)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return canyu.Terms{}, fmt.Errorf("cannot read the terms: %w", err)
	}
	return t, nil
}

// SetTerms implements canyu.Archive.
func (a *Archive) SetTerms(ctx context.Context, activity string, t canyu.Terms) error {
	_, err := a.write.ExecContext(ctx, `INSERT OR REPLACE INTO terms (activity, identify, timezone) VALUES (?, ?, ?)`, activity, string(t.Identify), t.Zone)
	if err != nil {
		return fmt.Errorf("cannot write the terms: %w", err)
	}
	return nil
}
