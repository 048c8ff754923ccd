package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/canyu/canyu"
)

const frozenColumns = `activity, region, day, revision, as_of, body`

func scanFrozen(rows interface{ Scan(...any) error }, f *canyu.Frozen) error {
	var asOf int64
	err := rows.Scan(&f.Activity, &f.Region, &f.Day, &f.Revision, &asOf, &f.Body)
	f.AsOf = seconds(asOf)
	return err
}

// Freeze implements canyu.Archive.
func (a *Archive) Freeze(ctx context.Context, f canyu.Frozen) (stored canyu.Frozen, err error) {
	if f.Body == nil {
		f.Body = []byte{}
	}
	err = a.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO frozen (`+frozenColumns+`) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			f.Activity, f.Region, int64(f.Day), f.Revision, f.AsOf.Unix(), f.Body)
		if err != nil {
			return err
		}
		return scanFrozen(tx.QueryRowContext(ctx, `SELECT `+frozenColumns+` FROM frozen
			WHERE activity = ? AND region = ? AND day = ? AND revision = ?`, f.Activity, f.Region, int64(f.Day), f.Revision), &stored)
	})
	if err != nil {
		return canyu.Frozen{}, fmt.Errorf("cannot freeze the report: %w", err)
	}
	return stored, nil
}

// Frozen implements canyu.Archive.
func (a *Archive) Frozen(ctx context.Context, activity string, region canyu.Region) ([]canyu.Frozen, error) {
	frozen, err := collect(ctx, a.read, func(rows *sql.Rows, f *canyu.Frozen) error { return scanFrozen(rows, f) },
		`SELECT `+frozenColumns+` FROM frozen WHERE activity = ?1 AND (?2 = 0 OR region = ?2)
		ORDER BY day, revision, region`, activity, region)
	if err != nil {
		return nil, fmt.Errorf("cannot read frozen reports: %w", err)
	}
	return frozen, nil
}

// SetDelivery implements canyu.Archive.
func (a *Archive) SetDelivery(ctx context.Context, d canyu.Delivery) error {
	_, err := a.write.ExecContext(ctx, `
		INSERT INTO deliveries (activity, region, day, revision, school, recipient, state, attempts, at, answer)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET state = excluded.state, attempts = excluded.attempts, at = excluded.at, answer = excluded.answer`,
		d.Activity, d.Region, int64(d.Day), d.Revision, int64(d.School), d.Recipient, string(d.State), d.Attempts, d.At.Unix(), d.Answer)
	if err != nil {
		return fmt.Errorf("cannot record the delivery: %w", err)
	}
	return nil
}

// Deliveries implements canyu.Archive.
func (a *Archive) Deliveries(ctx context.Context, activity string, region canyu.Region) ([]canyu.Delivery, error) {
	deliveries, err := collect(ctx, a.read, func(rows *sql.Rows, d *canyu.Delivery) error {
		var at int64
		err := rows.Scan(&d.Activity, &d.Region, &d.Day, &d.Revision, &d.School, &d.Recipient, &d.State, &d.Attempts, &at, &d.Answer)
		d.At = seconds(at)
		return err
	}, `SELECT activity, region, day, revision, school, recipient, state, attempts, at, answer
		FROM deliveries WHERE activity = ?1 AND (?2 = 0 OR region = ?2)
		ORDER BY day, region, revision, school, recipient`, activity, region)
	if err != nil {
		return nil, fmt.Errorf("cannot read deliveries: %w", err)
	}
	return deliveries, nil
}
