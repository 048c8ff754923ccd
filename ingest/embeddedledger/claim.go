package embeddedledger

import (
	"context"
	"fmt"
	"time"
)

// Claim implements canyu.Ledger. Claims are never held in memory, so a process
// beside the one that records takes its turn like any other.
func (l *Ledger) Claim(ctx context.Context, duty, holder string, ttl time.Duration) (bool, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := time.Now()
	r, err := l.conn.ExecContext(ctx, `insert into claims (duty, holder, until) values (?1, ?2, ?3)
		on conflict do update set holder = excluded.holder, until = excluded.until
		where claims.holder = ?2 or claims.until < ?4`, duty, holder, now.Add(ttl).UnixMilli(), now.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("cannot claim %s: %w", duty, err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Release implements canyu.Ledger.
func (l *Ledger) Release(ctx context.Context, duty, holder string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.conn.ExecContext(ctx, "delete from claims where duty = ? and holder = ?", duty, holder); err != nil {
		return fmt.Errorf("cannot release %s: %w", duty, err)
	}
	return nil
}
