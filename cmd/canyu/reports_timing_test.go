package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// nation is a roster of counties with the same schools, and a little participation
// of every class on each of five days.
func nation(b *testing.B, counties, schools, classes, perDay int) (*canyu.Activity, canyu.Archive, canyu.Ledger) {
	b.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		b.Fatal(err)
	}
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
	first := canyu.NewDay(2017, time.April, 1)
	a := &canyu.Activity{ID: "nation", Title: canyu.Text{"zh-Hans": "网上祭英烈"}, Zone: zone, FirstDay: first, LastDay: first + 6, Steps: []string{"bow"},
		RequiredGrades: []uint8{3, 4, 5, 6}, Roles: []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher}, Identify: canyu.BySeat,
		Report: canyu.ReportPlan{Hour: 16, Minute: 30, Days: canyu.WorkingDays, Recipients: map[canyu.Region][]string{}}}
	var entries []canyu.RosterEntry
	for c := range counties {
		region := canyu.Region(340100 + c/90*100 + c%90 + 1)
		a.Report.Recipients[region] = []string{fmt.Sprintf("county%d@school.test", c)}
		for s := range schools {
			for k := range classes {
				entries = append(entries, canyu.RosterEntry{Region: region, School: canyu.SchoolCode(uint64(region)*10000 + uint64(s) + 1),
					Name: fmt.Sprintf("第%d小学", s+1), Grade: uint8(k%6 + 1), Class: uint16(k/6 + 1), Enrolled: 50})
			}
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
			for d := range canyu.Day(5) {
				for range perDay {
					n++
					facts = append(facts, canyu.Recorded{Participation: canyu.Participation{Class: s.Class(c), Role: canyu.Roles[n%3], Participant: canyu.Participant(n),
						ID: n, At: (first + d).Start(zone).Add(9 * time.Hour), Day: first + d}, Outcome: canyu.Outcome{Counted: true, Ordinal: n}})
				}
			}
		}
		if err := archive.Store(b.Context(), a.ID, facts); err != nil {
			b.Fatal(err)
		}
		if err := archive.Restate(b.Context(), a.ID, touched); err != nil {
			b.Fatal(err)
		}
	}
	return a, archive, ledger
}

// A county of 300 schools and 9,000 classes, from the archive to all forms: a second at most.
func BenchmarkReportCounty(b *testing.B) {
	a, archive, _ := nation(b, 1, 300, 30, 6)
	calendar, err := reports.LoadCalendar("")
	if err != nil {
		b.Fatal(err)
	}
	day := a.FirstDay + 4
	for b.Loop() {
		r, err := reports.Build(b.Context(), archive, a, calendar, 340101, day, reports.DueAt(a, day))
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Write(b.Context(), b.TempDir(), ""); err != nil {
			b.Fatal(err)
		}
	}
}

// All counties due in the same minute, frozen, rendered and mailed into nowhere.
// The 3,000 of the nation, at a tenth of their size:
//
//	go test -run xxx -bench ReportNation -benchtime 1x ./cmd/canyu
func BenchmarkReportNation(b *testing.B) {
	a, archive, ledger := nation(b, 3000, 3, 30, 1)
	calendar, err := reports.LoadCalendar("")
	if err != nil {
		b.Fatal(err)
	}
	mailer := &nowhere{}
	s := &reports.Scheduler{Sender: &reports.Sender{Archive: archive, Ledger: ledger, Calendar: calendar, Mailer: mailer, Activities: []*canyu.Activity{a},
		Holder: "bench", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	runtime.GC()
	for b.Loop() {
		if err := s.Tick(b.Context(), reports.DueAt(a, a.FirstDay)); err != nil {
			b.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "MiB")
	b.ReportMetric(float64(mailer.mails.Load()), "mails")
}

type nowhere struct{ mails atomic.Int64 }

func (n *nowhere) Wait(context.Context) error { return nil }
func (n *nowhere) Domain() string             { return "example.org" }
func (n *nowhere) Mail(context.Context, *reports.Mail) (string, error) {
	n.mails.Add(1)
	return "250 gone", nil
}
