package clickhousearchive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// State is what a server says of itself.
type State struct {
	Version string
	Now     time.Time // its clock, in whole seconds
	Schema  int       // version of the tables, 0: none yet
	Known   int       // to which Open brings them
	Since   int       // of tables that are newer than Known: what a program has to know
	Free    int64     // bytes of its disk, 0 where it does not say
	Servers int       // of a cluster, as the address names them; else 0
	Trouble []string  // what is wrong with some of them
}

// StateOf asks the server of a DSN, and changes nothing.
func StateOf(ctx context.Context, dsn string) (s State, err error) {
	opts, name, err := options(dsn)
	if err != nil {
		return s, fmt.Errorf("clickhouse: %w", err)
	}
	conn, cluster, err := open(opts, name)
	if err != nil {
		return s, fmt.Errorf("clickhouse: %w", err)
	}
	defer func() { conn.Close() }()
	const ask = "SELECT version(), toInt64(toUnixTimestamp(now()))"
	var now int64
	err = conn.QueryRow(ctx, ask).Scan(&s.Version, &now)
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == unknownDatabase { // Open makes it
		conn.Close()
		opts.Auth.Database = "default"
		if conn, cluster, err = open(opts, name); err == nil {
			err = conn.QueryRow(ctx, ask).Scan(&s.Version, &now)
		}
	}
	if err != nil {
		return s, fmt.Errorf("cannot reach clickhouse: %w", err)
	}
	s.Now = time.Unix(now, 0)
	if cluster != nil {
		s.Servers, s.Trouble = len(cluster.servers), cluster.trouble(ctx)
	}
	var tables uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'migrations'").Scan(&tables); err != nil {
		return s, fmt.Errorf("cannot reach clickhouse: %w", err)
	}
	if tables > 0 {
		var version uint32
		if err := conn.QueryRow(ctx, "SELECT max(version) FROM migrations").Scan(&version); err != nil {
			return s, fmt.Errorf("cannot read the schema: %w", err)
		}
		s.Schema = int(version)
	}
	var free uint64 // releases before 19.15 have no such table
	if conn.QueryRow(ctx, "SELECT sum(free_space) FROM system.disks").Scan(&free) == nil {
		s.Free = int64(free)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if s.Known = len(files); err == nil && s.Schema > s.Known {
		s.Since, err = readableSince(ctx, conn)
	}
	return s, err
}
