package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/rollup"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

type backupCommand struct {
	Flags
	Dir string `arg:"" help:"Folder to make. It holds the key: keep it like the data folder."`
}

// manifest is what a backup says of itself. It is written last: a folder without one
// is no backup.
type manifest struct {
	Format  int            `json:"format"`
	Canyu   string         `json:"canyu"`
	Made    time.Time      `json:"made"`
	Config  string         `json:"config,omitempty"` // where canyu.yaml was: it is not in here
	Schemas map[string]int `json:"schemas"`
	Files   []backupFile   `json:"files"`
}

type backupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const (
	backupFormat = 1
	manifestName = "manifest.json"
)

var errNotEmbedded = errors.New("this is for the embedded engines; for Redis and ClickHouse see deploy/BACKUP.md")

// Run makes the backup under another name first, so that DIR is whole or not there.
func (c *backupCommand) Run(ctx context.Context, out stdout) (err error) {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if s.Redis != "" {
		return errNotEmbedded
	}
	if !exists(filepath.Join(s.Data, "ledger.db")) {
		return fmt.Errorf("nothing to back up: %s has no ledger", s.Data)
	}
	if err := vacant(c.Dir); err != nil {
		return err
	}
	e, err := s.engines(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	making, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*") // for its owner alone
	if err != nil {
		return fmt.Errorf("cannot make the backup: %w", err)
	}
	defer os.RemoveAll(making)
	m := &manifest{Format: backupFormat, Canyu: version, Made: time.Now().UTC().Truncate(time.Second), Schemas: make(map[string]int)}
	if m.Config = cmp.Or(c.Config, "canyu.yaml"); exists(m.Config) {
		if m.Config, err = filepath.Abs(m.Config); err != nil {
			return err
		}
	} else {
		m.Config = ""
	}
	if err := s.backup(ctx, e, making, m); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(making, dir), syncPath(filepath.Dir(dir))); err != nil {
		return fmt.Errorf("cannot finish the backup: %w", err)
	}
	size := int64(0)
	for _, f := range m.Files {
		size += f.Size
	}
	fmt.Fprintf(out, "backup of %s in %s: %d files, %d bytes\n", s.Data, c.Dir, len(m.Files), size)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// vacant makes sure that nothing is overwritten.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: nothing is overwritten", dir)
	}
	return nil
}

// backup copies everything into dir. While it does, no worker carries anything from
// ledger to archive, so that both copies are of one moment as far as they concern
// each other: whoever the archive has is in the ledger, and whoever it has not is in
// the ledger's log. The ledger goes first all the same. Should a worker be at it
// against the rule, then the archive is ahead, which the next start notices and
// mends; the other way round, the log would have forgotten what no archive has.
func (s *settings) backup(ctx context.Context, e *engines, dir string, m *manifest) error {
	ledger, archive := e.ledger.(*embeddedledger.Ledger), e.archive.(*embeddedarchive.Archive)
	activities, err := ledger.Activities(ctx)
	if err != nil {
		return err
	}
	err = rollup.Hold(ctx, ledger, activities, func(ctx context.Context) error {
		for _, db := range []struct {
			name string
			copy func(context.Context, string) (int, error)
		}{{"ledger.db", ledger.Backup}, {"archive.db", archive.Backup}} {
			path := filepath.Join(dir, db.name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			schema, err := db.copy(ctx, path)
			if err != nil {
				return err
			}
			m.Schemas[db.name] = schema
			if err := m.add(dir, db.name); err != nil {
				return err
			}
		}
		letters, err := filepath.Glob(filepath.Join(s.deadLetters(), "*.ndjson"))
		if err != nil {
			return err
		}
		for _, path := range letters {
			if err := m.copy(path, dir, filepath.Join(filepath.Base(s.deadLetters()), filepath.Base(path))); err != nil {
				return err
			}
		}
		return m.copy(s.keyPath(), dir, "key")
	})
	if err != nil {
		return fmt.Errorf("cannot make the backup: %w", err)
	}
	// A ledger that is being rebuilt has one epoch here and another there.
	for _, a := range activities {
		mark, err := ledger.Epoch(ctx, a)
		if err != nil {
			return err
		}
		if remembered, err := archive.Epoch(ctx, a); err != nil {
			return err
		} else if remembered != "" && remembered != mark {
			return fmt.Errorf("activity %s: the ledger has lost its data, or is being rebuilt: back up when it is whole", a)
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, manifestName)
	return errors.Join(os.WriteFile(path, append(text, '\n'), 0o600), syncPath(path), syncPath(dir))
}

// keyPath is where the secret of the participants is.
func (s *settings) keyPath() string {
	if s.KeyFile != "" {
		return s.KeyFile
	}
	return filepath.Join(s.Data, "key")
}

// add lists a file of the backup and makes it durable.
func (m *manifest) add(dir, name string) error {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	m.Files = append(m.Files, backupFile{filepath.ToSlash(name), size, hex.EncodeToString(sum.Sum(nil))})
	return errors.Join(f.Sync(), syncPath(filepath.Dir(path)))
}

func (m *manifest) copy(from, dir, name string) error {
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		return err
	}
	return m.add(dir, name)
}

// syncPath makes a file, or the names in a folder, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
