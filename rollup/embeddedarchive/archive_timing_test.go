package embeddedarchive_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// processorTime tells on a busy machine what the wall clock does not.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStore stores different pupils and then restates their classes. The
// calls of 10,000 that go at random over 20,000 classes are the worst case: each
// row is on a page of its own.
func BenchmarkStore(b *testing.B) {
	for _, c := range []struct{ classes, rows int }{{400, 10_000}, {20_000, 10_000}, {20_000, 50_000}} {
		classes := c.classes
		b.Run(fmt.Sprintf("%dclasses/%drows", classes, c.rows), func(b *testing.B) {
			a, err := embeddedarchive.Open(b.Context(), filepath.Join(b.TempDir(), "archive.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			chance := rand.New(rand.NewPCG(1, uint64(classes)))
			at := time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
			all := make([]canyu.Class, classes)
			for i := range all {
				all[i] = canyu.Class{School: canyu.SchoolCode(3418020000 + i/30), Grade: uint8(1 + i%30/5), Number: uint16(1 + i%5)}
			}
			rs := make([]canyu.Recorded, c.rows)
			stored, spent := 0, time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				for i := range rs {
					rs[i] = canyu.Recorded{
						Participation: canyu.Participation{
							Class: all[chance.IntN(classes)], Role: canyu.Student, Participant: canyu.Participant(chance.Uint64() >> 1),
							ID: chance.Uint64(), At: at.Add(time.Duration(stored+i) * time.Millisecond), Day: 17257,
						},
						Outcome: canyu.Outcome{Counted: true, Ordinal: uint64(stored + i + 1)},
					}
				}
				stored += len(rs)
				before := processorTime()
				b.StartTimer()
				if err := a.Store(b.Context(), "qingming-2017", rs); err != nil {
					b.Fatal(err)
				}
				spent += processorTime() - before
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(stored), "cpu-µs/participation")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(stored), "µs/participation")
			began := time.Now()
			if err := a.Restate(b.Context(), "qingming-2017", all); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/float64(classes), "µs/restated-class")
			b.ReportMetric(float64(stored), "rows")
		})
	}
}
