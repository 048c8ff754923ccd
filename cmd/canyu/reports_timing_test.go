package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/clickhousearchive"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// activityOf is the activity of the benchmarks.
func activityOf(b *testing.B) *canyu.Activity {
	b.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		b.Fatal(err)
	}
	first := canyu.NewDay(2017, time.April, 1)
	return &canyu.Activity{ID: "nation", Title: canyu.Text{"zh-Hans": "网上祭英烈"}, Zone: zone, FirstDay: first, LastDay: first + 6, Steps: []string{"bow"},
		RequiredGrades: []uint8{3, 4, 5, 6}, Roles: []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher}, Identify: canyu.BySeat,
		Report: canyu.ReportPlan{Hour: 16, Minute: 30, Days: canyu.WorkingDays, Recipients: map[canyu.Region][]string{}}}
}

func countyOf(c int) canyu.Region { return canyu.Region(340100 + c/90*100 + c%90 + 1) }

// oneCounty has schools, and a little participation of every class on each of five days.
func oneCounty(b *testing.B, schools, classes, perDay int) (*canyu.Activity, canyu.Archive) {
	b.Helper()
	a, region := activityOf(b), countyOf(0)
	first, zone := a.FirstDay, a.Zone
	archive, err := embeddedarchive.Open(b.Context(), filepath.Join(b.TempDir(), "archive.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { archive.Close() })
	var entries []canyu.RosterEntry
	for s := range schools {
		for k := range classes {
			entries = append(entries, canyu.RosterEntry{Region: region, School: canyu.SchoolCode(uint64(region)*10000 + uint64(s) + 1),
				Name: fmt.Sprintf("第%d小学", s+1), Grade: uint8(k%6 + 1), Class: uint16(k/6 + 1), Enrolled: 50})
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
	return a, archive
}

// A county of 300 schools and 9,000 classes, from the archive to all forms: a second at most.
func BenchmarkReportCounty(b *testing.B) {
	a, archive := oneCounty(b, 300, 30, 6)
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

// The nation as it is: 3,000 counties, 70 schools in each with 19 classes of 40
// pupils, which is 210,000 schools, 4 million classes and 160 million pupils (the
// ministry's bulletin of 2021 counts 207,200 schools of the nine compulsory years,
// with 158 million pupils), and 20 million who took part, over five days. All
// counties are due in the same minute: frozen, rendered and mailed into nowhere.
//
//	CANYU_TEST_CLICKHOUSE=clickhouse://… go test -run xxx -bench ReportNation -benchtime 1x -timeout 60m ./cmd/canyu
func BenchmarkReportNation(b *testing.B) {
	const counties, schools, classes = 3000, 70, 19
	dsn, _, _ := strings.Cut(os.Getenv("CANYU_TEST_CLICKHOUSE"), " ")
	if dsn == "" {
		b.Fatal("set CANYU_TEST_CLICKHOUSE to a server that has 2 GB to spare")
	}
	a := activityOf(b)
	a.Report.Days, a.Report.List = canyu.ListedDays, []canyu.Day{a.FirstDay + 4}
	for c := range counties {
		a.Report.Recipients[countyOf(c)] = []string{fmt.Sprintf("county%d@school.test", c)}
	}
	archive := fillNation(b, dsn, a, counties*schools*classes, fmt.Sprintf(
		`intDiv(number, %[1]d) AS c, intDiv(number, %[2]d) %% %[3]d AS s, number %% %[2]d AS k,
		toUInt64(340100 + intDiv(c, 90) * 100 + c %% 90 + 1) AS county, county * 10000 + s + 1 AS school,
		toUInt8(k %% 6 + 1) AS grade, toUInt16(intDiv(k, 6) + 1) AS class`, schools*classes, classes, schools))
	ledger, err := embeddedledger.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ledger.Close() })
	calendar, err := reports.LoadCalendar("")
	if err != nil {
		b.Fatal(err)
	}
	mailer := &nowhere{}
	s := &reports.Scheduler{Sender: &reports.Sender{Archive: archive, Ledger: ledger, Calendar: calendar, Mailer: mailer, Activities: []*canyu.Activity{a},
		Holder: "bench", Now: func() time.Time { return reports.DueAt(a, a.FirstDay+4) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	before := processorTime(b)
	for b.Loop() {
		if err := s.Tick(b.Context(), s.Now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Minutes(), "minutes")
	b.ReportMetric((processorTime(b) - before).Minutes(), "cpu-minutes")
	b.ReportMetric(peak(b), "MiB-at-most")
	b.ReportMetric(float64(mailer.mails.Load()), "mails")
	frozen, err := archive.Frozen(b.Context(), a.ID, countyOf(counties-1))
	if err != nil || len(frozen) != 1 {
		b.Fatalf("the last county has %d reports, %v", len(frozen), err)
	}
	r, err := reports.Thaw(a, frozen[0])
	if err != nil || mailer.mails.Load() != counties || len(r.Schools) != schools || r.Total.Enrolled != schools*classes*40 || r.Total.Submissions.Total != schools*classes*5 {
		b.Fatalf("%d mails; the last county has %d schools, %+v, %v", mailer.mails.Load(), len(r.Schools), r.Total, err)
	}
}

// fillNation writes roster, facts and rollups where they belong, which takes the
// server a minute; through the archive it would take an hour.
func fillNation(b *testing.B, dsn string, a *canyu.Activity, classes int, class string) canyu.Archive {
	b.Helper()
	dsn = database(b, dsn)
	archive, err := clickhousearchive.Open(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { archive.Close() })
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	opts.ReadTimeout = 30 * time.Minute
	server, err := clickhouse.Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	at, day := fmt.Sprintf("toInt64(%d) + d * 86400000", a.FirstDay.Start(a.Zone).Add(9*time.Hour).UnixMilli()), fmt.Sprintf("toDate('%s') + d", a.FirstDay)
	each := fmt.Sprintf("FROM (SELECT number, %s FROM numbers(%d))", class, classes)
	daily := "FROM (SELECT *, arrayJoin(range(5)) AS d " + each + ")"
	role := fmt.Sprintf("toUInt8(%d)", uint8(canyu.Student))
	for _, fill := range []string{
		"roster (school, import, region, name, grade, class, enrolled) SELECT school, toUInt64(1), toUInt32(county), concat('第', toString(s + 1), '小学'), grade, class, toUInt16(40) " + each,
		"roster_imports (import) SELECT toUInt64(1)",
		"participants (activity, school, grade, class, role, participant, at, day, ordinal) SELECT '" + a.ID + "', school, grade, class, " + role + ", number * 5 + d, " + at + ", " + day + ", number * 5 + d " + daily,
		"submissions (activity, school, grade, class, role, participant, id, at, day, message) SELECT '" + a.ID + "', school, grade, class, " + role + ", number * 5 + d, number * 5 + d, " + at + ", " + day + ", '缅怀先烈，吾辈自强。' " + daily,
		"rollups (activity, school, grade, class, role, day, participants, submissions, version) SELECT '" + a.ID + "', school, grade, class, " + role + ", " + day + ", toUInt64(1), toUInt64(1), toUInt64(1) " + daily,
	} {
		if err := server.Exec(b.Context(), "INSERT INTO "+fill); err != nil {
			b.Fatalf("%v: %.200s", err, fill)
		}
	}
	return archive
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that the process ever held, in MiB.
func peak(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}

type nowhere struct{ mails atomic.Int64 }

func (n *nowhere) Wait(context.Context) error { return nil }
func (n *nowhere) Domain() string             { return "example.org" }
func (n *nowhere) Mail(context.Context, *reports.Mail) (string, error) {
	n.mails.Add(1)
	return "250 gone", nil
}
