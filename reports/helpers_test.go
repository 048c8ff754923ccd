package reports_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

func day(t testing.TB, s string) canyu.Day {
	t.Helper()
	d, err := canyu.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func calendar(t testing.TB) *reports.Calendar {
	t.Helper()
	c, err := reports.LoadCalendar("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// qingming is the activity that all began with.
func qingming(t testing.TB) *canyu.Activity {
	t.Helper()
	return &canyu.Activity{
		ID: "qingming-2017", Title: canyu.Text{"zh-Hans": "网上祭英烈", "zh-Hant": "網上祭英烈", "en": "Online memorial"},
		Zone: zone(t, "Asia/Shanghai"), FirstDay: day(t, "2017-04-01"), LastDay: day(t, "2017-04-07"),
		Steps: []string{"bow", "flower", "message"}, RequiredGrades: []uint8{3, 4, 5, 6, 7, 8, 10, 11},
		Roles:    []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher},
		Identify: canyu.BySeat,
		Report: canyu.ReportPlan{Hour: 16, Minute: 30, Days: canyu.WorkingDays,
			Recipients: map[canyu.Region][]string{341802: {"education@example.org"}}},
	}
}
