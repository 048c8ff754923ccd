package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

type restoreCommand struct {
	Flags
	Dir string `arg:"" help:"Folder that canyu backup made." type:"existingdir"`
}

// restoring is what a file is called until all of them are there.
const restoring = ".restoring"

// Run checks every file before it writes any. The files get their names last, the
// archive first: without its ledger it is refused, while a ledger without its archive
// would look like a new installation.
func (c *restoreCommand) Run(out stdout) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if s.Redis != "" {
		return errNotEmbedded
	}
	m, err := readManifest(c.Dir)
	if err != nil {
		return err
	}
	if err := vacant(s.Data); err != nil {
		return err
	}
	if err := sameKey(filepath.Join(c.Dir, "key"), s.keyPath()); err != nil {
		return err
	}
	target := func(name string) string {
		if name == "key" {
			return s.keyPath()
		}
		return filepath.Join(s.Data, filepath.FromSlash(name))
	}
	slices.SortStableFunc(m.Files, func(x, y backupFile) int { return rank(x.Name) - rank(y.Name) })
	for i, f := range m.Files {
		if err := f.put(c.Dir, target(f.Name)+restoring); err != nil {
			for _, f := range m.Files[:i+1] {
				_ = os.Remove(target(f.Name) + restoring) // the disk may be full: leave nothing in the way of another try
			}
			return fmt.Errorf("cannot restore %s: %w", f.Name, err)
		}
	}
	for _, f := range m.Files {
		path := target(f.Name)
		if err := errors.Join(os.Rename(path+restoring, path), syncPath(filepath.Dir(path))); err != nil {
			return fmt.Errorf("cannot restore %s: %w", f.Name, err)
		}
	}
	if err := syncPath(filepath.Dir(s.Data)); err != nil {
		return err
	}
	fmt.Fprintf(out, "restored into %s what canyu %s kept until %s; canyu verify compares it\n", s.Data, m.Canyu, m.Made.Format("2006-01-02 15:04:05 MST"))
	return nil
}

func rank(name string) int {
	return 1 + slices.Index([]string{"archive.db", "key", "ledger.db"}, name) // dead letters first
}

// readManifest reads what a backup says of itself, and checks that it is true.
func readManifest(dir string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, fmt.Errorf("%s is no whole backup: %w", dir, err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("cannot read the backup's manifest: %w", err)
	}
	if m.Format != backupFormat {
		return nil, fmt.Errorf("the backup has format %d, this program knows %d", m.Format, backupFormat)
	}
	var errs []error
	listed := make(map[string]bool)
	for _, f := range m.Files {
		listed[f.Name] = true
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			errs = append(errs, fmt.Errorf("%q is no file of a backup", f.Name))
		} else if err := f.copy(dir, io.Discard); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range []string{"archive.db", "ledger.db", "key"} {
		if !listed[name] {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the backup is damaged: %w", err)
	}
	return &m, nil
}

// copy copies the file to w and fails unless it is what the manifest says.
func (f backupFile) copy(dir string, w io.Writer) error {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), file)
	if err == nil && (n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256) {
		err = fmt.Errorf("%s is not what it was when the backup was made", f.Name)
	}
	return err
}

func (f backupFile) put(dir, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.copy(dir, file), file.Sync(), file.Close())
}

// sameKey refuses to put another key in the place of one that is there (key_file may
// be outside the data folder).
func sameKey(backup, path string) error {
	there, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := os.ReadFile(backup)
	if err != nil {
		return err
	}
	if !bytes.Equal(bytes.TrimSpace(there), bytes.TrimSpace(key)) {
		return fmt.Errorf("the key in %s is not the backup's: nothing is overwritten", path)
	}
	return nil
}
