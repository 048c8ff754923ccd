package embeddedledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
)

// The sets are saved to an end while every class goes on to fill, and a process that
// opens the ledger as it is in the file finds everybody.
func TestSavingEndsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := embeddedledger.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SaveAfter(1)
	epoch, err := l.Begin(t.Context(), "a", "", "key")
	if err != nil {
		t.Fatal(err)
	}
	const classes = 2000 // twenty times as many as are saved at once
	var all []canyu.Class
	for n := range classes {
		all = append(all, canyu.Class{School: canyu.SchoolCode(3418020001 + n%7), Grade: uint8(1 + n%12), Number: uint16(1 + n/12)})
	}
	sequence := uint64(0)
	record := func() error {
		sequence++
		b := &canyu.Batch{Activity: "a", Epoch: epoch, Writer: "w", Sequence: sequence}
		for _, c := range all {
			b.Participations = append(b.Participations, canyu.Participation{Class: c, Role: canyu.Student, Participant: canyu.Participant(sequence)})
		}
		return l.Record(context.WithoutCancel(t.Context()), b)
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	loading, stop := context.WithCancel(t.Context())
	running, done := make(chan struct{}), make(chan error)
	go func() {
		err := record()
		close(running)
		for err == nil && loading.Err() == nil {
			err = record()
		}
		done <- err
	}()
	<-running
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = l.Acknowledge(patience, "a", 0, "1")
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatalf("saving did not end: %v", err)
	}
	beside, err := embeddedledger.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	if n, err := beside.Total(t.Context(), "a"); err != nil || n != classes*int(sequence) {
		t.Fatalf("the file knows %d participants, %v; want %d", n, err, classes*int(sequence))
	}
}
