package clickhousearchive

import (
	"context"
	"fmt"
)

// Epoch implements canyu.Archive.
func (a *Archive) Epoch(ctx context.Context, activity string) (epoch string, err error) {
	server, err := a.exactOne(ctx, "epochs")
	if err == nil {
		err = server.QueryRow(ctx, "SELECT argMax(epoch, version) FROM epochs WHERE activity = ?", activity).Scan(&epoch)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the epoch: %w", err)
	}
	return epoch, nil
}

// SetEpoch implements canyu.Archive.
func (a *Archive) SetEpoch(ctx context.Context, activity, epoch string) error {
	previous, err := a.newestVersion(ctx, "epochs", "activity = ?", activity)
	if err == nil {
		err = a.insert(ctx, "epochs", "activity, epoch, version", []string{activity}, []string{epoch}, []uint64{a.version(previous)})
	}
	if err != nil {
		return fmt.Errorf("cannot write the epoch: %w", err)
	}
	return nil
}

// Begun implements canyu.Archive.
func (a *Archive) Begun(ctx context.Context) ([]string, error) {
	fail := func(err error) ([]string, error) {
		return nil, fmt.Errorf("cannot read which activities have begun: %w", err)
	}
	server, err := a.exactOne(ctx, "epochs")
	if err != nil {
		return fail(err)
	}
	rows, err := server.Query(ctx, "SELECT activity FROM epochs GROUP BY activity HAVING argMax(epoch, version) != '' ORDER BY activity")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fail(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return ids, nil
}
