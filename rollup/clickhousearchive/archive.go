// Package clickhousearchive is the archive past one machine: ClickHouse.
//
// The oldest server that is tested is 18.16 (over the native protocol), the
// newest a current release (over HTTP); the same SQL runs on both. That is why
// it is plain: no CTEs, no window functions, no parameters with types, no Exec of
// INSERT … VALUES (18.16 waits for ever), and days are compared as numbers (a
// time.Time matches no Date there, silently).
//
// Nothing is ever added up on insert. A fact that arrives twice is the same row
// of a ReplacingMergeTree, which the queries read with FINAL; rollups are
// restated with a version, the highest of which counts.
//
// ClickHouse answers an INSERT before the disk has it. A server whose power may
// fail needs fsync_after_insert and fsync_part_directory among its merge_tree
// settings.
package clickhousearchive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Archive is a canyu.Archive in one ClickHouse database.
type Archive struct {
	conn driver.Conn
	now  func() time.Time
}

var _ canyu.Archive = (*Archive)(nil)

// Open connects to the server and database of a DSN as clickhouse.ParseDSN reads
// it: clickhouse://user:password@host:9000/canyu, http://host:8123/canyu. The
// database is made if it is not there, and its schema is brought up to date.
func Open(ctx context.Context, dsn string) (*Archive, error) {
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("cannot read the ClickHouse address: %w", err)
	}
	if opts.Auth.Database == "" {
		opts.Auth.Database = "default"
	}
	conn, err := connect(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("cannot open the ClickHouse archive: %w", err)
	}
	a := &Archive{conn: conn, now: time.Now}
	if err := a.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the ClickHouse archive: %w", err), conn.Close())
	}
	return a, nil
}

const unknownDatabase = 81 // ClickHouse's error code

func connect(ctx context.Context, opts *clickhouse.Options) (driver.Conn, error) {
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return nil, err
	}
	if err = conn.Exec(ctx, "SELECT 1"); err == nil {
		return conn, nil
	}
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) || exception.Code != unknownDatabase {
		return nil, errors.Join(err, conn.Close())
	}
	if err := errors.Join(conn.Close(), create(ctx, *opts)); err != nil {
		return nil, err
	}
	return clickhouse.Open(opts)
}

// create makes the database from within the one that every server has.
func create(ctx context.Context, opts clickhouse.Options) error {
	name := opts.Auth.Database
	opts.Auth.Database = "default"
	conn, err := clickhouse.Open(&opts)
	if err != nil {
		return err
	}
	return errors.Join(conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS `"+strings.ReplaceAll(name, "`", "\\`")+"`"), conn.Close())
}

// Close lets go of the connections.
func (a *Archive) Close() error { return a.conn.Close() }

// version is higher than previous also where the clock went back.
func (a *Archive) version(previous uint64) uint64 {
	return max(previous+1, uint64(a.now().UnixMicro()))
}

// newestVersion asks for the highest version of the rows that condition names,
// 0 where there are none.
func (a *Archive) newestVersion(ctx context.Context, table, condition string, args ...any) (v uint64, err error) {
	err = a.conn.QueryRow(ctx, "SELECT max(version) FROM "+table+" WHERE "+condition, args...).Scan(&v)
	return v, err
}

// insert writes one block of rows given as columns.
func (a *Archive) insert(ctx context.Context, table, columns string, values ...any) error {
	batch, err := a.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+columns+") VALUES")
	if err != nil {
		return err
	}
	for i, v := range values {
		if err := batch.Column(i).Append(v); err != nil {
			return errors.Join(fmt.Errorf("column %d of %s: %w", i+1, table, err), batch.Abort())
		}
	}
	return batch.Send()
}

// A query has a limited length: so many schools are named in one.
const schoolsPerQuery = 2000

// inSchools cuts a list of schools into conditions on column school. All schools
// are one condition that is always true, no school is no condition.
func inSchools(schools []canyu.SchoolCode) []string {
	if schools == nil {
		return []string{"1"}
	}
	var conditions []string
	for len(schools) > 0 {
		n := min(len(schools), schoolsPerQuery)
		b := []byte("school IN (")
		for i, s := range schools[:n] {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, "%d", uint64(s))
		}
		conditions, schools = append(conditions, string(append(b, ')'))), schools[n:]
	}
	return conditions
}

// uniqueVersion is a version that no other process has at the same moment.
func (a *Archive) uniqueVersion(previous uint64) uint64 {
	return a.version(previous>>12)<<12 | rand.Uint64N(1<<12)
}

func date(d canyu.Day) time.Time { return time.Unix(int64(d)*86400, 0).UTC() }
func seconds(s int64) time.Time  { return time.Unix(s, 0).UTC() }
