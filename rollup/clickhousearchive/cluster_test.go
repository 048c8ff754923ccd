package clickhousearchive_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/archivetest"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// The tests on clusters take minutes, most of it for tables: ON CLUSTER makes one after
// the other. They run when asked for, and want Debian's libzookeeper-java and a JRE:
//
//	CANYU_TEST_CLICKHOUSE_CLUSTER=1 go test -run Cluster ./rollup/clickhousearchive
func askedFor() bool { return os.Getenv("CANYU_TEST_CLICKHOUSE_CLUSTER") != "" }

// TestClusterContract: processes that begin with different replicas see the same.
func TestClusterContract(t *testing.T) {
	if !askedFor() {
		return
	}
	for _, shape := range []struct{ shards, replicas int }{{1, 2}, {2, 1}} {
		t.Run(fmt.Sprintf("%d shards of %d", shape.shards, shape.replicas), func(t *testing.T) {
			c := startCluster(t, shape.shards, shape.replicas)
			archivetest.Test(t, func(*testing.T) archivetest.Open {
				name := newDatabase()
				var opened atomic.Int64
				return func(ctx context.Context) (canyu.Archive, error) {
					first := int(opened.Add(1) % 2)
					return clickhousearchive.Open(ctx, c.dsn(name, first, 1-first))
				}
			})
		})
	}
}

// TestClusterBehind: a replica that has not fetched everything restates nothing.
func TestClusterBehind(t *testing.T) {
	if !askedFor() {
		return
	}
	c := startCluster(t, 1, 2)
	name := newDatabase()
	a, err := clickhousearchive.Open(t.Context(), c.dsn(name, 0, 1))
	check(t, err)
	defer a.Close()
	b, err := clickhousearchive.Open(t.Context(), c.dsn(name, 1, 0)) // its first is the other's second
	check(t, err)
	defer b.Close()
	expect := func(a *clickhousearchive.Archive, n int) {
		t.Helper()
		check(t, a.Restate(t.Context(), "a", []canyu.Class{class}))
		eventually(t, fmt.Sprint(n, " participants"), func() error {
			rollups, err := a.Rollups(t.Context(), "a", nil, 0, 1<<16)
			if err == nil && (len(rollups) != 1 || rollups[0].Participants != n) {
				err = fmt.Errorf("%v", rollups)
			}
			return err
		})
	}
	check(t, a.Store(t.Context(), "a", []canyu.Recorded{participant(1)}))
	expect(b, 1)

	second := c.sql(t, 1, name)
	check(t, second.Exec(t.Context(), "SYSTEM STOP FETCHES"))
	check(t, a.Store(t.Context(), "a", []canyu.Recorded{participant(2)}))
	var there uint64
	check(t, second.QueryRow(t.Context(), "SELECT count() FROM participants_local").Scan(&there))
	if there != 1 {
		t.Fatalf("the second replica has %d participants already", there)
	}
	expect(b, 2)

	// The only one that has everything is gone: no number instead of a wrong one.
	c.servers[0].kill()
	soon, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if err := b.Restate(soon, "a", []canyu.Class{class}); err == nil {
		t.Error("restated without what the other replica has")
	}
	soon, cancel = context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if _, err := b.Tallies(soon, "a", nil); err == nil {
		t.Error("counted without what the other replica has")
	}
	check(t, b.Store(t.Context(), "a", []canyu.Recorded{participant(3)}))
	if rollups, err := b.Rollups(t.Context(), "a", nil, 0, 1<<16); err != nil || len(rollups) != 1 || rollups[0].Participants < 1 {
		t.Errorf("what is read for a page: %v, %v", rollups, err)
	}

	c.servers[0].start()
	check(t, second.Exec(t.Context(), "SYSTEM START FETCHES"))
	for _, archive := range []*clickhousearchive.Archive{a, b} {
		eventually(t, "both replicas are there", func() error { return archive.Restate(t.Context(), "a", []canyu.Class{class}) })
		expect(archive, 3)
	}
}

// TestClusterServersAway: with one replica gone everything goes on; without the keeper
// nothing is written, and nothing is lost when it is back.
func TestClusterServersAway(t *testing.T) {
	if !askedFor() {
		return
	}
	c := startCluster(t, 1, 2)
	name := newDatabase()
	a, err := clickhousearchive.Open(t.Context(), c.dsn(name, 0, 1))
	check(t, err)
	defer a.Close()
	store := func(p canyu.Participant) error {
		err := a.Store(t.Context(), "a", []canyu.Recorded{participant(p)})
		if err == nil {
			err = a.Restate(t.Context(), "a", []canyu.Class{class})
		}
		return err
	}
	has := func(i, want int) {
		t.Helper()
		sql := c.sql(t, i, name)
		eventually(t, fmt.Sprintf("%d participants on server %d", want, i+1), func() error {
			var n uint64
			for _, table := range []string{"submissions_local", "rollups_local", "purges", "participants_local"} {
				if err := sql.Exec(t.Context(), "SYSTEM SYNC REPLICA "+table); err != nil {
					return err
				}
			}
			err := sql.QueryRow(t.Context(), "SELECT count() FROM participants_local FINAL").Scan(&n)
			if err == nil && int(n) != want {
				err = fmt.Errorf("%d", n)
			}
			return err
		})
	}
	check(t, store(1))
	check(t, a.Erase(t.Context(), "a", class, canyu.Student, 1))
	has(1, 0)
	check(t, store(1)) // the same rows again, which ClickHouse has seen before
	has(1, 1)
	c.servers[0].kill()
	eventually(t, "stored on the other", func() error { return store(2) })
	trouble := func(with string, servers int) {
		t.Helper()
		eventually(t, with, func() error {
			s, err := clickhousearchive.StateOf(t.Context(), c.dsn(name, 0, 1))
			if err == nil && (s.Servers != 2 || len(s.Trouble) != servers || servers > 0 && !strings.Contains(s.Trouble[0], with)) {
				err = fmt.Errorf("%+v", s)
			}
			return err
		})
	}
	trouble("refused", 1)
	late, err := clickhousearchive.Open(t.Context(), c.dsn(name, 0, 1)) // a process that starts now
	check(t, err)
	defer late.Close()
	c.servers[0].start()
	has(0, 2)
	c.servers[1].kill()
	eventually(t, "stored on the one that was away", func() error { return store(3) })
	c.servers[1].start()
	has(1, 3)

	c.zookeeper.kill()
	if err := store(4); err == nil {
		t.Error("stored without a keeper")
	}
	if rollups, err := a.Rollups(t.Context(), "a", nil, 0, 1<<16); err != nil || len(rollups) != 1 || rollups[0].Participants != 3 {
		t.Errorf("rollups without a keeper: %v, %v", rollups, err)
	}
	trouble("read-only", 2)
	c.zookeeper.start()
	eventually(t, "stored again", func() error { return store(4) })
	has(0, 4)
	has(1, 4)
	trouble("nothing", 0)
}

// TestClusterFromOneServer is what deploy/CLICKHOUSE.md says, but for Redis.
func TestClusterFromOneServer(t *testing.T) {
	if !askedFor() {
		return
	}
	c := startCluster(t, 1, 2)
	from, to := newDatabase(), newDatabase()
	old, err := clickhousearchive.Open(t.Context(), "clickhouse://default@"+c.addresses[1]+"/"+from)
	check(t, err)
	defer old.Close()
	r, err := canyu.NewRoster([]canyu.RosterEntry{{Region: 341802, School: class.School, Name: "A", Grade: 3, Class: 2, Enrolled: 50}})
	check(t, err)
	check(t, old.ImportRoster(t.Context(), r))
	check(t, old.SetEpoch(t.Context(), "a", "epoch"))
	check(t, old.Store(t.Context(), "a", []canyu.Recorded{participant(1), participant(2)}))
	check(t, old.Restate(t.Context(), "a", []canyu.Class{class}))

	a, err := clickhousearchive.Open(t.Context(), c.dsn(to, 0, 1))
	check(t, err)
	defer a.Close()
	sql := c.sql(t, 0, to)
	rows, err := c.sql(t, 1, from).Query(t.Context(), "SELECT name FROM system.tables WHERE database = currentDatabase()")
	check(t, err)
	copied := 0
	for ; rows.Next(); copied++ {
		var table string
		check(t, rows.Scan(&table))
		check(t, sql.Exec(clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_distributed_sync": 1})),
			fmt.Sprintf("INSERT INTO %s SELECT * FROM remote('%s', '%s', '%s', 'default', '')", table, c.addresses[1], from, table)))
	}
	check(t, rows.Err())
	if copied < 20 {
		t.Errorf("%d tables", copied)
	}
	epoch, err := a.Epoch(t.Context(), "a")
	check(t, err)
	roster, err := a.Roster(t.Context())
	check(t, err)
	tallies, err := a.Tallies(t.Context(), "a", nil)
	check(t, err)
	rollups, err := a.Rollups(t.Context(), "a", nil, 0, 1<<16)
	check(t, err)
	if epoch != "epoch" || fmt.Sprint(roster.Entries()) != fmt.Sprint(r.Entries()) || len(tallies) != 1 || tallies[0].Participants != 2 || fmt.Sprint(rollups) != fmt.Sprint(tallies) {
		t.Errorf("epoch %q, roster %v, tallies %v, rollups %v", epoch, roster.Entries(), tallies, rollups)
	}
}
