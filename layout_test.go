package canyu_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where things are is part of how the project is read. What may import what is the
// linter's to say: see .golangci.yml.
func TestLayout(t *testing.T) {
	t.Parallel()
	folders := []string{"cmd", "deploy", "ingest", "loadtest", "reports", "rollup"}
	files := []string{"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "README.zh.md", "SECURITY.md", "go.mod", "go.sum"}
	ignored := []string{"bin", "canyu", "data"} // by .gitignore: what building and running leave behind

	top, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range top {
		name := e.Name()
		allowed := files
		if e.IsDir() {
			allowed = folders
		}
		if !slices.Contains(allowed, name) && !slices.Contains(ignored, name) && !strings.HasPrefix(name, ".") && filepath.Ext(name) != ".go" {
			t.Errorf("%s: the top level has only the folders %v and the files %v", name, folders, files)
		}
	}

	const most = 450
	err = filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch name := e.Name(); {
		case err != nil:
			return err
		case e.IsDir() && (name == "internal" || name == "pkg"):
			t.Errorf("%s: the layout has no such folder", path)
		case e.IsDir() && (name == "node_modules" || len(name) > 1 && name[0] == '.'):
			return fs.SkipDir
		case filepath.Ext(name) == ".go":
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if n := bytes.Count(source, []byte("\n")); n > most {
				t.Errorf("%s has %d lines: look for a seam before %d", path, n, most)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
