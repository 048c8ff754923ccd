package reports

import (
	"time"

	"github.com/canyu/canyu"
)

// Compute is Build without an archive: the next revision from what it would say.
func Compute(a *canyu.Activity, c *Calendar, roster *canyu.Roster, rollups []canyu.Rollup, frozen []canyu.Frozen,
	messages []canyu.Message, region canyu.Region, day canyu.Day, now time.Time) (*Report, error) {
	b := builder{activity: a, calendar: c, roster: roster, region: region, day: day, now: now}
	r, err := b.compute(frozen, rollups)
	if r != nil {
		r.messages = messages
	}
	return r, err
}

// ChartWords are all texts that a chart may have.
func ChartWords() []string {
	return append(append([]string{"0123456789,-−"}, dictionary["chart.new"]...), dictionary["chart.total"]...)
}
