package embeddedledger

import (
	"context"
	"slices"

	"github.com/canyu/canyu"
)

// Members implements canyu.Ledger.
func (l *Ledger) Members(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Members, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	a := l.activities[activity]
	if a == nil || a.epoch == "" {
		return nil, canyu.ErrLost
	}
	members := make([]canyu.Members, len(classes))
	for i, c := range classes {
		for _, role := range canyu.Roles {
			if s := a.sets[keyOf(c, role)]; s != nil {
				members[i][role] = slices.Clone(s.members)
			}
		}
	}
	return members, nil
}
