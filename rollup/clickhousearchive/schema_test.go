package clickhousearchive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// TestClusterTables: every table of the migrations has its form in a cluster, with the
// same columns and keys.
func TestClusterTables(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	check(t, err)
	created, sharded := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		for statement := range strings.SplitSeq(string(text), ";\n") {
			got := clickhousearchive.ClusterTables("canyu", statement)
			if !strings.Contains(statement, "CREATE TABLE") {
				if len(got) != 1 || got[0] != statement {
					t.Errorf("%s became %s", statement, got)
				}
				continue
			}
			created++
			sharded += len(got) - 1
			_, columns, _ := strings.Cut(statement, " (")
			columns, keys, _ := strings.Cut(columns, ") ENGINE = ")
			_, keys, _ = strings.Cut(keys, "\n")
			for _, want := range []string{"ON CLUSTER `canyu` (" + columns, ") ENGINE = Replicated", keys} {
				if !strings.Contains(got[0], want) {
					t.Errorf("no %q in\n%s", want, got[0])
				}
			}
		}
	}
	if created < 20 || sharded != 7 {
		t.Errorf("%d tables, %d of them sharded", created, sharded)
	}

	got := strings.Join(clickhousearchive.ClusterTables("d", "-- Why.\nCREATE TABLE IF NOT EXISTS held (\n  a String\n) ENGINE = ReplacingMergeTree(a)\nORDER BY a"), "\n")
	if got != "CREATE TABLE IF NOT EXISTS `d`.held_local ON CLUSTER `canyu` (\n  a String\n) ENGINE = ReplicatedReplacingMergeTree("+
		"'/clickhouse/tables/{shard}/d/held', '{replica}', a)\nORDER BY a\n"+
		"CREATE TABLE IF NOT EXISTS `d`.held ON CLUSTER `canyu` AS `d`.held_local ENGINE = Distributed('canyu', 'd', 'held_local', intHash64(school))" {
		t.Errorf("got\n%s", got)
	}
	got = strings.Join(clickhousearchive.ClusterTables("d", "CREATE TABLE IF NOT EXISTS audit (a String) ENGINE = MergeTree ORDER BY a"), "\n")
	if got != "CREATE TABLE IF NOT EXISTS `d`.audit ON CLUSTER `canyu` (a String) ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/d/audit', '{shard}-{replica}') ORDER BY a" {
		t.Errorf("got\n%s", got)
	}
}
