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
	mark, err := l.Epoch(ctx, activity)
	if err != nil {
		return "", fmt.Errorf("activity %s: cannot read the ledger's epoch: %w", activity, err)
	}
	if remembered != "" && mark != remembered {
		return "", fmt.Errorf("activity %s: the archive belongs to epoch %q, the ledger has %q: %w", activity, remembered, mark, ErrLost)
	}
	// Begin also holds the fingerprint of the key against that of the ledger.
	if mark, err = l.Begin(ctx, activity, fingerprint); err != nil {
		return "", fmt.Errorf("activity %s: %w", activity, err)
	}
	if remembered == "" {
		// The ledger was marked first: a crash between the two leaves an empty
		// ledger with a mark, which the next start finds and goes on with.
		if err := a.SetEpoch(ctx, activity, mark); err != nil {
			return "", fmt.Errorf("activity %s: cannot write the archive's epoch: %w", activity, err)
		}
	}
	return mark, nil
}
