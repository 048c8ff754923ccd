package main

import (
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// Pupils who were held and let count, and then take part again on a later day, stay in
// the reports that told of them.
func TestReportsKeepWhoWasAdmitted(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.activity.Report.Correct = true
	b.activity.Report.Days = canyu.EveryDay
	s := b.scheduler()
	class := canyu.Class{School: 3418020001, Grade: 3, Number: 1}
	store := func(at time.Time, from canyu.Participant, to canyu.Participant, id uint64, held canyu.Suspicion) {
		t.Helper()
		var rs []canyu.Recorded
		for p := from; p <= to; p++ {
			rs = append(rs, canyu.Recorded{
				Participation: canyu.Participation{Class: class, Role: canyu.Student, Participant: p, ID: id + uint64(p), At: at, Day: b.activity.DayOf(at), Held: held},
				Outcome:       canyu.Outcome{Counted: held == canyu.Unsuspected, Ordinal: uint64(p)},
			})
		}
		check(t, b.archive.Store(t.Context(), b.activity.ID, rs))
		check(t, b.archive.Restate(t.Context(), b.activity.ID, []canyu.Class{class}))
	}
	first := b.at("04-01 10:00")
	store(first, 1, 40, 0, canyu.MachinePace)
	check(t, b.archive.DecideHeld(t.Context(), b.activity.ID, []canyu.HeldDecision{{
		HeldCase: canyu.HeldCase{Class: class, Day: b.activity.DayOf(first), Why: canyu.MachinePace}, State: canyu.Admitted, Until: first, At: first.Add(time.Hour), By: "school"}}))
	for _, hour := range []string{"04-01 16:30", "04-02 16:30"} {
		b.at(hour)
		b.tick(s)
	}
	store(b.at("04-03 10:00"), 1, 15, 100, canyu.Unsuspected)
	b.at("04-03 16:30")
	b.tick(s)

	frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, county)
	check(t, err)
	if len(frozen) != 3 {
		t.Errorf("%d reports of three days", len(frozen))
	}
	for _, f := range frozen {
		r, err := reports.Thaw(b.activity, f)
		check(t, err)
		if r.Revision != 1 || r.Total.Student.Total != 40 {
			t.Errorf("%s: revision %d tells of %d pupils, want 1 and 40", r.Day, r.Revision, r.Total.Student.Total)
		}
	}
}
