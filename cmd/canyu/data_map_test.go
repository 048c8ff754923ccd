package main

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dataMap is deploy/DATA.md: the rows of a section, as what stands in backticks.
func dataMap(t *testing.T) func(section string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/DATA.md")
	check(t, err)
	quoted := regexp.MustCompile("`([^`]+)`")
	return func(section string) (rows [][]string) {
		t.Helper()
		_, rest, found := strings.Cut(string(text), "\n### "+section+"\n")
		if !found {
			t.Fatalf("DATA.md has no section %s", section)
		}
		rest, _, _ = strings.Cut(rest, "\n### ")
		for line := range strings.Lines(rest) {
			if !strings.HasPrefix(line, "| `") {
				continue
			}
			var row []string
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				row = append(row, m[1])
			}
			rows = append(rows, row)
		}
		return rows
	}
}

// Every table and column, every key of Redis and every file is in the data map, and
// what is in the map is there.
func TestDataMap(t *testing.T) {
	t.Parallel()
	section := dataMap(t)
	tables := func(t *testing.T, name string, real map[string][]string) {
		t.Helper()
		told := make(map[string][]string)
		for _, row := range section(name) {
			told[row[0]] = slices.Sorted(slices.Values(row[1:]))
		}
		for table, columns := range real {
			if want := slices.Sorted(slices.Values(columns)); !slices.Equal(told[table], want) {
				t.Errorf("DATA.md, %s, table %s: it tells %q, the columns are %q", name, table, told[table], want)
			}
		}
		for table := range told {
			if real[table] == nil {
				t.Errorf("DATA.md, %s: there is no table %s", name, table)
			}
		}
	}
	eachOwn(t, func(t *testing.T, p pair, r *redisServer) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		s.seats(v, 1, 3, 201)
		if r == nil {
			for _, file := range []string{"archive.db", "ledger.db"} {
				tables(t, file, sqliteTables(t, filepath.Join(s.dir, "data", file)))
			}
		} else {
			all := make(search)
			tables(t, "ClickHouse", all.clickhouse(t, "", p.dsn))
			tables(t, "spool/spool.db", sqliteTables(t, filepath.Join(s.dir, "data", "spool", "spool.db")))
			c := r.client()
			defer c.Close()
			s.patterns(t, "Redis", section("Redis"), all.redis(t, "", c), regexp.MustCompile(`ACTIVITY|WRITER|SCHOOL|GRADE|CLASS|ROLE|DUTY`))
		}
		var files []string
		data := filepath.Join(s.dir, "data")
		check(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				relative, _ := filepath.Rel(data, path)
				files = append(files, relative)
			}
			return err
		}))
		s.patterns(t, "Files of the data folder", section("Files of the data folder"), files, regexp.MustCompile(`ACTIVITY|N\b`))
		v.stop()
	})
}

// patterns fails for what no row tells.
func (s *site) patterns(t *testing.T, name string, rows [][]string, real []string, open *regexp.Regexp) {
	t.Helper()
	var known []*regexp.Regexp
	for _, row := range rows {
		for _, pattern := range row {
			known = append(known, regexp.MustCompile("^"+open.ReplaceAllString(regexp.QuoteMeta(pattern), `.+`)+"$"))
		}
	}
	for _, one := range real {
		if !slices.ContainsFunc(known, func(k *regexp.Regexp) bool { return k.MatchString(one) }) {
			t.Errorf("DATA.md, %s: nothing is told of %s", name, one)
		}
	}
}

func sqliteTables(t *testing.T, path string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	check(t, err)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'")
	check(t, err)
	defer rows.Close()
	tables := make(map[string][]string)
	for rows.Next() {
		var table, column string
		check(t, rows.Scan(&table, &column))
		tables[table] = append(tables[table], column)
	}
	check(t, rows.Err())
	return tables
}
