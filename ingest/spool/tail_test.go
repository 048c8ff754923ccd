package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/canyu/canyu/ingest/spool"
)

func tail(t *testing.T, s *spool.Spool, size int64) (*spool.Tail, []spool.Taken) {
	t.Helper()
	tail, taken, err := s.Tail("a", size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tail.Close() })
	return tail, taken
}

func add(t *testing.T, to *spool.Tail, from, until int) {
	t.Helper()
	for n := from; n < until; n++ {
		b := spool.Taken{Epoch: "epoch", Kept: spool.Kept{Writer: "w", Sequence: uint64(n), Size: 3, Payload: fmt.Appendf(nil, "payload %05d", n)}}
		if err := to.Add(&b); err != nil {
			t.Fatal(err)
		}
	}
}

// follow checks that taken are the batches up to last, in order, and returns the
// first.
func follow(t *testing.T, taken []spool.Taken, last int) (first int) {
	t.Helper()
	for i, b := range taken {
		n := last - len(taken) + 1 + i
		if b.Epoch != "epoch" || b.Writer != "w" || b.Sequence != uint64(n) || b.Size != 3 || string(b.Payload) != fmt.Sprintf("payload %05d", n) {
			t.Fatalf("batch %d of %d, want number %d: %+v", i, len(taken), n, b)
		}
	}
	return last - len(taken) + 1
}

// The newest batches are there for whoever comes next, whatever was written over.
func TestTail(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 1<<20)
	const size = 2000 // of some forty bytes each
	n := 0
	for _, more := range []int{0, 1, 10, 20, 3, 70, 500} {
		now, taken := tail(t, s, size)
		if first := follow(t, taken, n-1); n-first < min(n, 15) {
			t.Fatalf("of %d, %d are left", n, n-first)
		}
		add(t, now, n, n+more)
		n += more
	}
	now, _ := tail(t, s, size)
	if err := now.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, taken := tail(t, s, size); len(taken) != 0 {
		t.Fatalf("cleared, it has %d", len(taken))
	}
	add(t, now, n, n+2)
	if _, taken := tail(t, s, size); len(taken) != 2 {
		t.Fatalf("%d of two", len(taken))
	}
}

// What a power cut left damaged ends it there, and is written over.
func TestTailDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	now, _ := tail(t, s, 10_000)
	add(t, now, 0, 10)
	path := filepath.Join(dir, "tail-a-0")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)*7/10]++
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	now, taken := tail(t, s, 10_000)
	if len(taken) != 7 && len(taken) != 6 {
		t.Fatalf("%d are whole", len(taken))
	}
	follow(t, taken, len(taken)-1)
	add(t, now, len(taken), 12)
	if _, taken := tail(t, s, 10_000); follow(t, taken, 11) != 0 {
		t.Fatalf("it begins with %d", 12-len(taken))
	}
}
