package embeddedarchive_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
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

func TestSchemaFromTheFuture(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "archive.db")
	a, err := embeddedarchive.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if a, err := embeddedarchive.Open(t.Context(), path); err == nil {
		a.Close()
		t.Error("opened")
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
