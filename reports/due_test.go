package reports_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// Plans that cross what has broken other programs' reports.
func TestPlannedDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, first, last, want string }{
		{"the week of the notice", "2017-04-01", "2017-04-07", "04-01 04-05 04-06 04-07 04-10"},
		{"the year's end", "2017-12-27", "2018-01-02", "12-27 12-28 12-29 01-02 01-03"},
		{"a year's end that a Saturday is worked for", "2018-12-28", "2018-12-31", "12-28 12-29 01-02"},
		{"a leap day", "2024-02-27", "2024-02-29", "02-27 02-28 02-29 03-01"},
		{"a month's end", "2026-04-29", "2026-05-06", "04-29 04-30 05-06 05-07"},
		{"only holidays", "2017-10-01", "2017-10-07", "10-09"},
		{"it ends on a Friday before a worked Saturday", "2017-09-28", "2017-09-29", "09-28 09-29 09-30"},
	} {
		a := qingming(t)
		a.FirstDay, a.LastDay = day(t, c.first), day(t, c.last)
		days, err := reports.PlannedDays(a, calendar(t), a.LastDay+20)
		var got []string
		for _, d := range days {
			got = append(got, d.String()[5:])
			if ok, err := reports.Planned(a, calendar(t), d); err != nil || !ok {
				t.Errorf("%s: %s is not a report day: %v", c.name, d, err)
			}
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, %v, want %s", c.name, strings.Join(got, " "), err, c.want)
		}
	}
	daily := qingming(t)
	daily.Report.Days = canyu.EveryDay
	if days, err := reports.PlannedDays(daily, calendar(t), daily.LastDay+20); err != nil || len(days) != 8 {
		t.Errorf("daily: %v, %v, want the seven days and the one after", days, err)
	}
}

// Listed days are the plan, in whatever order, holidays too, and none is added.
func TestPlannedDaysListed(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	a.Report.Days, a.Report.List = canyu.ListedDays, []canyu.Day{day(t, "2017-04-20"), day(t, "2017-04-02"), day(t, "2017-04-05")}
	for until, want := range map[string]string{"2017-05-08": "[2017-04-02 2017-04-05 2017-04-20]", "2017-04-19": "[2017-04-02 2017-04-05]", "2017-04-01": "[]"} {
		if days, err := reports.PlannedDays(a, calendar(t), day(t, until)); err != nil || fmt.Sprint(days) != want {
			t.Errorf("until %s: %v, %v, want %s", until, days, err, want)
		}
	}
	if fmt.Sprint(a.Report.List) != "[2017-04-20 2017-04-02 2017-04-05]" {
		t.Errorf("the activity's own list was changed: %v", a.Report.List)
	}
	if ok, err := reports.Planned(a, calendar(t), day(t, "2017-04-06")); ok || err != nil {
		t.Errorf("a working day that is not listed: %v, %v", ok, err)
	}
	// A list needs no calendar.
	a.FirstDay, a.LastDay, a.Report.List = day(t, "2027-01-04"), day(t, "2027-01-06"), []canyu.Day{day(t, "2027-01-05")}
	r, err := reports.Compute(a, calendar(t), county(t), nil, nil, nil, 341802, a.Report.List[0], reports.DueAt(a, a.Report.List[0]))
	if err != nil || r.WorkingDay != nil || slices.ContainsFunc(r.Notes, func(n reports.Note) bool { return n.Kind == reports.NoCalendar }) {
		t.Errorf("in a year without a calendar: %+v, %v", r, err)
	}
}

// A plan that runs into a year without a calendar: reports go on until there, and
// those before it say so.
func TestPlanIntoTheUnknown(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	a.FirstDay, a.LastDay = day(t, "2026-12-30"), day(t, "2027-01-05")
	now := time.Date(2027, 1, 4, 17, 0, 0, 0, a.Zone)
	days, err := reports.Due(a, calendar(t), 341802, nil, nil, now)
	if !errors.Is(err, reports.ErrNoCalendar) || len(days) != 2 {
		t.Errorf("due %v, %v, want the two days of December and ErrNoCalendar", days, err)
	}
	r, err := reports.Compute(a, calendar(t), county(t), nil, nil, nil, 341802, a.FirstDay, reports.DueAt(a, a.FirstDay))
	if err != nil || !slices.Contains(r.Notes, reports.Note{Kind: reports.NoCalendar, Count: 2027}) {
		t.Errorf("the report before says nothing of it: %v, %v", r.Notes, err)
	}
	a.Report.Days = canyu.EveryDay // needs no calendar to be sent
	r, err = reports.Compute(a, calendar(t), county(t), nil, nil, nil, 341802, day(t, "2027-01-04"), now)
	if err != nil || r.WorkingDay != nil {
		t.Errorf("a daily report: %v, %v, want one without a working day", r, err)
	}
}

// The hour is the activity's own, once a day, also where the clocks are changed.
func TestDueAt(t *testing.T) {
	t.Parallel()
	holidays := calendar(t)
	for _, c := range []struct {
		zone, day    string
		hour, minute int
		want         string // UTC
	}{
		{"Asia/Shanghai", "2017-04-01", 16, 30, "2017-04-01 08:30"},
		{"Asia/Shanghai", "2017-04-01", 0, 10, "2017-03-31 16:10"},
		{"Asia/Urumqi", "2017-04-01", 16, 30, "2017-04-01 10:30"},
		{"Europe/Berlin", "2017-03-25", 16, 30, "2017-03-25 15:30"},
		{"Europe/Berlin", "2017-03-27", 16, 30, "2017-03-27 14:30"},
		{"Europe/Berlin", "2017-03-26", 2, 30, "2017-03-26 01:30"}, // the hour that is not: an hour later
		{"America/New_York", "2017-11-05", 1, 30, "2017-11-05 05:30"},
	} {
		a := qingming(t)
		a.Zone = zone(t, c.zone)
		a.Report.Hour, a.Report.Minute = c.hour, c.minute
		if got := reports.DueAt(a, day(t, c.day)).UTC().Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("%s %s %02d:%02d: %s, want %s", c.zone, c.day, c.hour, c.minute, got, c.want)
		}
		a.FirstDay, a.LastDay, a.Report.Days = day(t, c.day)-3, day(t, c.day)+3, canyu.EveryDay
		// Minute by minute through a day: due once, and from its minute on.
		at := reports.DueAt(a, day(t, c.day))
		for now := at.Add(-12 * time.Hour); now.Before(at.Add(12 * time.Hour)); now = now.Add(time.Minute) {
			days, err := reports.Due(a, holidays, 341802, nil, nil, now)
			if is := slices.Contains(days, day(t, c.day)); err != nil || is != !now.Before(at) {
				t.Fatalf("%s %s: due %v at %s, %v", c.zone, c.day, is, now, err)
			}
		}
	}
}

// What counts as done is what the archive has.
func TestDue(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	first := day(t, "2017-04-01")
	frozen := []canyu.Frozen{{Region: 341802, Day: first, Revision: 1}, {Region: 341803, Day: first + 4, Revision: 1}}
	delivery := func(state canyu.DeliveryState, attempts int, at time.Time) canyu.Delivery {
		return canyu.Delivery{Region: 341802, Day: first, Revision: 1, State: state, Attempts: attempts, At: at}
	}
	now := time.Date(2017, 4, 5, 16, 31, 0, 0, a.Zone)
	for _, c := range []struct {
		name       string
		deliveries []canyu.Delivery
		want       string
	}{
		{"everybody has it", []canyu.Delivery{delivery(canyu.Sent, 1, now)}, "05"},
		{"refused for good", []canyu.Delivery{delivery(canyu.Failed, 1, now)}, "05"},
		{"one has not been tried", []canyu.Delivery{delivery(canyu.Sent, 1, now), delivery(canyu.Pending, 0, now)}, "01 05"},
		{"ended while sending", []canyu.Delivery{delivery(canyu.Sending, 1, now)}, "01 05"},
		{"tried half a minute ago", []canyu.Delivery{delivery(canyu.Retrying, 1, now.Add(-30*time.Second))}, "05"},
		{"tried a minute ago", []canyu.Delivery{delivery(canyu.Retrying, 1, now.Add(-time.Minute))}, "01 05"},
		{"tried the fifth time a minute ago", []canyu.Delivery{delivery(canyu.Retrying, 5, now.Add(-time.Minute))}, "05"},
		{"tried the hundredth time an hour ago", []canyu.Delivery{delivery(canyu.Retrying, 100, now.Add(-time.Hour))}, "01 05"},
	} {
		days, err := reports.Due(a, calendar(t), 341802, frozen, c.deliveries, now)
		var got []string
		for _, d := range days {
			got = append(got, d.String()[8:])
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: due %v, %v, want %s", c.name, got, err, c.want)
		}
	}
}
