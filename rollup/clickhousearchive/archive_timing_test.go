package clickhousearchive_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// BenchmarkArchive stores different pupils in 20,000 classes, 100,000 a call, and
// times what a worker and a verification do with them. CANYU_BENCH_PARTICIPANTS
// says how many (a million).
func BenchmarkArchive(b *testing.B) {
	participants := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("CANYU_BENCH_PARTICIPANTS")); err == nil {
		participants = n
	}
	for i, server := range servers(b) {
		b.Run(fmt.Sprint("server ", i+1), func(b *testing.B) {
			a, err := clickhousearchive.Open(b.Context(), database(b, server))
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			for b.Loop() {
				bench(b, a, participants)
			}
		})
	}
}

func bench(b *testing.B, a *clickhousearchive.Archive, participants int) {
	const activity = "qingming-2017"
	chance := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
	classes := make([]canyu.Class, 20_000)
	for i := range classes {
		classes[i] = canyu.Class{School: canyu.SchoolCode(3418020000 + i/30), Grade: uint8(1 + i%30/5), Number: uint16(1 + i%5)}
	}
	timed := func(what string, per int, do func() error) {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		b.ReportMetric(float64(took.Microseconds())/1000, "ms/"+what)
		if per > 0 {
			b.ReportMetric(float64(took.Microseconds())/float64(per), "µs/"+what+"-each")
		}
	}
	var storing time.Duration
	for stored := 0; stored < participants; {
		rs := make([]canyu.Recorded, min(100_000, participants-stored))
		for i := range rs {
			rs[i] = canyu.Recorded{
				Participation: canyu.Participation{
					Class: classes[chance.IntN(len(classes))], Role: canyu.Student, Participant: canyu.Participant(chance.Uint64() >> 1),
					ID: chance.Uint64(), At: at.Add(time.Duration(stored+i) * time.Millisecond), Day: 17257 + canyu.Day(chance.IntN(7)),
				},
				Outcome: canyu.Outcome{Counted: true, Ordinal: uint64(stored + i + 1)},
			}
		}
		stored += len(rs)
		began := time.Now()
		if err := a.Store(b.Context(), activity, rs); err != nil {
			b.Fatal(err)
		}
		storing += time.Since(began)
	}
	b.ReportMetric(float64(storing.Microseconds())/float64(participants), "µs/participation")
	timed("restate-all", len(classes), func() error { return a.Restate(b.Context(), activity, classes) })
	timed("restate-200", 200, func() error { return a.Restate(b.Context(), activity, classes[5000:5200]) })
	timed("rollups", 0, func() error {
		rs, err := a.Rollups(b.Context(), activity, nil, 17257, 17263)
		if err == nil && len(rs) == 0 {
			err = fmt.Errorf("no rollups")
		}
		return err
	})
	timed("tallies", 0, func() error { _, err := a.Tallies(b.Context(), activity, nil); return err })
	timed("participants", participants, func() (last error) {
		n := 0
		for _, err := range a.Participants(b.Context(), activity) {
			n, last = n+1, err
		}
		if last == nil && n < participants {
			last = fmt.Errorf("%d participants of %d", n, participants)
		}
		return last
	})
	timed("messages-of-a-school", 0, func() error {
		_, err := a.Messages(b.Context(), activity, []canyu.SchoolCode{3418020100}, 17257, 100)
		return err
	})
}
