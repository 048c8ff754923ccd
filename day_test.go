package canyu_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones below, also where the system has none

	"github.com/canyu/canyu"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func day(t testing.TB, s string) canyu.Day {
	t.Helper()
	d, err := canyu.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestDayAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, at, zone, want string }{
		{"a class at 07:50 counts today, though it is yesterday in UTC", "2017-04-05T07:50:00+08:00", "Asia/Shanghai", "2017-04-05"},
		{"the last millisecond", "2017-04-07T23:59:59.999+08:00", "Asia/Shanghai", "2017-04-07"},
		{"midnight is the next day", "2017-04-08T00:00:00+08:00", "Asia/Shanghai", "2017-04-08"},
		{"the zone of the clock does not matter", "2017-04-05T18:30:00-07:00", "Asia/Shanghai", "2017-04-06"},
		{"the same instant in another zone", "2017-04-05T07:50:00+08:00", "America/New_York", "2017-04-04"},
		{"leap day", "2024-02-29T12:00:00Z", "UTC", "2024-02-29"},
		{"end of the year", "2025-12-31T23:59:59Z", "Asia/Shanghai", "2026-01-01"},
		{"Shanghai's summer time of 1986: midnight is 15:00 UTC", "1986-07-01T15:00:00Z", "Asia/Shanghai", "1986-07-02"},
		{"before 1970", "1969-12-31T23:59:59Z", "UTC", "1969-12-31"},
		{"long before 1970", "1901-01-01T00:00:00Z", "UTC", "1901-01-01"},
	} {
		if got := canyu.DayAt(instant(t, c.at), zone(t, c.zone)); got.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDayStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, day, zone, want string }{
		{"plain", "2017-04-01", "Asia/Shanghai", "2017-04-01T00:00:00+08:00"},
		{"São Paulo had no midnight that day", "2018-11-04", "America/Sao_Paulo", "2018-11-04T01:00:00-02:00"},
		{"Beirut neither", "2022-03-27", "Asia/Beirut", "2022-03-27T01:00:00+03:00"},
		{"summer time begins after midnight", "2026-03-08", "America/New_York", "2026-03-08T00:00:00-05:00"},
		{"a day that Samoa left out: the first instant after it", "2011-12-30", "Pacific/Apia", "2011-12-31T00:00:00+14:00"},
		{"Havana has midnight twice: the first", "2025-11-02", "America/Havana", "2025-11-02T00:00:00-04:00"},
	} {
		if got := day(t, c.day).Start(zone(t, c.zone)); !got.Equal(instant(t, c.want)) {
			t.Errorf("%s: %s starts at %s, want %s", c.name, c.day, got.Format(time.RFC3339), c.want)
		}
	}
}

// Days are gapless: whatever the clocks did, one ends where the next begins, and
// both edges belong to the day that they should.
func TestDaysMeet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, from, to string }{
		{"Asia/Shanghai", "1986-05-01", "1986-09-30"},
		{"America/Sao_Paulo", "2018-10-01", "2019-03-01"},
		{"Asia/Beirut", "2022-01-01", "2022-12-31"},
		{"Australia/Lord_Howe", "2025-01-01", "2025-12-31"},
		{"America/New_York", "2023-12-25", "2024-12-31"},
	} {
		loc := zone(t, c.zone)
		for d := day(t, c.from); d <= day(t, c.to); d++ {
			start, end := d.Start(loc), d.End(loc)
			if canyu.DayAt(start, loc) != d || canyu.DayAt(start.Add(-time.Nanosecond), loc) != d-1 {
				t.Errorf("%s in %s does not start at %s", d, c.zone, start)
			}
			if canyu.DayAt(end.Add(-time.Nanosecond), loc) != d || canyu.DayAt(end, loc) != d+1 {
				t.Errorf("%s in %s does not end at %s", d, c.zone, end)
			}
		}
	}
}

func TestNewDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year  int
		month time.Month
		day   int
		want  string
	}{
		{1970, 1, 1, "1970-01-01"},
		{2017, 4, 31, "2017-05-01"},
		{2025, 13, 1, "2026-01-01"},
		{2024, 3, 0, "2024-02-29"},
		{2100, 3, 0, "2100-02-28"},
		{1969, 12, 31, "1969-12-31"},
	} {
		d := canyu.NewDay(c.year, c.month, c.day)
		if d.String() != c.want {
			t.Errorf("%d-%d-%d: got %s, want %s", c.year, c.month, c.day, d, c.want)
		}
	}
	if y, m, d := day(t, "2017-04-01").Date(); y != 2017 || m != time.April || d != 1 {
		t.Errorf("2017-04-01 has the date %d-%d-%d", y, m, d)
	}
	if w := day(t, "2017-04-01").Weekday(); w != time.Saturday {
		t.Errorf("2017-04-01 was a Saturday, got %s", w)
	}
	if w := day(t, "1969-12-31").Weekday(); w != time.Wednesday {
		t.Errorf("1969-12-31 was a Wednesday, got %s", w)
	}
}

func TestParseDayRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "2017-4-1", "2017-02-29", "2017-04-31", "2017-13-01", "2017/04/01", "20170401", "2017-04-01T00:00:00Z", " 2017-04-01", "今天"} {
		if d, err := canyu.ParseDay(s); err == nil {
			t.Errorf("%q: got %s, want an error", s, d)
		}
	}
}

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"2017-04-01", "2024-02-29", "1969-12-31", "0000-01-01", "9999-12-31", "2017-02-30", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := canyu.ParseDay(s)
		if err != nil {
			return
		}
		if d.String() != s {
			t.Errorf("%q was read as %s", s, d)
		}
		if y, m, dd := d.Date(); canyu.NewDay(y, m, dd) != d {
			t.Errorf("%s is not the day of its own date", d)
		}
	})
}
