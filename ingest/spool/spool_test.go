package spool_test

import (
	"errors"
	"os"
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
	// At most four at once are two batches, then one is left.
	for _, c := range []struct{ waiting, size int }{{6, 4}, {2, 2}} {
		if got := s.Waiting("a"); got != c.waiting {
			t.Fatalf("%d wait, want %d", got, c.waiting)
		}
		e, err := s.Next(t.Context(), "a", 4)
		if err != nil || e == nil {
			t.Fatalf("Next: %v, %v", e, err)
		}
		last := uint64(6-c.waiting+c.size) / 2
		first := batch("a", last-uint64(c.size)/2+1, 2)
		if e.Batch.Writer != "w" || e.Batch.Sequence != last || len(e.Batch.Participations) != c.size || e.Batch.Participations[1] != first.Participations[1] {
			t.Fatalf("Next: %+v, want %d up to batch %d", e.Batch, c.size, last)
		}
		if err := s.Remove(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.Next(t.Context(), "a", 4); e != nil || err != nil {
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
	e, err := s.Next(t.Context(), "a", 2)
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

// Batches of two writers, or that do not rise, stay apart: joined, they would be one
// batch of one of them.
func TestSpoolKeepsWritersApart(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 1<<20)
	for _, b := range []struct {
		writer   string
		sequence uint64
	}{{"v", 7}, {"v", 9}, {"w", 10}, {"w", 11}, {"w", 3}} {
		all := batch("a", b.sequence, 2)
		all.Writer = b.writer
		if err := s.Append(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct {
		writer   string
		sequence uint64
		size     int
	}{{"v", 9, 4}, {"w", 11, 4}, {"w", 3, 2}} {
		e, err := s.Next(t.Context(), "a", 1000)
		if err != nil || e == nil {
			t.Fatalf("Next: %v, %v", e, err)
		}
		if b := e.Batch; b.Writer != want.writer || b.Sequence != want.sequence || len(b.Participations) != want.size {
			t.Errorf("%s %d with %d participations, want %v", b.Writer, b.Sequence, len(b.Participations), want)
		}
		if err := s.Remove(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Waiting("a"); n != 0 {
		t.Errorf("%d wait", n)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	if v, err := s.Recall(t.Context(), "roster"); v != nil || err != nil {
		t.Fatalf("recalls %q, %v", v, err)
	}
	for _, v := range []string{"one", "two"} {
		if err := s.Remember(t.Context(), "roster", []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := open(t, dir, 1<<20).Recall(t.Context(), "roster"); string(v) != "two" || err != nil {
		t.Fatalf("recalls %q, %v", v, err)
	}
}

// What is kept is about children: nobody but its owner reads it.
func TestFilesAreTheOwners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, 1<<20)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}
