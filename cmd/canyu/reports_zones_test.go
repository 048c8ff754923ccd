package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// Activities over what time does at its edges, minute by minute, with a pupil just
// after each midnight and one just before the next: mails at the zone's own hour,
// and every pupil on the day that it was there.
func TestReportsAtTheEdgesOfTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone, first, last string
		days                    canyu.ReportDays
		hour, minute            int
		want                    string // the mails' dates in UTC
	}{
		{"the year's end", "Asia/Shanghai", "2017-12-28", "2018-01-02", canyu.WorkingDays, 16, 30,
			"2017-12-28 08:30, 2017-12-29 08:30, 2018-01-02 08:30, 2018-01-03 08:30"},
		{"a leap day", "Asia/Shanghai", "2024-02-28", "2024-02-29", canyu.WorkingDays, 16, 30,
			"2024-02-28 08:30, 2024-02-29 08:30, 2024-03-01 08:30"},
		{"a month's end with a holiday", "Asia/Shanghai", "2026-04-29", "2026-05-05", canyu.WorkingDays, 16, 30,
			"2026-04-29 08:30, 2026-04-30 08:30, 2026-05-06 08:30"},
		{"two hours west of Beijing", "Asia/Urumqi", "2017-04-01", "2017-04-05", canyu.WorkingDays, 16, 30,
			"2017-04-01 10:30, 2017-04-05 10:30, 2017-04-06 10:30"},
		{"a night with an hour less", "Europe/Berlin", "2017-03-25", "2017-03-27", canyu.EveryDay, 2, 30,
			"2017-03-25 01:30, 2017-03-26 01:30, 2017-03-27 00:30, 2017-03-28 00:30"},
		{"a night with an hour twice", "Europe/Berlin", "2017-10-28", "2017-10-30", canyu.EveryDay, 2, 30,
			"2017-10-28 00:30, 2017-10-29 01:30, 2017-10-30 01:30, 2017-10-31 01:30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t, nil)
			a := b.activity
			a.Zone, a.FirstDay, a.LastDay = b.zone(c.zone), b.day(c.first), b.day(c.last)
			a.Report.Days, a.Report.Hour, a.Report.Minute = c.days, c.hour, c.minute
			s := b.scheduler()
			for now := (a.FirstDay - 1).Start(a.Zone); now.Before((a.LastDay + 3).Start(a.Zone)); now = now.Add(time.Minute) {
				b.clock.Store(now.Unix())
				if hm := now.Format("15:04"); (hm == "00:00" || hm == "23:59") && a.Open(now) == nil {
					b.join(1, 3418020001)
				}
				b.tick(s)
			}
			var got []string
			for _, m := range b.server.Mails() {
				date, err := b.header(m).Date()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, date.UTC().Format("2006-01-02 15:04"))
			}
			b.want(got, strings.Split(c.want, ", ")...)
			frozen, err := b.archive.Frozen(t.Context(), a.ID, county)
			if err != nil || len(frozen) == 0 {
				t.Fatal(len(frozen), err)
			}
			final, err := reports.Thaw(a, frozen[len(frozen)-1])
			if err != nil {
				t.Fatal(err)
			}
			var days, want []string
			for d := a.FirstDay; d <= a.LastDay; d++ {
				want = append(want, fmt.Sprintf("%s 2", d))
			}
			for _, d := range final.Days {
				days = append(days, fmt.Sprintf("%s %d", d.Day, d.Student))
			}
			b.want(days, want...)
			if !final.Final() || final.Total.Student.Total != len(want)*2 {
				t.Errorf("the last report: final %v, %d pupils", final.Final(), final.Total.Student.Total)
			}
		})
	}
}
