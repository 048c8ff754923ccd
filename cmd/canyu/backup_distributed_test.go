package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// The procedure of deploy/BACKUP.md, under load: Redis first, then ClickHouse, which
// is ahead by then; both restored elsewhere. canyu notices, and rebuilds the ledger.
func TestBackupDistributed(t *testing.T) {
	t.Parallel()
	dsns := strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(c rune) bool { return c == ' ' || c == ',' })
	if len(dsns) == 0 {
		t.Fatal("needs ClickHouse: set CANYU_TEST_CLICKHOUSE, or run make test")
	}
	for i, dsn := range dsns {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			backupDistributed(t, dsn)
		})
	}
}

func backupDistributed(t *testing.T, dsn string) {
	distributed := func(r *redisServer) pair {
		dsn := database(t, dsn)
		return pair{name: "distributed", settings: fmt.Sprintf("redis: %s\nclickhouse: %s\n", r.url(), dsn), dsn: dsn}
	}
	r := newRedis(t)
	p := distributed(r)
	s := newSite(t, p, "rebuild: auto\n")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	seats := someSeats()
	l := s.load(v, seats)
	acknowledged := func(n int) {
		t.Helper()
		v.eventually("some are acknowledged", func() error {
			if got := len(l.sofar()); got < n {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
	}
	acknowledged(60)
	before := l.sofar()
	copied := filepath.Join(t.TempDir(), "appendonlydir")
	copyFolder(t, filepath.Join(r.dir, "appendonlydir"), copied)
	inCopy := len(l.sofar()) + 4 // as many clients as may be between acknowledgement and book
	archive, err := clickhousearchive.Open(t.Context(), p.dsn)
	check(t, err)
	defer archive.Close()
	v.eventually("the archive is ahead of the copy", func() error {
		tallies, err := archive.Tallies(t.Context(), s.activity, nil)
		if n := sumOf(tallies)[0]; err == nil && n <= inCopy {
			err = fmt.Errorf("%d, copied were %d", n, inCopy)
		}
		return err
	})
	r2 := newRedis(t)
	p2 := distributed(r2)
	copyClickHouse(t, p.dsn, p2.dsn)
	l.stop()
	v.stop()

	r2.kill()
	aof := filepath.Join(r2.dir, "appendonlydir")
	check(t, os.RemoveAll(aof))
	copyFolder(t, copied, aof)
	r2.start()
	o := s.elsewhere()
	text, err := os.ReadFile(o.config)
	check(t, err)
	check(t, os.WriteFile(o.config, []byte(strings.NewReplacer(r.url(), r2.url(), p.dsn, p2.dsn).Replace(string(text))), 0o600))
	check(t, os.MkdirAll(filepath.Join(o.dir, "data"), 0o700))
	key, err := os.ReadFile(filepath.Join(s.dir, "data", "key"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(o.dir, "data", "key"), key, 0o600))

	v = o.serve()
	had := 0
	v.eventually("the ledger is rebuilt", func() error {
		had, err = o.students(v)
		if err == nil && had <= inCopy {
			err = fmt.Errorf("%d students, the archive had more than %d", had, inCopy)
		}
		for seat := range before {
			if err == nil {
				_, err = o.postSeat(v.url, seat) // 202 until the server counts again
			}
		}
		return err
	})
	if n := o.counted(v, seats, before); had+n != len(seats) {
		t.Errorf("%d restored and %d counted since, of %d", had, n, len(seats))
	}
	v.stop()
	if out := o.must("verify", "--repair"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// copyClickHouse takes a database to another name through a backup: BACKUP and
// RESTORE where the server has them, else FREEZE, copied parts and ATTACH.
func copyClickHouse(t *testing.T, from, to string) {
	t.Helper()
	options, err := clickhouse.ParseDSN(from)
	check(t, err)
	target, err := clickhouse.ParseDSN(to)
	check(t, err)
	c, err := clickhouse.Open(options)
	check(t, err)
	defer c.Close()
	exec := func(format string, args ...any) {
		t.Helper()
		if err := c.Exec(t.Context(), fmt.Sprintf(format, args...)); err != nil {
			t.Fatalf(format+": %v", append(args, err)...)
		}
	}
	db, fresh := options.Auth.Database, target.Auth.Database
	if c.Exec(t.Context(), fmt.Sprintf("BACKUP DATABASE %s TO Memory('%s')", db, fresh)) == nil {
		exec("RESTORE DATABASE %s AS %s FROM Memory('%s')", db, fresh, fresh)
		return
	}
	made, err := clickhousearchive.Open(t.Context(), to)
	check(t, err)
	check(t, made.Close())
	rows, err := c.Query(t.Context(), "SELECT name, data_path FROM system.tables WHERE database = '"+db+"' AND name != 'migrations' ORDER BY name")
	check(t, err)
	defer rows.Close()
	paths := make(map[string]string)
	for rows.Next() {
		var name, path string
		check(t, rows.Scan(&name, &path))
		paths[name] = path
	}
	check(t, rows.Err())
	for _, table := range slices.Sorted(maps.Keys(paths)) { // participants before submissions
		exec("ALTER TABLE %s FREEZE WITH NAME '%s_%s'", table, fresh, table)
		root := strings.TrimSuffix(paths[table], filepath.Join("data", db, table)+"/")
		shadow := filepath.Join(root, "shadow", fresh+"_"+table)
		parts, err := os.ReadDir(filepath.Join(shadow, "data", db, table))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // an empty table
			t.Fatal(err)
		}
		for _, part := range parts {
			copyFolder(t, filepath.Join(shadow, "data", db, table, part.Name()), filepath.Join(root, "data", fresh, table, "detached", part.Name()))
			exec("ALTER TABLE %s.%s ATTACH PART '%s'", fresh, table, part.Name())
		}
		check(t, os.RemoveAll(shadow))
	}
}
