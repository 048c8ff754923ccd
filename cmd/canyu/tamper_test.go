package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu"
)

// rewrite makes a table anew with one column of the rows of a condition, or without
// those rows: what somebody with the database's password could do. The archive must
// not be open.
func (v vandal) rewrite(table, column, expression, condition string) {
	v.s.t.Helper()
	ctx := context.Background()
	if v.pair.dsn == "" {
		db, err := sql.Open("sqlite", filepath.Join(v.s.dir, "data", "archive.db"))
		check(v.s.t, err)
		defer db.Close()
		statement := fmt.Sprintf("update %s set %s = %s where %s", table, column, expression, condition)
		if column == "" {
			statement = fmt.Sprintf("delete from %s where %s", table, condition)
		}
		for _, drop := range []string{"drop trigger if exists audit_stays", "drop trigger if exists audit_is_kept"} {
			_, err := db.ExecContext(ctx, drop)
			check(v.s.t, err)
		}
		r, err := db.ExecContext(ctx, statement)
		check(v.s.t, err)
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			v.s.t.Fatalf("%s: %d rows, %v", statement, n, err)
		}
		return
	}
	options, err := clickhouse.ParseDSN(v.pair.dsn)
	check(v.s.t, err)
	c, err := clickhouse.Open(options)
	check(v.s.t, err)
	defer c.Close()
	rows, err := c.Query(ctx, "select name from system.columns where database = '"+options.Auth.Database+"' and table = '"+table+"'")
	check(v.s.t, err)
	var names, values []string
	for rows.Next() {
		var name string
		check(v.s.t, rows.Scan(&name))
		names = append(names, name)
		value := name
		if name == column {
			value = fmt.Sprintf("if(%s, %s, %s)", condition, expression, name)
		}
		values = append(values, value)
	}
	check(v.s.t, rows.Err())
	where := "1"
	if column == "" {
		where = "not (" + condition + ")"
	}
	var n uint64
	check(v.s.t, c.QueryRow(ctx, "select count() from "+table+" where "+condition).Scan(&n))
	if n != 1 {
		v.s.t.Fatalf("%s where %s: %d rows", table, condition, n)
	}
	fresh := table + "_" + unique()
	for _, statement := range []string{
		"create table " + fresh + " as " + table,
		"insert into " + fresh + " (" + strings.Join(names, ", ") + ") select " + strings.Join(values, ", ") + " from " + table + " where " + where,
		"rename table " + table + " to " + fresh + "_old, " + fresh + " to " + table,
	} {
		check(v.s.t, c.Exec(ctx, statement))
	}
}

// replayed records submissions of a class at their own times.
func (s *site) replayed(lines ...string) {
	s.t.Helper()
	var text bytes.Buffer
	for _, line := range lines {
		fmt.Fprintf(&text, "%s\n", line)
	}
	s.must("replay", s.file(unique()+".ndjson", text.Bytes()))
}

// at is a submission at an instant.
func (s *site) at(at string, fields map[string]any) string {
	m := map[string]any{"at": at}
	for k, v := range fields {
		m[k] = v
	}
	return s.submission(m)
}

// recorded is a site with three students of class 1(1), whose report was sent.
func recorded(t *testing.T, p pair) *site {
	s := newSite(t, p, "", "2017-04-01", "2017-04-07")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	var lines []string
	for seat := 1; seat <= 3; seat++ {
		lines = append(lines, s.at("2017-04-01T10:00:00+08:00", map[string]any{"grade": 1, "class": 1, "seat": seat}))
	}
	s.replayed(lines...)
	s.must("report", "send", "--date", "2017-04-01")
	return s
}

func (s *site) differs(want string, args ...string) {
	s.t.Helper()
	if _, err := s.canyu(args...); !errors.Is(err, errQuiet) || !strings.Contains(err.Error(), want) {
		s.t.Errorf("%v: want exit 1 and %q, got %v", args, want, err)
	}
}

// What somebody changes in the archive's database is found: a participant, though
// there are as many; a report, a signature; a line of the audit log, its end.
func TestTampering(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := recorded(t, p)
		v := vandal{s, p}
		out := s.must("verify")
		for _, want := range []string{"agree", "frozen reports as they were signed: 1", "audit log: unbroken, 3 lines"} {
			if !strings.Contains(out, want) {
				t.Errorf("verify does not say %q:\n%s", want, out)
			}
		}
		s.must("audit", "--verify")

		members := "(select min(participant) from participants)"
		v.rewrite("participants", "participant", "participant + 1", "participant = "+members)
		s.differs("class 3418020001 1(1), student: ledger 3, archive 3, rollups 3, but the participants are others", "verify")
		back := "participant - 1"
		if p.dsn != "" {
			back = "toUInt64(participant - 1)"
		}
		v.rewrite("participants", "participant", back, "participant = "+members)
		s.must("verify")

		frozen := "frozen"
		replace := func(from, to string) string {
			return fmt.Sprintf("cast(replace(cast(body as text), '%s', '%s') as blob)", from, to)
		}
		if p.dsn != "" {
			frozen = "frozen_reports"
			replace = func(from, to string) string { return fmt.Sprintf("replaceAll(body, '%s', '%s')", from, to) }
		}
		v.rewrite(frozen, "body", replace(`"student":3}`, `"student":4}`), "revision = 1")
		found := "report of 341800 for 2017-04-01, revision 1 is not as it was signed"
		s.differs(found, "verify")
		s.differs(found, "verify", "--region", "341800")
		s.must("verify", "--region", "341802") // no report of its own
		s.differs("报告与签名不符", "explain", "--school", "3418020001", "--lang", "zh-Hans")
		v.rewrite(frozen, "body", replace(`"student":4}`, `"student":3}`), "revision = 1")
		s.must("verify")

		signatures := "signatures"
		if p.dsn != "" {
			signatures = "report_signatures"
		}
		v.rewrite(signatures, "", "", "revision = 1")
		s.differs("has no signature", "verify")
		if out := s.must("report", "sign"); !strings.Contains(out, "1 reports signed") { // and the audit log keeps who did
			t.Error(out)
		}
		if out := s.must("report", "sign"); !strings.Contains(out, "0 reports signed") {
			t.Error(out)
		}
		s.must("verify")

		v.rewrite("audit", "what", "'wall.show'", "sequence = 1")
		s.differs("audit log: line 1 is not as it was written", "verify")
		s.differs("audit log: line 1 is not as it was written", "audit", "--verify")
		v.rewrite("audit", "what", "'roster.import'", "sequence = 1")
		s.must("verify")
		v.rewrite("audit", "", "", "sequence = 4")
		s.differs("the log ends with line 3, but this machine has seen line 4", "verify")
		check(t, os.Remove(filepath.Join(s.dir, "data", "audit.head"))) // another machine, or somebody was here too
		s.must("verify")
		v.rewrite("audit", "", "", "sequence = 3")
		s.differs("the log ends with line 2, but the report of 341800 for 2017-04-01, revision 1 has seen line 3", "verify")
		v.rewrite("audit", "", "", "sequence = 2")
		v.rewrite("audit", "", "", "sequence = 1")
		s.differs("the log ends with line 0", "verify")

		v.rewrite("submissions", "", "", "participant = (select min(participant) from submissions)")
		s.differs("class 3418020001 1(1), student: ledger 3, archive 3, rollups 3, days or submissions of the rollups differ", "verify")
		v.rewrite(frozen, "", "", "revision = 1")
		s.differs("report of 341800 for 2017-04-01, revision 1 was sent, but is not in the archive", "verify")
	})
}

// Many write at once, and what comes out is one chain; what is missing in its middle
// is found.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		settings, err := (&Flags{Config: s.config}).settings()
		check(t, err)
		secret, err := settings.secret()
		check(t, err)
		at := time.Date(2017, 4, 1, 8, 30, 0, 123456789, time.FixedZone("", 8*3600))
		var wg sync.WaitGroup
		for range 3 { // processes
			e, err := settings.engines(t.Context())
			check(t, err)
			t.Cleanup(func() { e.close() })
			l := settings.auditLog(e, secret)
			l.Now = func() time.Time { return at }
			for range 4 {
				wg.Go(func() {
					err := l.Add(t.Context(), canyu.AuditEntry{Who: "region 341802, key a", What: canyu.AuditHide, Activity: s.activity,
						Target: "a\tline\nor \xff two", From: "shown", To: strings.Repeat("长", 5000)})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		_, e, err := (&Flags{Config: s.config}).open(t.Context())
		check(t, err)
		t.Cleanup(func() { e.close() })
		l := settings.auditLog(e, secret)
		newest, faults, err := l.Check(t.Context(), nil)
		if err != nil || len(faults) > 0 || newest.Sequence != 12 {
			t.Fatalf("line %d, %v, %v", newest.Sequence, faults, err)
		}
		if kept, err := settings.keptAuditHead(); err != nil || kept != newest {
			t.Errorf("kept: %v, %v; want %v", kept, err, newest)
		}
		var lines []canyu.AuditEntry
		for line, err := range e.archive.Audit(t.Context()) {
			check(t, err)
			lines = append(lines, line)
		}
		if got := lines[5]; got.Sequence != 6 || got.Target != "a line or � two" || len(got.To) > 4096 || !got.At.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("line: %+v", got)
		}
		other := canyu.NewAuditLog(e.ledger, e.archive, []byte("somebody who has not the secret"))
		if _, faults, err := other.Check(t.Context(), nil); err != nil || len(faults) != 12 {
			t.Errorf("with another secret: %v, %v", faults, err)
		}
		known := map[canyu.AuditHead]string{lines[4].Head(): "somebody", {Sequence: 7, Hash: lines[4].Hash}: "a liar"}
		if _, faults, err := l.Check(t.Context(), known); err != nil || len(faults) != 1 || faults[0] != "line 7 is not the one that a liar has seen" {
			t.Errorf("known lines: %v, %v", faults, err)
		}
		vandal{s, p}.rewrite("audit", "", "", "sequence = 4")
		if _, faults, err := l.Check(t.Context(), nil); err != nil || len(faults) != 1 || faults[0] != "line 4 is missing" {
			t.Errorf("after one was taken out: %v, %v", faults, err)
		}
		vandal{s, p}.rewrite("audit", "sequence", "4", "sequence = 5") // put in its place
		if _, faults, err := l.Check(t.Context(), nil); err != nil || len(faults) != 2 {
			t.Errorf("after another took its place: %v, %v", faults, err)
		}
	})
}

// A decision that lets held submissions count, and that nobody took, is found.
func TestTamperingWithDecisions(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		settings, e, err := (&Flags{Config: s.config}).open(t.Context())
		check(t, err)
		t.Cleanup(func() { e.close() })
		secret, err := settings.secret()
		check(t, err)
		now := time.Now().UTC().Truncate(time.Millisecond)
		d := canyu.HeldDecision{HeldCase: canyu.HeldCase{Class: canyu.Class{School: 3418020001, Grade: 1, Number: 1}, Day: canyu.NewDay(2017, 4, 1), Why: canyu.MachinePace},
			State: canyu.Admitted, Until: now, By: "region 341802, key a", At: now}
		decide := func(state canyu.HeldState, what string) {
			t.Helper()
			d.State, d.At = state, d.At.Add(time.Second)
			check(t, e.archive.DecideHeld(t.Context(), s.activity, []canyu.HeldDecision{d}))
			if what != "" {
				check(t, settings.auditLog(e, secret).Add(t.Context(), canyu.AuditEntry{Who: d.By, What: what, Activity: s.activity,
					Target: fmt.Sprintf("%s %s %s until %s", d.Class, d.Day, d.Why, d.Until.Format(time.RFC3339))}))
			}
		}
		decide(canyu.Admitted, canyu.AuditCount)
		s.must("verify")
		decide(canyu.Undecided, canyu.AuditHold)
		s.must("verify")
		decide(canyu.Admitted, "")
		s.differs("held submissions of class 3418020001 1(1) 2017-04-01 pace count, but no line", "verify")
	})
}
