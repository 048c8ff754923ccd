package archivetest

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func testEpoch(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	equal(t, "new", get[string](t)(a.Epoch(t.Context(), act)), "")
	for _, epoch := range []string{"0f1e2d3c", "zweite", "zweite", "0f1e2d3c", "", "dritte"} {
		must(t, a.SetEpoch(t.Context(), act, epoch))
		equal(t, "epoch", get[string](t)(a.Epoch(t.Context(), act)), epoch)
		equal(t, "epoch, seen by another", get[string](t)(b.Epoch(t.Context(), act)), epoch)
		equal(t, "begun", slices.Contains(get[[]string](t)(b.Begun(t.Context())), act), epoch != "")
		a, b = b, a
	}
	equal(t, "of another activity", get[string](t)(a.Epoch(t.Context(), activity())), "")
}

func testFreeze(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	report := func(region canyu.Region, d canyu.Day, revision int, body string) canyu.Frozen {
		return canyu.Frozen{Activity: act, Region: region, Day: d, Revision: revision, AsOf: time.Date(2017, 4, 1, 8, 30, 0, 0, time.UTC), Body: []byte(body)}
	}
	utc := func(f canyu.Frozen) canyu.Frozen { f.AsOf = f.AsOf.UTC(); return f }
	freeze := func(f canyu.Frozen) canyu.Frozen { return utc(get[canyu.Frozen](t)(a.Freeze(t.Context(), f))) }
	one := report(341802, day1, 1, `{"title":"网上祭英烈 it's \\ "}`)
	equal(t, "the first", freeze(one), one)
	other := one
	other.Body, other.AsOf = []byte("other"), one.AsOf.Add(time.Hour)
	equal(t, "the first stays", freeze(other), one)
	long := report(341800, day1, 1, string(bytes.Repeat([]byte(`{"school":"3418020001"},`), 100_000))) // 2.4 MB: more than a query may have
	equal(t, "a long one", len(freeze(long).Body), len(long.Body))
	later := []canyu.Frozen{report(341802, day2, 2, "b"), report(341802, day2, 1, "a"), report(341802, day1, 2, "c"), report(341802, day2, 10, "d")}
	for _, f := range later {
		equal(t, "another", freeze(f), f)
	}
	must(t, a.SetEpoch(t.Context(), act, "x"))
	list := func(act string, region canyu.Region) (got []canyu.Frozen) {
		for _, f := range get[[]canyu.Frozen](t)(a.Frozen(t.Context(), act, region)) {
			got = append(got, utc(f))
		}
		return got
	}
	equal(t, "of one region", list(act, 341802), []canyu.Frozen{one, later[2], later[1], later[0], later[3]})
	equal(t, "of all", len(list(act, 0)), 6)
	equal(t, "of a region without any", len(list(act, 110000)), 0)
	equal(t, "of another activity", len(list(activity(), 0)), 0)
}

func testDeliveries(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	of := func(region canyu.Region, d canyu.Day, revision int, to string) canyu.Delivery {
		return canyu.Delivery{Activity: act, Region: region, Day: d, Revision: revision, Recipient: to, State: canyu.Pending, At: time.Date(2017, 4, 1, 8, 30, 0, 0, time.UTC)}
	}
	want := []canyu.Delivery{
		of(341800, day1, 1, "a@example.org"), of(341802, day1, 1, "a@example.org"), of(341802, day1, 1, "'b'@例え.org"), of(341802, day1, 2, "a@example.org"), of(341800, day2, 1, "a@example.org"),
	}
	want[1], want[2] = want[2], want[1]
	letter := of(341802, day1, 1, "a@example.org") // the same address, as its school's
	letter.School = schoolA
	want = slices.Insert(want, 3, letter)
	for _, i := range []int{3, 1, 4, 0, 2, 5} {
		must(t, a.SetDelivery(t.Context(), want[i]))
	}
	inRegion := func(region canyu.Region) (got []canyu.Delivery) {
		for _, d := range get[[]canyu.Delivery](t)(b.Deliveries(t.Context(), act, region)) {
			d.At = d.At.UTC()
			got = append(got, d)
		}
		return got
	}
	list := func() []canyu.Delivery { return inRegion(0) }
	equal(t, "deliveries", list(), want)
	equal(t, "of one region", inRegion(341802), want[1:5])
	equal(t, "of a region without any", len(inRegion(110000)), 0)
	for i, state := range []canyu.DeliveryState{canyu.Sending, canyu.Retrying, canyu.Sending, canyu.Sent, canyu.Failed} {
		d := &want[2]
		d.State, d.Attempts, d.At, d.Answer = state, i/2+1, d.At.Add(time.Duration(i-2)*time.Minute), "451 4.7.1 系统忙 \\ 'later'"
		must(t, []canyu.Archive{a, b}[i%2].SetDelivery(t.Context(), *d))
		equal(t, "deliveries after "+string(state), list(), want)
	}
}

func testReopen(t *testing.T, open Open) {
	act := activity()
	for i := range 3 {
		a, err := open(t.Context())
		must(t, err)
		must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, canyu.Participant(i), noon1)}))
		must(t, a.Restate(t.Context(), act, []canyu.Class{class32}))
		must(t, a.SetEpoch(t.Context(), act, "epoch"))
		must(t, a.ImportRoster(t.Context(), roster(t, canyu.RosterEntry{Region: 341802, School: schoolA + canyu.SchoolCode(i), Name: "A", Grade: 3, Class: 2, Enrolled: 50})))
		must(t, a.Close())
	}
	a := begin(t, open)
	want := []canyu.Rollup{student(class32, day1, 3, 3)}
	equal(t, "tallies", tallies(t, a, act), want)
	equal(t, "rollups", rollups(t, a, act), want)
	equal(t, "epoch", get[string](t)(a.Epoch(t.Context(), act)), "epoch")
	equal(t, "roster", len(entries(t, a)), 3)
}

func testOpenAtOnce(t *testing.T, open Open) {
	act := activity()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			a, err := open(t.Context())
			if err != nil {
				t.Errorf("cannot open: %v", err)
				return
			}
			if err := a.Store(t.Context(), act, []canyu.Recorded{first(class32, canyu.Participant(i), noon1)}); err != nil {
				t.Errorf("Store: %v", err)
			}
			if err := a.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	equal(t, "tallies", tallies(t, begin(t, open), act), []canyu.Rollup{student(class32, day1, 6, 6)})
}

// testCancelled: a context that is over is an error, not a silence that could be
// taken for "there is nothing".
func testCancelled(t *testing.T, open Open) {
	a, act := begin(t, open), activity()
	must(t, a.Store(t.Context(), act, []canyu.Recorded{first(class32, 1, noon1)}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Store(ctx, act, []canyu.Recorded{first(class32, 2, noon1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("Store: got %v", err)
	}
	if _, err := a.Tallies(ctx, act, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Tallies: got %v", err)
	}
	var last error
	for _, err := range a.Participants(ctx, act) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Participants: got %v", last)
	}
	equal(t, "afterwards", tallies(t, a, act), []canyu.Rollup{student(class32, day1, 1, 1)})
}

// A context that ends as soon as a call has answered harms no later call, also where
// what watches over it gets its turn late.
func testCancelledAfterwards(t *testing.T, open Open) {
	for range 4 {
		go func() {
			for t.Context().Err() == nil {
				runtime.Gosched()
			}
		}()
	}
	a := begin(t, open)
	for range 100 {
		act := activity()
		ctx, cancel := context.WithCancel(t.Context())
		err := a.SetEpoch(ctx, act, "0f1e2d3c")
		cancel()
		must(t, err)
		equal(t, "the epoch", get[string](t)(a.Epoch(t.Context(), act)), "0f1e2d3c")
	}
}
