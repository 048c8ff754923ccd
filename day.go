package canyu

import (
	"fmt"
	"math"
	"time"
)

// Day is a calendar day without a zone, counted from 1970-01-01. Which day an
// instant belongs to is the activity's to say (promise 4): see [Activity.DayOf].
type Day int32

// The first and the last day there are: with them rollups are asked for of all days.
const (
	MinDay Day = math.MinInt32
	MaxDay Day = math.MaxInt32
)

// DayAt is the day that instant t falls on in zone loc.
func DayAt(t time.Time, loc *time.Location) Day {
	_, offset := t.In(loc).Zone()
	local := t.Unix() + int64(offset)
	day := local / 86400
	if local%86400 < 0 { // before 1970
		day--
	}
	return Day(day)
}

// NewDay is the day of a date; months and days out of range carry over, as in time.Date.
func NewDay(y int, m time.Month, d int) Day {
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDay reads 2006-01-02.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("day %q: want a date such as 2017-04-01", s)
	}
	return Day(t.Unix() / 86400), nil
}

func (d Day) utc() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Date is the day's year, month and day of the month.
func (d Day) Date() (int, time.Month, int) { return d.utc().Date() }

// Weekday is the day of the week.
func (d Day) Weekday() time.Weekday { return d.utc().Weekday() }

// Start is the first instant of the day in loc. Where a zone skips midnight it is
// the first instant that exists.
func (d Day) Start(loc *time.Location) time.Time {
	y, m, day := d.Date()
	t := time.Date(y, m, day, 0, 0, 0, 0, loc)
	for DayAt(t, loc) < d { // midnight fell into a gap and time.Date went back
		t = t.Add(time.Minute)
	}
	return t
}

// End is the first instant after the day in loc.
func (d Day) End(loc *time.Location) time.Time { return (d + 1).Start(loc) }

func (d Day) String() string { return d.utc().Format(time.DateOnly) }

// MarshalText uses 2006-01-02.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDay.
func (d *Day) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDay(string(b))
	return err
}
