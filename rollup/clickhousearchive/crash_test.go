package clickhousearchive_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// eachServer runs a test in a database of its own on every server, with a
// connection that goes round the archive.
func eachServer(t *testing.T, test func(t *testing.T, a *clickhousearchive.Archive, sql driver.Conn)) {
	t.Helper()
	t.Parallel()
	for i, server := range servers(t) {
		t.Run(fmt.Sprint("server ", i+1), func(t *testing.T) {
			t.Parallel()
			dsn := database(t, server)
			a, err := clickhousearchive.Open(t.Context(), dsn)
			check(t, err)
			opts, err := clickhouse.ParseDSN(dsn)
			check(t, err)
			sql, err := clickhouse.Open(opts)
			check(t, err)
			t.Cleanup(func() {
				check(t, sql.Close())
				check(t, a.Close())
			})
			test(t, a, sql)
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	class = canyu.Class{School: 3418020001, Grade: 3, Number: 2}
	noon  = time.Date(2017, 4, 1, 12, 0, 0, 0, time.UTC)
)

func participant(p canyu.Participant) canyu.Recorded {
	return canyu.Recorded{
		Participation: canyu.Participation{Class: class, Role: canyu.Student, Participant: p, ID: 1, At: noon, Day: canyu.DayAt(noon, time.UTC)},
		Outcome:       canyu.Outcome{Counted: true, Ordinal: uint64(p)},
	}
}

// TestClockGoesBack: what is written later counts, whatever the clock says.
func TestClockGoesBack(t *testing.T) {
	eachServer(t, func(t *testing.T, a *clickhousearchive.Archive, _ driver.Conn) {
		clock := time.Now()
		a.SetNow(func() time.Time { clock = clock.Add(-time.Hour); return clock })
		delivery := canyu.Delivery{Activity: "a", Region: 341802, Day: 17257, Revision: 1, Recipient: "a@example.org", At: noon}
		for i := range 3 {
			n := i + 1
			check(t, a.Store(t.Context(), "a", []canyu.Recorded{participant(canyu.Participant(n))}))
			check(t, a.Restate(t.Context(), "a", []canyu.Class{class}))
			rollups, err := a.Rollups(t.Context(), "a", nil, 0, 1<<16)
			if check(t, err); len(rollups) != 1 || rollups[0].Participants != n {
				t.Errorf("rollups after %d: %v", n, rollups)
			}
			check(t, a.SetEpoch(t.Context(), "a", fmt.Sprint("epoch", n)))
			if epoch, err := a.Epoch(t.Context(), "a"); err != nil || epoch != fmt.Sprint("epoch", n) {
				t.Errorf("epoch after %d: %q, %v", n, epoch, err)
			}
			delivery.Attempts = n
			check(t, a.SetDelivery(t.Context(), delivery))
			deliveries, err := a.Deliveries(t.Context(), "a", 0)
			if check(t, err); len(deliveries) != 1 || deliveries[0].Attempts != n {
				t.Errorf("deliveries after %d: %v", n, deliveries)
			}
			r, err := canyu.NewRoster([]canyu.RosterEntry{{Region: 341802, School: class.School, Name: "A", Grade: 3, Class: 2, Enrolled: n}})
			check(t, err)
			check(t, a.ImportRoster(t.Context(), r))
			got, err := a.Roster(t.Context())
			if check(t, err); len(got.Entries()) != 1 || got.Entries()[0].Enrolled != n {
				t.Errorf("roster after %d: %v", n, got.Entries())
			}
		}
	})
}

// TestFactsGone: a rollup whose facts were removed by hand becomes zero.
func TestFactsGone(t *testing.T) {
	eachServer(t, func(t *testing.T, a *clickhousearchive.Archive, sql driver.Conn) {
		check(t, a.Store(t.Context(), "a", []canyu.Recorded{participant(1)}))
		check(t, a.Restate(t.Context(), "a", []canyu.Class{class}))
		for _, table := range []string{"participants", "submissions"} {
			check(t, sql.Exec(t.Context(), "ALTER TABLE "+table+" DROP PARTITION 'a'"))
		}
		check(t, a.Restate(t.Context(), "a", []canyu.Class{class}))
		if rollups, err := a.Rollups(t.Context(), "a", nil, 0, 1<<16); err != nil || len(rollups) != 0 {
			t.Errorf("rollups without facts: %v, %v", rollups, err)
		}
	})
}

// TestImportBrokenOff: of an import that died before it was published nothing is
// seen, neither of a school that was there nor of a new one.
func TestImportBrokenOff(t *testing.T) {
	eachServer(t, func(t *testing.T, a *clickhousearchive.Archive, sql driver.Conn) {
		r, err := canyu.NewRoster([]canyu.RosterEntry{{Region: 341802, School: class.School, Name: "A", Grade: 3, Class: 2, Enrolled: 50}})
		check(t, err)
		check(t, a.ImportRoster(t.Context(), r))
		check(t, sql.Exec(t.Context(), `INSERT INTO roster (school, import, region, name, grade, class, enrolled)
			SELECT toUInt64(3418020001 + number), toUInt64(18000000000000000000), toUInt32(341802), 'B', toUInt8(4), toUInt16(1), toUInt16(60) FROM system.numbers LIMIT 2`))
		got, err := a.Roster(t.Context())
		if check(t, err); fmt.Sprint(got.Entries()) != fmt.Sprint(r.Entries()) {
			t.Errorf("got %v", got.Entries())
		}
	})
}

// TestMigrationBrokenOff: a start that died half-way is made good by the next.
func TestMigrationBrokenOff(t *testing.T) {
	t.Parallel()
	for _, server := range servers(t) {
		dsn := database(t, server)
		a, err := clickhousearchive.Open(t.Context(), dsn)
		check(t, err)
		check(t, a.Close())
		opts, err := clickhouse.ParseDSN(dsn)
		check(t, err)
		sql, err := clickhouse.Open(opts)
		check(t, err)
		for _, statement := range []string{"DROP TABLE migrations", "DROP TABLE submissions", "DROP TABLE deliveries"} {
			check(t, sql.Exec(t.Context(), statement))
		}
		a, err = clickhousearchive.Open(t.Context(), dsn)
		check(t, err)
		check(t, a.Store(t.Context(), "a", []canyu.Recorded{participant(1)}))
		check(t, a.Close())
		check(t, sql.Close())
	}
}

// A newer canyu's tables are no obstacle to going back, unless it says that they are.
func TestSchemaFromTheFuture(t *testing.T) {
	t.Parallel()
	for _, server := range servers(t) {
		dsn := database(t, server)
		f := func(newer ...string) error {
			t.Helper()
			opts, err := clickhouse.ParseDSN(dsn)
			check(t, err)
			sql, err := clickhouse.Open(opts)
			check(t, err)
			defer sql.Close()
			for _, statement := range newer {
				check(t, sql.Exec(t.Context(), statement))
			}
			a, err := clickhousearchive.Open(t.Context(), dsn)
			if err != nil {
				return err
			}
			defer a.Close()
			return a.Store(t.Context(), "a", []canyu.Recorded{participant(1)})
		}
		check(t, f())
		check(t, f("CREATE TABLE newer (a String) ENGINE = Log", "INSERT INTO migrations (version) SELECT toUInt32(99)"))
		if s, err := clickhousearchive.StateOf(t.Context(), dsn); err != nil || s.Schema != 99 || s.Since > s.Known {
			t.Errorf("tables of a newer canyu: %+v, %v", s, err)
		}
		if err := f("INSERT INTO readable (since) SELECT toUInt32(98)"); err == nil || !strings.Contains(err.Error(), "needs a program that knows version 98") {
			t.Errorf("a schema that this program cannot work with: %v", err)
		}
		if s, err := clickhousearchive.StateOf(t.Context(), dsn); err != nil || s.Since != 98 {
			t.Errorf("tables that this program cannot work with: %+v, %v", s, err)
		}
	}
}
