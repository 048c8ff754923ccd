package embeddedarchive_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/archivetest"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

func TestContract(t *testing.T) {
	t.Parallel()
	archivetest.Test(t, func(t *testing.T) archivetest.Open {
		path := filepath.Join(t.TempDir(), "学校 100% #1?", "archive.db")
		return func(ctx context.Context) (canyu.Archive, error) { return embeddedarchive.Open(ctx, path) }
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	f := func(name string, content string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := embeddedarchive.Open(t.Context(), path); err == nil {
			a.Close()
			t.Errorf("%s: opened", name)
		}
	}
	f("not a database", "网上祭英烈 is not a SQLite file, whatever its name says ...............................................")
}

// A newer canyu's tables are no obstacle to going back, unless it says that they are.
func TestSchemaFromTheFuture(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "archive.db")
	f := func(newer string) error {
		t.Helper()
		if newer != "" {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(newer); err != nil {
				t.Fatal(err)
			}
		}
		a, err := embeddedarchive.Open(t.Context(), path)
		if err != nil {
			return err
		}
		defer a.Close()
		return a.Store(t.Context(), "a", []canyu.Recorded{{
			Participation: canyu.Participation{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Participant: 1, ID: 1},
			Outcome:       canyu.Outcome{Counted: true, Ordinal: 1},
		}})
	}
	for _, newer := range []string{"", "CREATE TABLE newer (a TEXT); PRAGMA user_version = 99"} {
		if err := f(newer); err != nil {
			t.Errorf("after %q: %v", newer, err)
		}
	}
	if err := f("INSERT INTO readable VALUES (98)"); err == nil || !strings.Contains(err.Error(), "needs a program that knows version 98") {
		t.Errorf("a schema that this program cannot work with: %v", err)
	}
}

func TestFileIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "archive.db")
	a, err := embeddedarchive.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s: mode %o", path+suffix, mode)
		}
	}
}
