package clickhousearchive

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Later is Open for a process that may start before the server: what Open does comes
// with the first call that reaches it, and until then every call is an error.
func Later(dsn string) (*Archive, error) {
	opts, name, err := options(dsn)
	if err != nil {
		return nil, err
	}
	conn, cluster, err := open(opts, name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the ClickHouse archive: %w", err)
	}
	return &Archive{now: time.Now, cluster: cluster, conn: &late{Conn: conn, dsn: dsn, turn: make(chan struct{}, 1)}}, nil
}

// late sees to the schema before the first statement.
type late struct {
	driver.Conn
	dsn  string
	done atomic.Bool
	turn chan struct{} // holds one token: one at a time opens
}

func (c *late) open(ctx context.Context) error {
	if c.done.Load() {
		return nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("cannot open the ClickHouse archive: %w", ctx.Err())
	}
	if c.done.Load() {
		return nil
	}
	a, err := Open(ctx, c.dsn)
	if err != nil {
		return err
	}
	c.done.Store(true)
	return a.Close()
}

func (c *late) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	return c.Conn.Query(ctx, query, args...)
}

func (c *late) QueryRow(ctx context.Context, query string, args ...any) driver.Row {
	if err := c.open(ctx); err != nil {
		return noRow{err}
	}
	return c.Conn.QueryRow(ctx, query, args...)
}

func (c *late) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	return c.Conn.PrepareBatch(ctx, query, opts...)
}

func (c *late) Exec(ctx context.Context, query string, args ...any) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	return c.Conn.Exec(ctx, query, args...)
}

type noRow struct{ err error }

func (r noRow) Err() error           { return r.err }
func (r noRow) Scan(...any) error    { return r.err }
func (r noRow) ScanStruct(any) error { return r.err }
