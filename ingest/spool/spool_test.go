package spool_test

import (
	"errors"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/spool"
)

func batch(activity string, sequence uint64, n int) *canyu.Batch {
	b := &canyu.Batch{Activity: activity, Writer: "w", Sequence: sequence}
	for i := range n {
		b.Participations = append(b.Participations, canyu.Participation{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Role: canyu.Student,
			Participant: canyu.Participant(sequence*100 + uint64(i)), At: time.UnixMilli(1491004800123).UTC(), Day: 17257, Message: "缅怀先烈"})
	}
	return b
}

func open(t *testing.T, dir string, limit int64) *spool.Spool {
	t.Helper()
	s, err := spool.Open(t.Context(), dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What was appended comes back in order, also after a restart, with its writer and
// sequence, each activity by itself.
func TestSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	for n := range uint64(3) {
		for _, a := range []string{"a", "b"} {
			if err := s.Append(t.Context(), batch(a, n+1, 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := spool.Open(t.Context(), dir, 1<<20); err == nil {
		t.Fatal("two have the same spool")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	for n := range uint64(3) {
		if got := s.Waiting("a"); got != 2*int(3-n) {
			t.Fatalf("%d wait", got)
		}
		e, err := s.First(t.Context(), "a")
		if err != nil || e == nil {
			t.Fatalf("First: %v, %v", e, err)
		}
		want := batch("a", n+1, 2)
		if e.Batch.Writer != "w" || e.Batch.Sequence != n+1 || len(e.Batch.Participations) != 2 || e.Batch.Participations[1] != want.Participations[1] {
			t.Fatalf("First: %+v, want %+v", e.Batch, want)
		}
		if err := s.Remove(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.First(t.Context(), "a"); e != nil || err != nil {
		t.Fatalf("an empty spool has %v, %v", e, err)
	}
	if n := s.Waiting("b"); n != 6 {
		t.Fatalf("%d of b wait, want 6", n)
	}
}

func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 1000)
	n := 0
	for ; n < 100; n++ {
		if err := s.Append(t.Context(), batch("a", uint64(n+1), 2)); err != nil {
			if !errors.Is(err, spool.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if n == 0 || n == 100 || s.Waiting("a") != 2*n {
		t.Fatalf("%d batches taken, %d wait", n, s.Waiting("a"))
	}
	e, err := s.First(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), batch("a", 1000, 2)); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
}
