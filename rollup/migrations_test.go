package rollup_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An update can be taken back: since an archive says which programs can work with it,
// migrations only add, or say that they do more.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*archive/migrations/*.sql")
	if err != nil || len(files) < 15 {
		t.Fatalf("%q, %v", files, err)
	}
	comment := regexp.MustCompile(`--.*`)
	more := regexp.MustCompile(`(?i)\b(ALTER|DROP|RENAME|UPDATE|DELETE|TRUNCATE|REPLACE)\b`)
	says := regexp.MustCompile(`(?i)INSERT INTO readable\b`)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sql := comment.ReplaceAllString(string(text), "")
		if filepath.Base(path) > "0008_" && more.MatchString(sql) && !says.MatchString(sql) {
			t.Errorf("%s does more than to add (%s): an older program may not work with what it leaves; see 0008_readable.sql",
				path, strings.ToUpper(more.FindString(sql)))
		}
	}
}
