package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// vandal changes what an installation has kept, behind its back.
type vandal struct {
	s    *site
	pair pair
}

func (v vandal) redis(do func(ctx context.Context, c *redis.Client) error) {
	v.s.t.Helper()
	options, err := redis.ParseURL(strings.Fields(v.pair.settings)[1])
	check(v.s.t, err)
	c := redis.NewClient(options)
	defer c.Close()
	check(v.s.t, do(v.s.t.Context(), c))
}

// sql changes rows of an embedded engine's file.
func (v vandal) sql(file, statement string, args ...any) {
	v.s.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(v.s.dir, "data", file))
	check(v.s.t, err)
	defer db.Close()
	r, err := db.ExecContext(v.s.t.Context(), statement, args...)
	check(v.s.t, err)
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		v.s.t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

// forget takes one student of class 1(1) out of the ledger and returns what puts
// them back.
func (v vandal) forget() (mend func()) {
	v.s.t.Helper()
	if v.pair.dsn != "" {
		key := "canyu{" + v.s.activity + "/0}3418020001/1/1/1"
		var member string
		v.redis(func(ctx context.Context, c *redis.Client) (err error) {
			if member, err = c.SRandMember(ctx, key).Result(); err == nil {
				err = c.SRem(ctx, key, member).Err()
			}
			return err
		})
		return func() {
			v.redis(func(ctx context.Context, c *redis.Client) error { return c.SAdd(ctx, key, member).Err() })
		}
	}
	const where = " where school = 3418020001 and grade = 1 and class = 1 and role = 1"
	db, err := sql.Open("sqlite", filepath.Join(v.s.dir, "data", "ledger.db"))
	check(v.s.t, err)
	var members []byte
	check(v.s.t, db.QueryRow("select members from sets"+where).Scan(&members))
	check(v.s.t, db.Close())
	v.sql("ledger.db", "update sets set members = ?"+where, members[8:])
	return func() { v.sql("ledger.db", "update sets set members = ?"+where, members) }
}

// inflate adds one to the rollup of class 1(1).
func (v vandal) inflate() {
	v.s.t.Helper()
	if v.pair.dsn == "" {
		v.sql("archive.db", `update rollups set participants = participants + 1
			where class_role = (select id from groups where school = 3418020001 and grade = 1 and class = 1 and role = 1)`)
		return
	}
	options, err := clickhouse.ParseDSN(v.pair.dsn)
	check(v.s.t, err)
	c, err := clickhouse.Open(options)
	check(v.s.t, err)
	defer c.Close()
	check(v.s.t, c.Exec(v.s.t.Context(), `INSERT INTO rollups (activity, school, grade, class, role, day, participants, submissions, version)
		SELECT activity, school, grade, class, role, day, participants + 1, submissions, version + 1 FROM rollups FINAL
		WHERE activity = '`+v.s.activity+`' AND school = 3418020001 AND grade = 1 AND class = 1 AND role = 1`))
}

// invent stores a student of class 1(1) in the archive whom the ledger never saw.
func (v vandal) invent() {
	v.s.t.Helper()
	_, e, err := (&Flags{Config: v.s.config}).open(v.s.t.Context())
	check(v.s.t, err)
	defer e.close()
	now := time.Now()
	check(v.s.t, e.archive.Store(v.s.t.Context(), v.s.activity, []canyu.Recorded{{
		Participation: canyu.Participation{Class: canyu.Class{School: 3418020001, Grade: 1, Number: 1}, Role: canyu.Student, Participant: 4711, ID: 1,
			At: now, Day: canyu.DayAt(now, time.FixedZone("", 8*3600))},
		Outcome: canyu.Outcome{Counted: true, Ordinal: 4711},
	}}))
}

// What is planted by hand in ledger, archive and rollups is found, told by class, and
// mended where rollups can mend it.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		for seat := 1; seat <= 3; seat++ {
			for _, school := range []string{"3418020001", "3418210001"} {
				if status, body := v.post("application/json", s.submission(map[string]any{"school": school, "grade": 1, "class": 1, "seat": seat})); status != 201 {
					t.Fatalf("%d %s", status, body)
				}
			}
		}
		v.stop()
		agrees := func(args ...string) {
			t.Helper()
			if out := s.must(append([]string{"verify"}, args...)...); !strings.Contains(out, "agree") {
				t.Errorf("verify %v: %s", args, out)
			}
		}
		differs := func(want string, args ...string) {
			t.Helper()
			if _, err := s.canyu(append([]string{"verify"}, args...)...); !errors.Is(err, errQuiet) || !strings.Contains(err.Error(), want) {
				t.Errorf("verify %v: want exit 1 and %q, got %v", args, want, err)
			}
		}
		agrees()
		agrees("--region", "341802")
		agrees("--repair")
		if _, err := s.canyu("verify", "--region", "110000"); err == nil || errors.Is(err, errQuiet) {
			t.Errorf("a region without schools: %v", err)
		}

		vandal := vandal{s, p}
		mend := vandal.forget()
		found := "class 3418020001 1(1), student: ledger 2, archive 3, rollups 3"
		differs(found)
		differs(found, "--region", "341802")
		differs(found, "--region", "340000")
		differs("rollups cannot mend", "--repair")
		agrees("--region", "341821")
		mend()
		agrees()

		vandal.inflate()
		found = "class 3418020001 1(1), student: ledger 3, archive 3, rollups 4"
		differs(found)
		agrees("--region", "341821", "--repair")
		differs(found, "--region", "341802")
		agrees("--region", "341802", "--repair")
		agrees()

		vandal.invent()
		differs("class 3418020001 1(1), student: ledger 3, archive 4, rollups 3")
		differs("class 3418020001 1(1), student: ledger 3, archive 4, rollups 4", "--repair")
	})
}
