package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

// From the report's number to the ledger: what came late, on later days, in other
// roles, again, or was refused stands in its own line, and the sums add up; and they
// do not where a layer was changed.
func TestExplain(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := recorded(t, p)
		class := func(at string, seat int, more ...any) string {
			m := map[string]any{"grade": 1, "class": 1, "seat": seat}
			for i := 0; i+1 < len(more); i += 2 {
				m[more[i].(string)] = more[i+1]
			}
			return s.at(at, m)
		}
		s.replayed(
			class("2017-04-01T11:00:00+08:00", 4),                                        // late: the report is sent
			class("2017-04-01T11:00:00+08:00", 1),                                        // again
			class("2017-04-05T08:00:00+08:00", 5), class("2017-04-05T08:00:01+08:00", 6), // later days
			class("2017-04-05T08:00:02+08:00", 7, "class", 2),                                                                     // another class
			class("2017-04-05T09:00:00+08:00", 1, "role", "parent", "name", "甲"),                                                  // another role
			class("2017-04-05T09:00:00+08:00", 99), class("2017-04-05T09:00:00+08:00", 98), class("2017-04-09T09:00:00+08:00", 8), // refused
		)
		explain := func(want []string, args ...string) {
			t.Helper()
			out, err := s.canyu(append([]string{"explain", "--school", "3418020001", "--lang", "en"}, args...)...)
			if err != nil {
				t.Error(err)
			}
			rest := strings.Join(strings.Fields(out), " ")
			for _, line := range append(want, "✓ The sums add up") {
				if _, after, ok := strings.Cut(rest, line); ok {
					rest = after
				} else {
					t.Errorf("explain %v: %q is not there, or in another place:\n%s", args, line, out)
				}
			}
		}
		explain([]string{"Students Parents Teachers",
			"Report, revision 1, as of 1 April 2017, 24:00 3 0 0", "+ Came before, counted since: late data, or let count by a person (see the correction) 1 0 0",
			"+ Came on later days 3 1 0", "= Rollups 7 1 0", "= Participants in the archive 7 1 0", "= Participants in the ledger 7 1 0",
			"Submissions: 3 in the report, 5 by the end of its day, 9 by now", "1 repeats", "Refused, to date: seat missing or out of range 2, after the last day 1", "as it was signed"})
		explain([]string{"Students", "24:00 3", "see the correction) 1", "Came on later days 2", "= Rollups 6", "= Participants in the ledger 6", "of the whole school"}, "--grade", "1", "--class", "1")
		explain([]string{"(no report of the day is frozen) 7 1 0", "= Rollups 7 1 0"}, "--date", "2017-04-05")
		if out, err := s.canyu("explain", "--region", "341802"); err != nil || !strings.Contains(out, "✓ 各项相加一致") || !strings.Contains(out, "学生") {
			t.Errorf("the county, in Chinese: %v\n%s", err, out)
		}
		s.must("report", "send", "--date", "2017-04-01", "--correct")
		explain([]string{"Report, revision 2", " 4 0 0 + Came on later days 3 1 0 = Rollups 7 1 0"}, "--date", "2017-04-01")
		for _, args := range [][]string{{}, {"--grade", "1"}, {"--grade", "9", "--class", "9"}, {"--region", "110000"}} {
			args = append([]string{"explain", "--school", "3418020001"}, args...)
			if len(args) == 3 {
				args = args[:1] // of nothing
			}
			if _, err := s.canyu(args...); err == nil {
				t.Errorf("%v is explained", args)
			}
		}

		mend := vandal{s, p}.forget()
		s.differs("✗ Archive and ledger do not tell the same", "explain", "--school", "3418020001", "--lang", "en")
		mend()
		if p.dsn == "" {
			vandal{s, p}.rewrite("rollups", "participants", "participants + 1",
				fmt.Sprintf("day = %d and class_role = (select id from groups where school = 3418020001 and grade = 1 and class = 1 and role = 1)", canyu.NewDay(2017, 4, 1)))
		} else {
			vandal{s, p}.inflate()
		}
		s.differs("✗ Rollups and archive do not tell the same", "explain", "--school", "3418020001", "--lang", "en")
		s.must("verify", "--repair")

		// Whom the report has and the archive has not is missed, unless it is on record.
		students := canyu.Class{School: 3418020001, Grade: 1, Number: 1}
		s.must("participant", "erase", "--school", "3418020001", "--grade", "1", "--class", "1", "--seat", "1")
		explain([]string{"Erased since 1 0 0", "Erasures since the report, by the audit log: 1"}, "--date", "2017-04-01")

		_, e, err := (&Flags{Config: s.config}).open(t.Context())
		check(t, err)
		t.Cleanup(func() { e.close() })
		noon := time.Date(2017, 4, 1, 10, 30, 0, 0, time.FixedZone("", 8*3600))
		trace, err := rollup.TraceOf(t.Context(), e.ledger, e.archive, rollup.Part{Activity: s.activity, Only: students, Schools: []canyu.SchoolCode{students.School}}, canyu.NewDay(2017, 4, 1), noon)
		if err != nil || !trace.Agrees() || trace.After[canyu.Student] != 1 || trace.Until[canyu.Student] != 3 || trace.Later[canyu.Student] != 2 {
			t.Errorf("trace: %s", fmt.Sprintf("%+v, %v", trace, err))
		}

		// Who is held counts when a person says so, and is told apart.
		settings, err := (&Flags{Config: s.config}).settings()
		check(t, err)
		secret, err := settings.secret()
		check(t, err)
		held := canyu.Participation{Class: students, Role: canyu.Student, Participant: 99, ID: 1, At: noon.UTC(), Day: canyu.NewDay(2017, 4, 1), Held: canyu.MachinePace}
		check(t, e.archive.Store(t.Context(), s.activity, []canyu.Recorded{{Participation: held}}))
		explain([]string{"Held apart: 1 submissions wait for a person's decision, 0 were left out by one"}, "--date", "2017-04-01")
		d := canyu.HeldDecision{HeldCase: canyu.HeldCase{Class: students, Day: held.Day, Why: held.Held}, State: canyu.Admitted, Until: held.At, By: "region 341802, key a", At: time.Now()}
		check(t, settings.auditLog(e, secret).Add(t.Context(), canyu.AuditEntry{Who: d.By, What: canyu.AuditCount, Activity: s.activity, Target: fmt.Sprintf("%s %s %s until now", d.Class, d.Day, d.Why)}))
		check(t, e.archive.DecideHeld(t.Context(), s.activity, []canyu.HeldDecision{d}))
		explain([]string{"Report, revision 2", " 4 0 0 + Came on later days 3 1 0 = Rollups 7 1 0", "− Held, and let count by a person: in the rollups alone 1 0 0 = Participants in the archive 6 1 0"}, "--date", "2017-04-01")
		s.must("verify")
	})
}
