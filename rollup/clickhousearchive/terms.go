package clickhousearchive

import (
	"context"
	"fmt"

	"github.com/canyu/canyu"
)

// Terms implements canyu.Archive.
func (a *Archive) Terms(ctx context.Context, activity string) (canyu.Terms, error) {
	var identify, zone string
	server, err := a.exactOne(ctx, "terms")
	if err == nil {
		err = server.QueryRow(ctx, "SELECT argMax(identify, version), argMax(timezone, version) FROM terms WHERE activity = ?", activity).Scan(&identify, &zone)
	}
	if err != nil {
		return canyu.Terms{}, fmt.Errorf("cannot read the terms: %w", err)
	}
	return canyu.Terms{Identify: canyu.Identify(identify), Zone: zone}, nil
}

// SetTerms implements canyu.Archive.
func (a *Archive) SetTerms(ctx context.Context, activity string, t canyu.Terms) error {
	previous, err := a.newestVersion(ctx, "terms", "activity = ?", activity)
	if err == nil {
		err = a.insert(ctx, "terms", "activity, identify, timezone, version", []string{activity}, []string{string(t.Identify)}, []string{t.Zone}, []uint64{a.version(previous)})
	}
	if err != nil {
		return fmt.Errorf("cannot write the terms: %w", err)
	}
	return nil
}
