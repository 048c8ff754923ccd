// Package embeddedarchive is the archive of one machine: a SQLite file, written
// in pure Go, that a county's whole week fits into.
//
// Several processes may have the file open: a report can be rendered beside the
// running server. SQLite lets one of them write at a time; the others wait, and
// readers wait for nobody (write-ahead log). What a method has stored when it
// returns nil is synced to the disk.
//
// The schema stands in migrations/, applied in the order of the file names. A
// file that was released is never changed; a change of schema is a new file.
package embeddedarchive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/canyu/canyu"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Archive is a canyu.Archive in one SQLite file.
type Archive struct {
	// Writes go through one connection: within the process they queue here, fairly,
	// instead of polling SQLite's lock against each other.
	write *sql.DB
	read  *sql.DB

	store  *storeStatements
	mu     sync.Mutex // held while storing; guards groups
	groups map[group]int64
}

var _ canyu.Archive = (*Archive)(nil)

// Open opens the archive in the file at path, which is made if it is not there,
// and brings its schema up to date.
func Open(ctx context.Context, path string) (*Archive, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the archive: %w", err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("cannot open the archive: %w", err)
	}
	a := &Archive{groups: make(map[group]int64)}
	if a.write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate")); err == nil {
		a.write.SetMaxOpenConns(1)
		a.read, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	}
	if err == nil {
		a.read.SetMaxOpenConns(4)
		err = patiently(ctx, func() error { return migrate(ctx, a.write) })
	}
	if err == nil {
		a.store, err = prepareStore(ctx, a.write)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the archive %s: %w", path, err), a.Close())
	}
	return a, nil
}

// create makes the file readable by its owner alone: it is about children.
// SQLite gives the files it puts beside it the same rights.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path, extra string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(10000)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(25000)&_pragma=journal_size_limit(134217728)&" + extra}
	return u.String()
}

// patiently repeats what SQLite refuses as busy without waiting for the
// busy_timeout: several processes turning a new file into a WAL at once.
func patiently(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := do()
		var busy *sqlite.Error
		if err == nil || !errors.As(err, &busy) || busy.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close lets go of the file.
func (a *Archive) Close() error {
	var errs []error
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	for _, db := range []*sql.DB{a.read, a.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// transact runs do in a transaction that holds SQLite's write lock from its
// beginning, so that it never fails half-way for another writer.
func (a *Archive) transact(ctx context.Context, do func(*sql.Tx) error) error {
	return transact(ctx, a.write, do)
}

func transact(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
