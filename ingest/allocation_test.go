//go:build !race

package ingest

import (
	"testing"
	"time"
)

// The hot path makes no garbage of its own: what is allocated under a burst is
// paid for by everybody who waits.
func TestAcceptAllocatesNothing(t *testing.T) {
	s, d, at := served(t), decoders.New().(*decoder), time.Date(2017, 4, 1, 8, 0, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(1000, func() { acceptOnce(t, s, d, at) }); n > 0 {
		t.Errorf("%v allocations a submission, want 0", n)
	}
}
