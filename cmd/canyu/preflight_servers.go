package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/loadtest"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

const (
	knock = 10 * time.Second // patience with a server
	// skew is how far clocks may be apart: times of submissions are those of the node.
	skew = 2 * time.Second
	// soon is how long before its end a certificate should have been renewed.
	soon = 14 * 24 * time.Hour
)

// servers looks at Redis and ClickHouse, and opens both where that changes nothing.
func (p *preflight) servers(ctx context.Context) *engines {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	ledger, err := redisledger.Open(ctx, p.s.Redis) // it checks that nothing can be lost
	if p.must("redis", redacted(p.s.Redis, err)) {
		state, err := ledger.State(ctx)
		if p.must("redis", redacted(p.s.Redis, err)) {
			masters := ""
			if state.Masters > 1 {
				masters = fmt.Sprintf(", %d masters and %d shards", state.Masters, ledger.Shards())
			}
			p.say(fine, "redis", "%s%s, appendfsync always, noeviction; %s in use", state.Version, masters, megabytes(state.Used))
			p.apart("redis", state.Now)
			p.redis = &state
		}
	}
	state, err := clickhousearchive.StateOf(ctx, p.s.Clickhouse)
	if !p.must("clickhouse", redacted(p.s.Clickhouse, err)) {
		if ledger != nil {
			ledger.Close()
		}
		return nil
	}
	p.apart("clickhouse", state.Now)
	for _, trouble := range state.Trouble {
		p.say(look, "clickhouse", "%s", trouble)
	}
	switch {
	case state.Since > state.Known:
		p.say(wrong, "clickhouse", "%s; the tables are version %d and need a program that knows %d, this one knows %d: it is older than what wrote them", state.Version, state.Schema, state.Since, state.Known)
	case state.Schema > state.Known:
		p.say(look, "clickhouse", "%s; the tables are version %d, of a newer canyu; this one knows %d and works with them", state.Version, state.Schema, state.Known)
	case state.Schema == 0:
		p.say(look, "clickhouse", "%s; no tables yet: serve, or roster import, makes them", state.Version)
	case state.Schema < state.Known:
		p.say(look, "clickhouse", "%s; the tables are version %d, serve brings them to %d: make a backup first", state.Version, state.Schema, state.Known)
	default:
		p.say(fine, "clickhouse", "%s, tables of version %d", state.Version, state.Schema)
	}
	if ledger == nil || state.Schema < state.Known || state.Since > state.Known {
		if ledger != nil {
			ledger.Close()
		}
		return nil
	}
	archive, err := clickhousearchive.Open(ctx, p.s.Clickhouse)
	if !p.must("clickhouse", redacted(p.s.Clickhouse, err)) {
		ledger.Close()
		return nil
	}
	return &engines{ledger: ledger, archive: archive}
}

// apart looks at the clock of a server.
func (p *preflight) apart(what string, now time.Time) {
	if by := time.Since(now).Abs(); by > skew {
		p.say(wrong, what, "its clock and this one are %s apart: submissions would get a wrong time, and at midnight a wrong day; use NTP", by.Round(100*time.Millisecond))
	}
}

func (p *preflight) embedded(ctx context.Context) *engines {
	if _, err := os.Stat(filepath.Join(p.s.Data, "archive.db")); errors.Is(err, os.ErrNotExist) {
		p.say(look, "roster", "there is none yet: canyu roster import FILE")
		return nil
	}
	e, err := p.s.engines(ctx)
	if !p.must("engines", err) {
		return nil
	}
	if e.beside {
		p.say(fine, "engines", "a server is running on them")
	}
	return e
}

// classMost is more than any class has; the largest that were ever allowed have 56.
const classMost = 80

// rosters looks for what is odd in the roster, and whether this machine is up to a
// bell of its pupils.
func (p *preflight) rosters(ctx context.Context, archive canyu.Archive, c *preflightCommand) {
	roster, err := archive.Roster(ctx)
	if !p.must("roster", err) {
		return
	}
	entries := roster.Entries()
	if len(entries) == 0 {
		p.say(wrong, "roster", "it is empty: canyu roster import FILE")
		return
	}
	pupils, largest := 0, entries[0]
	for _, e := range entries {
		pupils += e.Enrolled
		if e.Enrolled > largest.Enrolled {
			largest = e
		}
	}
	p.say(fine, "roster", "%d schools, %d classes, %d pupils", len(roster.Schools(canyu.Nation)), len(entries), pupils)
	if largest.Enrolled > classMost {
		p.say(look, "roster", "%s has %d pupils: is that one class?", canyu.Class{School: largest.School, Grade: largest.Grade, Number: largest.Class}, largest.Enrolled)
	}
	for _, a := range p.s.activities {
		p.recipients(a, roster)
	}
	p.bell(pupils, c)
}

// recipients looks for schools without a report, and reports without a school.
func (p *preflight) recipients(a *canyu.Activity, roster *canyu.Roster) {
	told := make(map[canyu.SchoolCode]bool)
	for region := range a.Report.Recipients {
		schools := roster.Schools(region)
		if len(schools) == 0 {
			p.say(wrong, "roster", "%s: a report goes to %s, which has no school in the roster", a.ID, region)
		}
		for _, sc := range schools {
			told[sc.Code] = true
		}
	}
	if missed := len(roster.Schools(canyu.Nation)) - len(told); missed > 0 {
		p.say(look, "roster", "%s: %d schools are in nobody's report", a.ID, missed)
	}
	for _, sc := range roster.Schools(canyu.Nation) {
		if slices.ContainsFunc(sc.Classes, func(c canyu.SchoolClass) bool { return a.Required(c.Grade) }) {
			return
		}
	}
	p.say(wrong, "roster", "%s: no class has a required grade", a.ID)
}

// bell asks what loadtest/CAPACITY.md says of so many pupils.
func (p *preflight) bell(pupils int, c *preflightCommand) {
	capacity := loadtest.CapacityCmd{BellShare: c.BellShare, BellMinutes: c.BellMinutes, Peak: 1.5, Cores: runtime.NumCPU(), Busy: 0.5, Replicas: 1}
	need, err := capacity.Need(int64(pupils))
	if !p.must("bell", err) {
		return
	}
	f, more := fine, ""
	if need.Nodes > 1 {
		f, more = look, "; nodes like this one, each half busy: "+strconv.Itoa(need.Nodes)
	}
	p.say(f, "bell", "%.0f submissions a second at the busiest moment of %.3g %% of the pupils in %g minutes: %.0f %% of this machine, by the costs that canyu loadtest capacity lists%s",
		need.Peak, 100*c.BellShare, c.BellMinutes, 100*need.NodeBusy*float64(need.Nodes), more)
	if p.redis == nil {
		return
	}
	room := p.redis.Machine
	if p.redis.Limit > 0 {
		room = p.redis.Limit
	}
	if room > 0 && need.RedisBytes > room-p.redis.Used {
		p.say(wrong, "redis", "%s of memory are left, and so many pupils want %s", megabytes(room-p.redis.Used), megabytes(need.RedisBytes))
	}
}

func (p *preflight) mails(ctx context.Context) {
	want := slices.ContainsFunc(p.s.activities, func(a *canyu.Activity) bool { return len(a.Report.Recipients) > 0 })
	config, err := p.s.mail()
	if err != nil && !want {
		p.say(fine, "mail", "nobody is to get a report")
		return
	}
	if !p.must("mail", err) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	if !p.must("mail", reports.Reach(ctx, config)) {
		return
	}
	if p.s.Outbox != "" {
		p.say(look, "mail", "reports become files in %s: nobody gets one", p.s.Outbox)
		return
	}
	p.say(fine, "mail", "the server answers, and lets us in; canyu report test sends a sample")
}

// certificate looks at the one that visitors see.
func (p *preflight) certificate(ctx context.Context) {
	base, err := url.Parse(p.s.Links.Base)
	if err != nil || base.Scheme != "https" {
		p.say(look, "https", "links.base names no https address: links, and what pupils send, would travel unencrypted")
		return
	}
	address := base.Host
	if base.Port() == "" {
		address = net.JoinHostPort(base.Hostname(), "443")
	}
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	c, err := (&tls.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		p.say(look, "https", "cannot be reached from here: %s", err)
		return
	}
	defer c.Close()
	end := c.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter
	last := p.now
	for _, a := range p.s.activities {
		if t := (a.LastDay + canyu.LatestReport).End(a.Zone); t.After(last) {
			last = t
		}
	}
	switch {
	case end.Before(p.now.Add(soon)):
		p.say(wrong, "https", "the certificate of %s ends on %s: renew it", base.Host, end.Format(time.DateOnly))
	case end.Before(last):
		p.say(look, "https", "the certificate of %s ends on %s, before the last report", base.Host, end.Format(time.DateOnly))
	default:
		p.say(fine, "https", "%s until %s", strings.TrimPrefix(p.s.Links.Base, "https://"), end.Format(time.DateOnly))
	}
}
