package clickhousearchive

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations that the database has not seen. ClickHouse has
// no transaction to do it in: each statement may be repeated, and a migration
// that several processes apply at once, or that one left half-way, comes right.
// The version row goes in by INSERT … SELECT, the only INSERT that Exec may send.
func (a *Archive) migrate(ctx context.Context, database string) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name
	if err != nil {
		return err
	}
	version, err := a.schema(ctx, database)
	if err != nil {
		return err
	}
	if int(version) > len(files) { // an update was taken back
		since, err := readableSince(ctx, a.conn)
		if err != nil {
			return err
		}
		if since > len(files) {
			return fmt.Errorf("the schema is version %d and needs a program that knows version %d; this one knows %d: "+
				"run the newer canyu that wrote it, or restore the backup from before the update", version, since, len(files))
		}
	}
	for i := int(version); i < len(files); i++ {
		script, err := migrations.ReadFile(files[i])
		if err != nil {
			return err
		}
		for _, statement := range strings.SplitAfter(string(script), ";\n") {
			statement = strings.TrimSuffix(strings.TrimSpace(statement), ";")
			if statement == "" {
				continue
			}
			if err := a.apply(ctx, database, statement); err != nil {
				return fmt.Errorf("cannot apply %s: %w", files[i], err)
			}
		}
		if err := a.conn.Exec(ctx, fmt.Sprintf("INSERT INTO migrations (version) SELECT toUInt32(%d)", i+1)); err != nil {
			return err
		}
	}
	return nil
}

// readableSince is the version that a program has to know to work with the schema.
func readableSince(ctx context.Context, conn driver.Conn) (int, error) {
	var since uint32
	err := conn.QueryRow(ctx, "SELECT max(since) FROM readable").Scan(&since)
	return int(since), err
}

// schema is the version that the tables have, 0 where there are none.
func (a *Archive) schema(ctx context.Context, database string) (version uint32, err error) {
	const tables = "CREATE TABLE IF NOT EXISTS migrations (version UInt32) ENGINE = ReplacingMergeTree ORDER BY version"
	if a.cluster == nil {
		err = a.patiently(ctx, tables)
	} else {
		// ON CLUSTER waits for every server; a start with one away does not.
		var there uint64
		err = a.conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'migrations'").Scan(&there)
		if err == nil && there == 0 {
			err = a.apply(ctx, database, tables)
		}
	}
	if err == nil {
		err = a.conn.QueryRow(ctx, "SELECT max(version) FROM migrations").Scan(&version)
	}
	return version, err
}

// apply does a migration's statement, in a cluster on all of it.
func (a *Archive) apply(ctx context.Context, database, statement string) error {
	statements := []string{statement}
	if a.cluster != nil {
		statements = a.cluster.tables(database, statement)
	}
	for _, statement := range statements {
		if err := a.patiently(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// patiently repeats a statement a few times: of two servers' sessions that make
// the same table in the same moment, old releases may refuse one.
func (a *Archive) patiently(ctx context.Context, statement string) (err error) {
	for try := range 5 {
		if try > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
		if err = a.conn.Exec(ctx, statement); err == nil {
			return nil
		}
	}
	return err
}
