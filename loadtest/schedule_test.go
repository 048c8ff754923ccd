package loadtest_test

import (
	"math"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest"
)

func TestScheduleDue(t *testing.T) {
	t.Parallel()
	bell := loadtest.Bell{Peak: 100, Rise: 2 * time.Second, Hold: 3 * time.Second, Decay: 4 * time.Second} // 100 + 300 + 200 requests
	f := func(s loadtest.Schedule, n int64, want time.Duration, wantOK bool) {
		t.Helper()
		got, ok := s.Due(n)
		if ok != wantOK || ok && (got-want).Abs() > time.Microsecond {
			t.Errorf("%s: request %d is due at %v, %v; want %v, %v", s, n, got, ok, want, wantOK)
		}
	}
	f(loadtest.Constant(1000), 0, 0, true)
	f(loadtest.Constant(1000), 1, time.Millisecond, true)
	f(loadtest.Constant(1000), 3_600_000, time.Hour, true)
	f(loadtest.Constant(0.5), 3, 6*time.Second, true)
	f(loadtest.Constant(0), 0, 0, false)
	f(loadtest.Flood{}, 0, loadtest.Whenever, true)
	f(loadtest.Flood{}, 1<<40, loadtest.Whenever, true)

	f(bell, -1, 0, false)
	f(bell, 0, 0, true)
	f(bell, 25, time.Second, true) // half of the rise brings a quarter of it
	f(bell, 100, 2*time.Second, true)
	f(bell, 250, 3500*time.Millisecond, true)
	f(bell, 400, 5*time.Second, true)
	f(bell, 550, 7*time.Second, true) // half of the decay leaves a quarter
	f(bell, 599, time.Duration((9-math.Sqrt(2*4*0.01))*float64(time.Second)), true)
	f(bell, 600, 0, false)
	f(loadtest.Bell{Peak: 10, Hold: time.Second}, 9, 900*time.Millisecond, true) // no rise, no decay
	f(loadtest.Bell{Peak: 10, Hold: time.Second}, 10, 0, false)
}

func TestBellIsMonotoneAndComplete(t *testing.T) {
	t.Parallel()
	b := loadtest.Bell{Peak: 7300, Rise: 1300 * time.Millisecond, Hold: 400 * time.Millisecond, Decay: 2100 * time.Millisecond}
	last := time.Duration(-1)
	for n := range b.Total() {
		at, ok := b.Due(n)
		if !ok || at < last || at > b.Rise+b.Hold+b.Decay {
			t.Fatalf("request %d is due at %v, %v, after one at %v", n, at, ok, last)
		}
		last = at
	}
	if _, ok := b.Due(b.Total()); ok {
		t.Error("there is one request too many")
	}
}
