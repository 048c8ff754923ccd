package ingest

import (
	"runtime"
	"testing"

	"github.com/canyu/canyu/ingest/spool"
)

// What was recorded last takes as much memory as it may, also where every batch has one
// participation.
func TestRecentIsBounded(t *testing.T) {
	inUse := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	var r recent
	before := inUse()
	const batches = 1_000_000
	for n := range uint64(batches) {
		r.add(spool.Taken{Epoch: "epoch", Kept: spool.Kept{Writer: "writer", Sequence: n, Size: 1, Payload: make([]byte, 80)}})
	}
	if took := inUse() - before; took > recentBytes*5/4 { // the array may have room for more
		t.Errorf("%d batches take %d MB, at most %d", batches, took>>20, recentBytes*5/4>>20)
	}
	if n := len(r.batches); n < batches/5 || r.batches[n-1].Sequence != batches-1 {
		t.Errorf("%d batches are left, the last of them number %d", n, r.batches[n-1].Sequence)
	}
}
