package main

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// pagesOf serves pages to an administrator without a network.
func pagesOf(p *reports.Pages) func(path string) (status int, body string) {
	p.Links = canyu.NewKeyring([]byte("pages"), "a")
	p.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	return func(path string) (int, string) {
		token, err := p.Links.Sign(canyu.Scope{Kind: canyu.AdminScope}, time.Now().Add(time.Hour))
		if err != nil {
			return 0, err.Error()
		}
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(path)
		ctx.Request.Header.SetCookie(canyu.AdminScope.Cookie(), token)
		p.Handle(&ctx)
		return ctx.Response.StatusCode(), string(ctx.Response.Body())
	}
}

// A province of 3,000 schools and 90,000 classes on embedded engines: the first
// numbers of its bureau page, of a server that has just started and of one that is
// used. A second at most.
//
//	go test -run xxx -bench BureauProvince -benchtime 1x ./cmd/canyu
func BenchmarkBureauProvince(b *testing.B) {
	const schools, classes, days = 3000, 30, 5
	a := activityOf(b)
	dir := b.TempDir()
	archive, err := embeddedarchive.Open(b.Context(), filepath.Join(dir, "archive.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { archive.Close() })
	ledger, err := embeddedledger.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ledger.Close() })
	var entries []canyu.RosterEntry
	for s := range schools {
		region := countyOf(s / 30)
		for k := range classes {
			entries = append(entries, canyu.RosterEntry{Region: region, School: canyu.SchoolCode(uint64(region)*10000 + uint64(s%30) + 1),
				Name: fmt.Sprintf("第%d小学", s%30+1), Grade: uint8(k%6 + 1), Class: uint16(k/6 + 1), Enrolled: 50})
		}
	}
	roster, err := canyu.NewRoster(entries)
	if err != nil {
		b.Fatal(err)
	}
	if err := archive.ImportRoster(b.Context(), roster); err != nil {
		b.Fatal(err)
	}
	n := uint64(0)
	for _, s := range roster.Schools(0) {
		var facts []canyu.Recorded
		var touched []canyu.Class
		for _, c := range s.Classes {
			touched = append(touched, s.Class(c))
			for d := range canyu.Day(days) {
				n++
				facts = append(facts, canyu.Recorded{Participation: canyu.Participation{Class: s.Class(c), Role: canyu.Student, Participant: canyu.Participant(n),
					ID: n, At: (a.FirstDay + d).Start(a.Zone).Add(8*time.Hour + time.Duration(n%600)*time.Minute/10), Day: a.FirstDay + d}, Outcome: canyu.Outcome{Counted: true, Ordinal: n}})
			}
		}
		if err := archive.Store(b.Context(), a.ID, facts); err != nil {
			b.Fatal(err)
		}
		if err := archive.Restate(b.Context(), a.ID, touched); err != nil {
			b.Fatal(err)
		}
	}
	if err := ledger.Restore(b.Context(), a.ID, "epoch", "print", archive.Participants(b.Context(), a.ID), nil); err != nil {
		b.Fatal(err)
	}
	now := (a.FirstDay + days - 1).Start(a.Zone).Add(20 * time.Hour)
	page := func(get func(string) (int, string), what, path string) {
		began := time.Now()
		status, body := get(path)
		took := time.Since(began)
		m := regexp.MustCompile(`id="count">([\d,]+)<`).FindStringSubmatch(body)
		if status != 200 || m == nil {
			b.Fatalf("%d %s", status, body)
		}
		later := strings.Contains(body, "data-later")
		b.Logf("%s %s: %s students in %s, %d bytes, days and curve follow: %v", what, path, m[1], took.Round(time.Millisecond), len(body), later)
		b.ReportMetric(float64(took.Milliseconds()), "ms-"+what)
	}
	for b.Loop() {
		get := pagesOf(&reports.Pages{Activities: []*canyu.Activity{a}, Archive: archive, Ledger: ledger, Now: func() time.Time { return now.Add(time.Since(started)) }})
		page(get, "cold", "/bureau/340000")
		page(get, "again", "/bureau/340000")
		page(get, "schools", "/bureau/340000?by=school&sort=rate")
		<-time.After(3 * time.Second)
		page(get, "later", "/bureau/340000")
		page(get, "city", "/bureau/340100")
	}
}

var started = time.Now()
