package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// A ledger that is away: the page tells what the archive has, and says so. Both away:
// what it told before, marked; and where it has told nothing, that it cannot. Never a
// silent zero.
func TestPagesWithoutLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archive, err := embeddedarchive.Open(t.Context(), filepath.Join(dir, "archive.db"))
	check(t, err)
	ledger, err := embeddedledger.Open(t.Context(), dir)
	check(t, err)
	t.Cleanup(func() { ledger.Close() })
	zone := time.FixedZone("CST", 8*3600)
	first := canyu.NewDay(2017, time.April, 1)
	now := first.Start(zone).Add(10 * time.Hour)
	a := &canyu.Activity{ID: "qingming", Title: canyu.Text{"zh-Hans": "网上祭英烈"}, Zone: zone, FirstDay: first, LastDay: first + 6, Steps: []string{"bow"},
		RequiredGrades: []uint8{3}, Roles: []canyu.Role{canyu.Student}, Identify: canyu.BySeat}
	roster, err := canyu.NewRoster([]canyu.RosterEntry{
		{Region: 341802, School: 3418020001, Name: "第一小学", Grade: 3, Class: 1, Enrolled: 50},
		{Region: 341821, School: 3418210001, Name: "第二小学", Grade: 3, Class: 1, Enrolled: 50},
	})
	check(t, err)
	check(t, archive.ImportRoster(t.Context(), roster))
	class := canyu.Class{School: 3418020001, Grade: 3, Number: 1}
	var facts []canyu.Recorded
	for n := range canyu.Participant(7) {
		facts = append(facts, canyu.Recorded{Participation: canyu.Participation{Class: class, Role: canyu.Student, Participant: n, ID: 1, At: now.Add(-time.Hour), Day: first},
			Outcome: canyu.Outcome{Counted: true, Ordinal: uint64(n) + 1}})
	}
	check(t, archive.Store(t.Context(), a.ID, facts))
	check(t, archive.Restate(t.Context(), a.ID, []canyu.Class{class}))
	check(t, ledger.Restore(t.Context(), a.ID, "epoch", "print", archive.Participants(t.Context(), a.ID), nil))

	get := pagesOf(&reports.Pages{Activities: []*canyu.Activity{a}, Archive: archive, Ledger: ledger, Now: func() time.Time { return now }})
	const archived, marked = "以下为已归档的数字", `data-state="archive"`
	see := func(path string, status int, has ...string) {
		t.Helper()
		got, body := get(path)
		if got != status {
			t.Errorf("%s: %d, want %d", path, got, status)
		}
		for _, want := range has {
			if no, unwanted := strings.CutPrefix(want, "!"); unwanted == strings.Contains(body, no) {
				t.Errorf("%s: %s in %s", path, want, body)
			}
		}
	}
	see("/school/3418020001", 200, `id="count">7<`, "!"+marked)
	check(t, ledger.Unmark(t.Context(), a.ID)) // as if it had lost its data
	now = now.Add(time.Minute)
	see("/school/3418020001", 200, `id="count">7<`, marked, archived, "2017-04-01T10:01:00")
	see("/bureau/341802", 200, `id="count">7<`, marked, archived)
	check(t, archive.Close())
	now = now.Add(time.Minute)
	see("/school/3418020001", 200, `id="count">7<`, marked, "2017-04-01T10:01:00") // of the minute before
	see("/bureau/341821", 503, "暂时无法读取数字", `!id="count"`)
}

// A roster that comes while somebody looks at a school: the page keeps the classes
// that its numbers are of, until it has those of the new ones.
func TestPagesAcrossARoster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archive, err := embeddedarchive.Open(t.Context(), filepath.Join(dir, "archive.db"))
	check(t, err)
	t.Cleanup(func() { archive.Close() })
	ledger, err := embeddedledger.Open(t.Context(), dir)
	check(t, err)
	t.Cleanup(func() { ledger.Close() })
	zone := time.FixedZone("CST", 8*3600)
	first := canyu.NewDay(2017, time.April, 1)
	now := first.Start(zone).Add(10 * time.Hour)
	a := &canyu.Activity{ID: "qingming", Title: canyu.Text{"zh-Hans": "网上祭英烈"}, Zone: zone, FirstDay: first, LastDay: first + 6, Steps: []string{"bow"},
		Roles: []canyu.Role{canyu.Student}, Identify: canyu.BySeat}
	check(t, ledger.Restore(t.Context(), a.ID, "epoch", "print", archive.Participants(t.Context(), a.ID), nil))
	var entries []canyu.RosterEntry
	addClass := func() {
		entries = append(entries, canyu.RosterEntry{Region: 341802, School: 3418020001, Name: "第一小学", Grade: 3, Class: uint16(len(entries) + 1), Enrolled: 50})
		roster, err := canyu.NewRoster(entries)
		check(t, err)
		check(t, archive.ImportRoster(t.Context(), roster))
	}
	get := pagesOf(&reports.Pages{Activities: []*canyu.Activity{a}, Archive: archive, Ledger: ledger, Now: func() time.Time { return now }})
	see := func(classes int) {
		t.Helper()
		for _, path := range []string{"/school/3418020001", "/school/3418020001/classes.csv"} {
			status, body := get(path)
			if has := strings.Contains(body, "3.2") || strings.Contains(body, ",3,2,"); status != 200 || has != (classes == 2) {
				t.Errorf("%s: %d, want %d classes in %s", path, status, classes, body)
			}
		}
	}
	addClass()
	see(1) // the roster is read, for ten seconds
	now = now.Add(9800 * time.Millisecond)
	see(1) // the numbers are read again, for a second
	addClass()
	now = now.Add(400 * time.Millisecond)
	see(1)
	now = now.Add(2 * time.Second)
	see(2)
}
