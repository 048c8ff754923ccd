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
// In a cluster the same migrations make replicated tables (schema.go), and reads that
// decide something are of a replica that has everything (cluster.go).
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
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Archive is a canyu.Archive in one ClickHouse database.
type Archive struct {
	conn    driver.Conn
	cluster *cluster // nil: one server
	now     func() time.Time
	roster  atomic.Pointer[publishedRoster] // as it was read last
}

var _ canyu.Archive = (*Archive)(nil)

// Open connects to the server and database of a DSN as clickhouse.ParseDSN reads
// it: clickhouse://user:password@host:9000/canyu, http://host:8123/canyu. With
// ?cluster=NAME its hosts are servers of that cluster, at least one of each shard. The
// database is made if it is not there, and its schema is brought up to date.
func Open(ctx context.Context, dsn string) (*Archive, error) {
	opts, name, err := options(dsn)
	if err != nil {
		return nil, err
	}
	conn, cluster, err := connect(ctx, opts, name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the ClickHouse archive: %w", err)
	}
	a := &Archive{conn: conn, cluster: cluster, now: time.Now}
	if err := a.migrate(ctx, opts.Auth.Database); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the ClickHouse archive: %w", err), conn.Close())
	}
	return a, nil
}

const unknownDatabase = 81 // ClickHouse's error code

func connect(ctx context.Context, opts *clickhouse.Options, name string) (driver.Conn, *cluster, error) {
	conn, cluster, err := open(opts, name)
	if err != nil {
		return nil, nil, err
	}
	if err = conn.Exec(ctx, "SELECT 1"); err == nil {
		return conn, cluster, nil
	}
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) || exception.Code != unknownDatabase {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if err := errors.Join(conn.Close(), create(ctx, *opts, name)); err != nil {
		return nil, nil, err
	}
	return open(opts, name)
}

// create makes the database from within the one that every server has.
func create(ctx context.Context, opts clickhouse.Options, cluster string) error {
	statement := "CREATE DATABASE IF NOT EXISTS `" + strings.ReplaceAll(opts.Auth.Database, "`", "\\`") + "`"
	if cluster != "" {
		statement += " ON CLUSTER `" + cluster + "`"
	}
	opts.Auth.Database = "default"
	conn, err := clickhouse.Open(&opts)
	if err != nil {
		return err
	}
	return errors.Join(conn.Exec(ctx, statement), conn.Close())
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
func (a *Archive) insert(ctx context.Context, table, columns string, values ...any) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, release := untilReleased(ctx)
	defer func() {
		release()
		if err != nil && ctx.Err() != nil {
			err = ctx.Err() // within knows no deadline, only that it was cancelled
		}
	}()
	batch, err := a.conn.PrepareBatch(within, "INSERT INTO "+table+" ("+columns+") VALUES")
	if err != nil {
		return err
	}
	for i, v := range values {
		if err := batch.Column(i).Append(v); err != nil {
			return errors.Join(fmt.Errorf("column %d of %s: %w", i+1, table, err), batch.Abort())
		}
	}
	if err := batch.Send(); err != nil {
		return err
	}
	a.copied(ctx, table)
	return nil
}

// untilReleased ends with ctx, and no more once it is released. clickhouse-go 2.50 may
// close the connection of a batch whose context ends soon after Send, when the pool has
// given it to somebody else already (its pull request 2032).
func untilReleased(ctx context.Context) (context.Context, func() bool) {
	within, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return within, context.AfterFunc(ctx, cancel)
}

// exact is where to read what something is decided by: connections, in a cluster one to
// each shard, to servers that have all that was acknowledged, with local names. One is
// enough for tables that every server has.
func (a *Archive) exact(ctx context.Context, tables ...string) ([]driver.Conn, error) {
	if l, ok := a.conn.(*late); ok {
		if err := l.open(ctx); err != nil {
			return nil, err
		}
	}
	if a.cluster == nil {
		return []driver.Conn{a.conn}, nil
	}
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = a.local(tables[i])
	}
	servers, err := a.cluster.exact(ctx, names...)
	if err == nil && !slices.ContainsFunc(tables, func(table string) bool { return bySchool[table] }) {
		servers = servers[:1]
	}
	return servers, err
}

// exactOne is exact for tables that every server has.
func (a *Archive) exactOne(ctx context.Context, tables ...string) (driver.Conn, error) {
	servers, err := a.exact(ctx, tables...)
	if err != nil {
		return nil, err
	}
	return servers[0], nil
}

// copied waits until what was written is on every server of a cluster that is there.
func (a *Archive) copied(ctx context.Context, tables ...string) {
	if a.cluster == nil {
		return
	}
	for _, table := range tables {
		a.cluster.copied(ctx, a.local(table))
	}
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
