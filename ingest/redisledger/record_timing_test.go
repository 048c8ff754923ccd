package redisledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
)

// What a batch costs, Redis and the way there included; ns/participation is what counts.
func BenchmarkRecord(b *testing.B) {
	for _, parameters := range []string{"", "?shards=4", "?shards=16"} {
		for _, size := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", parameters, size), func(b *testing.B) {
				ctx := context.Background()
				l, err := redisledger.Open(ctx, os.Getenv("CANYU_TEST_REDIS")+parameters)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				activity := fmt.Sprintf("bench-%d", rand.Uint32())
				epoch, err := l.Begin(ctx, activity, "", "key")
				if err != nil {
					b.Fatal(err)
				}
				batch := canyu.Batch{Activity: activity, Epoch: epoch, Writer: "w", Participations: make([]canyu.Participation, size)}
				b.ReportAllocs()
				for b.Loop() {
					batch.Sequence++
					batch.Payload = nil
					for i := range batch.Participations {
						batch.Participations[i] = canyu.Participation{Role: canyu.Student, Participant: canyu.Participant(rand.Uint64() >> 1),
							Class: canyu.Class{School: 3418020001 + canyu.SchoolCode(rand.Uint64N(300)), Grade: 3, Number: uint16(1 + rand.Uint32N(20))}}
					}
					if err := l.Record(ctx, &batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/participation")
				if err := l.Purge(ctx, activity); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
