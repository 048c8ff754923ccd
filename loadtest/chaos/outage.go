package chaos

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outage is one server gone for long, under load, and nothing else: how far the
// archive falls behind, and how soon it is there again.
type Outage struct {
	Of  string // redis or clickhouse
	For time.Duration
	Lag time.Duration // that is small; 0: five seconds

	// What was seen.
	Most   int           // participations that waited for the archive at once
	Oldest time.Duration // the greatest age of one
	First  time.Duration // from the server's restart until the lag was small
	Back   time.Duration // until it was small and stayed so
}

const (
	outageLead  = 10 * time.Second // load before it
	outageAfter = 20 * time.Second // for so long it has to stay small
)

func parseOutage(s string) (*Outage, error) {
	of, length, _ := strings.Cut(s, "=")
	d, err := time.ParseDuration(length)
	if err != nil || d <= 0 || !slices.Contains(longGone, of) {
		return nil, fmt.Errorf("outage %q: want %s=10m", s, strings.Join(longGone, "=10m or "))
	}
	return &Outage{Of: of, For: d}, nil
}

// plan is of this one fault.
func (o *Outage) plan() []Event {
	return []Event{{At: outageLead, Fault: Away, Target: slices.Index(longGone, o.Of), For: o.For}}
}

// duration is what the load lasts at most.
func (o *Outage) duration(patience time.Duration) time.Duration {
	return outageLead + o.For + patience + outageAfter
}

// watch follows the archive's lag as the metrics of an ingest node tell it, and calls
// enough when it has been small again for a while.
func (o *Outage) watch(ctx context.Context, book *book, door string, enough func()) {
	defer enough()
	returned := book.began.Add(outageLead + o.For)
	o.Lag = cmp.Or(o.Lag, 5*time.Second)
	small := time.Time{} // since when
	lag := time.Duration(0)
	for sleep(ctx, 200*time.Millisecond) {
		n, age, err := backlog(ctx, door)
		if err != nil {
			continue
		}
		o.Most = max(o.Most, n)
		o.Oldest = max(o.Oldest, age)
		lag = age
		now := time.Now()
		switch {
		case now.Before(returned.Add(time.Second)):
		case age > o.Lag:
			small = time.Time{}
		case small.IsZero():
			small, o.Back = now, now.Sub(returned)
			o.First = cmp.Or(o.First, o.Back)
		case now.Sub(small) > outageAfter:
			return
		}
	}
	book.differ("lag", "after %s was away for %s the archive does not stay within %s: it is %s behind", o.Of, o.For, o.Lag, lag.Round(time.Second))
}

func backlog(ctx context.Context, door string) (n int, oldest time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+door+"/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	response, err := probe.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	found := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), "{activity=\""+activityID+"\"} ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		switch name {
		case "canyu_backlog_participations":
			n = int(value)
			found++
		case "canyu_backlog_oldest_seconds":
			oldest = time.Duration(value * float64(time.Second))
			found++
		}
	}
	if found < 2 {
		return 0, 0, fmt.Errorf("%s does not tell its backlog", door)
	}
	return n, oldest, nil
}

func (o *Outage) String() string {
	return fmt.Sprintf("%s away for %s: at most %d participations waited for the archive, the oldest for %.0f s; lag ≤ %s for the first time %.1f s after it was started, and all of %s from %.1f s on",
		o.Of, o.For, o.Most, o.Oldest.Seconds(), o.Lag, o.First.Seconds(), outageAfter, o.Back.Seconds())
}
