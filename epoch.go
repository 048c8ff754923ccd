package canyu

import (
	"context"
	"fmt"
)

// Attach makes sure that ledger and archive belong together before anything is
// counted, and returns the epoch to record with. A new activity gets its mark; a
// ledger without the mark that the archive remembers is ErrLost (promise 3), one
// with another mark is somebody else's.
func Attach(ctx context.Context, l Ledger, a Archive, activity, fingerprint string) (string, error) {
	remembered, err := a.Epoch(ctx, activity)
	if err != nil {
		return "", fmt.Errorf("activity %s: cannot read the archive's epoch: %w", activity, err)
	}
	mark, err := l.Begin(ctx, activity, remembered, fingerprint)
	if err != nil {
		return "", fmt.Errorf("activity %s: %w", activity, err)
	}
	if remembered != "" {
		return mark, complete(ctx, l, a, activity)
	}
	// The ledger was marked first: a crash between the two leaves an empty ledger
	// with a mark, which the next start finds and goes on with.
	if err := a.SetEpoch(ctx, activity, mark); err != nil {
		return "", fmt.Errorf("activity %s: cannot write the archive's epoch: %w", activity, err)
	}
	return mark, nil
}

// complete holds the ledger against the archive, which knows only what the ledger
// once had: a ledger with fewer participants is an old one, say from a backup.
func complete(ctx context.Context, l Ledger, a Archive, activity string) error {
	rollups, err := a.Rollups(ctx, activity, nil, MinDay, MaxDay)
	if err != nil {
		return fmt.Errorf("activity %s: cannot read the archive: %w", activity, err)
	}
	archived := 0
	for _, r := range rollups {
		archived += r.Participants - r.Admitted // those are in no ledger
	}
	total, err := l.Total(ctx, activity)
	if err != nil {
		return fmt.Errorf("activity %s: cannot read the ledger: %w", activity, err)
	}
	if total >= archived {
		return nil
	}
	if err := l.Unmark(ctx, activity); err != nil {
		return fmt.Errorf("activity %s: %w", activity, err)
	}
	return fmt.Errorf("activity %s: the archive has %d participants, the ledger only %d: %w", activity, archived, total, ErrLost)
}
