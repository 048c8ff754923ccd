package redisledger_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
)

func batch(activity, epoch string, sequence uint64, schools ...canyu.SchoolCode) *canyu.Batch {
	b := &canyu.Batch{Activity: activity, Epoch: epoch, Writer: "w", Sequence: sequence}
	for i, s := range schools {
		b.Participations = append(b.Participations, canyu.Participation{
			Class: canyu.Class{School: s, Grade: 3, Number: 2}, Role: canyu.Student, Participant: canyu.Participant(i + 1)})
	}
	return b
}

func begin(t *testing.T, l canyu.Ledger, activity string) string {
	t.Helper()
	epoch, err := l.Begin(t.Context(), activity, "", "key")
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// Where a school is may never change: its pupils would count again.
func TestWhereSchoolsAre(t *testing.T) {
	t.Parallel()
	for parameters, want := range map[string][]string{
		"": {
			"canyu{where-1/0}3418020001/3/2/1", "canyu{where-1/0}3418020002/3/2/1", "canyu{where-1/0}3418020003/3/2/1",
			"canyu{where-1/0}5101070008/3/2/1",
		},
		"?shards=3": {
			"canyu{where-3/3.0.1}3418020001/3/2/1", "canyu{where-3/3.0.1}3418020002/3/2/1", "canyu{where-3/3.2}3418020003/3/2/1",
			"canyu{where-3/3.1.4}5101070008/3/2/1",
		},
		"?shards=8": {
			"canyu{where-8/8.6.3}3418020001/3/2/1", "canyu{where-8/8.7.41}3418020002/3/2/1", "canyu{where-8/8.4.41}3418020003/3/2/1",
			"canyu{where-8/8.7.41}5101070008/3/2/1",
		},
	} {
		s := shared(t, parameters)
		activity := "where-" + strings.TrimPrefix(parameters, "?shards=")
		if parameters == "" {
			activity = "where-1"
		}
		l := s.open(t)
		defer l.Close()
		epoch := begin(t, l, activity)
		if err := l.Record(t.Context(), batch(activity, epoch, 1, 3418020001, 3418020002, 3418020003, 5101070008)); err != nil {
			t.Fatal(err)
		}
		var sets, marks []string
		for _, key := range slices.Concat(slices.Collect(maps.Values(s.keys(t, activity)))...) {
			switch {
			case strings.HasSuffix(key, "/3/2/1"):
				sets = append(sets, key)
			case strings.HasSuffix(key, "}epoch"):
				marks = append(marks, key)
			}
		}
		slices.Sort(sets)
		slices.Sort(marks)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(sets, want) {
			t.Errorf("%s: %q, want %q; marks %q", parameters, sets, want, marks)
		}
		if err := l.Purge(t.Context(), activity); err != nil {
			t.Fatal(err)
		}
	}
}

// The number of shards is the activity's, not the address's: under another one nothing is
// read, counted or restored, and nothing is lost.
func TestShardsAreFixed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ begun, opened, n, m string }{
		{"?shards=4", "", "shards=4", "shards=1"},
		{"", "?shards=3", "shards=1", "shards=3"},
		{"earlier", "?shards=3", "shards=1", "shards=3"},
	} {
		activity := "fixed-" + strings.TrimPrefix(c.begun, "?shards=")
		parameters := c.begun
		if c.begun == "earlier" { // by a version that did not write it down
			parameters = ""
		}
		s := shared(t, parameters)
		l := s.open(t)
		defer l.Close()
		epoch := begin(t, l, activity)
		if err := l.Record(t.Context(), batch(activity, epoch, 1, 1, 2, 3, 4)); err != nil {
			t.Fatal(err)
		}
		if c.begun == "earlier" {
			if err := s.masters[0].Del(t.Context(), "canyu/shards/"+activity).Err(); err != nil {
				t.Fatal(err)
			}
		}
		other := shared(t, c.opened).open(t)
		defer other.Close()
		ctx := t.Context()
		nobody := func(func(canyu.Recorded, error) bool) {}
		for what, err := range map[string]error{
			"Begin":   second(other.Begin(ctx, activity, "", "key")),
			"again":   second(other.Begin(ctx, activity, epoch, "key")),
			"Epoch":   second(other.Epoch(ctx, activity)),
			"Counts":  second(other.Counts(ctx, activity, []canyu.Class{{School: 1, Grade: 3, Number: 2}})),
			"Total":   second(other.Total(ctx, activity)),
			"Log":     second(other.Log(ctx, activity, 0, "", 1)),
			"Backlog": second(other.Backlog(ctx, activity)),
			"Unmark":  other.Unmark(ctx, activity),
			"Restore": other.Restore(ctx, activity, "e", "key", nobody, nil),
			"Purge":   other.Purge(ctx, activity),
		} {
			if !errors.Is(err, redisledger.ErrShards) || errors.Is(err, canyu.ErrLost) || !strings.Contains(err.Error(), c.n) || !strings.Contains(err.Error(), c.m) {
				t.Errorf("%s, begun with %q: %v", what, c.begun, err)
			}
		}
		again := shared(t, parameters).open(t)
		defer again.Close()
		if _, err := again.Begin(ctx, activity, epoch, "key"); err != nil {
			t.Errorf("as it was begun: %v", err)
		}
		if n, err := s.masters[0].Get(ctx, "canyu/shards/"+activity).Result(); err != nil || !strings.HasSuffix(c.n, "="+n) {
			t.Errorf("it is written down that there are %q, %v; want %s", n, err, c.n)
		}
		if n, err := again.Total(ctx, activity); err != nil || n != 4 {
			t.Errorf("Total: %d, %v; want 4", n, err)
		}
		// A purged activity may begin with any number.
		if err := again.Purge(ctx, activity); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Begin(ctx, activity, "", "key"); err != nil {
			t.Errorf("after a purge: %v", err)
		}
		if err := other.Purge(ctx, activity); err != nil {
			t.Error(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// One shard that lost its data is a ledger that lost its data; what the others have stays.
func TestOneShardLost(t *testing.T) {
	t.Parallel()
	const activity = "one-lost"
	s := shared(t, "?shards=4")
	l := s.open(t)
	defer l.Close()
	epoch := begin(t, l, activity)
	b := batch(activity, epoch, 1, 1, 2, 3, 4, 5, 6, 7, 8)
	if err := l.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	c := s.masters[0]
	var gone []string
	for _, key := range s.keys(t, activity)[c] {
		if strings.HasPrefix(key, "canyu{"+activity+"/4.2") {
			gone = append(gone, key)
		}
	}
	if err := c.Del(t.Context(), gone...).Err(); err != nil {
		t.Fatal(err)
	}
	if mark, err := l.Epoch(t.Context(), activity); err != nil || mark != "" {
		t.Errorf("Epoch: %q, %v; want none", mark, err)
	}
	if _, err := l.Begin(t.Context(), activity, epoch, "key"); !errors.Is(err, canyu.ErrLost) {
		t.Errorf("Begin: %v, want ErrLost", err)
	}
	next := batch(activity, epoch, 2, 1)
	next.After = 1
	if err := l.Record(t.Context(), next); !errors.Is(err, canyu.ErrLost) {
		t.Errorf("Record: %v, want ErrLost", err)
	}
	if err := l.Restore(t.Context(), activity, "e2", "key", func(yield func(canyu.Recorded, error) bool) {
		for i, p := range b.Participations {
			if !yield(canyu.Recorded{Participation: p, Outcome: b.Outcomes[i]}, nil) {
				return
			}
		}
	}, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Total(t.Context(), activity); err != nil || n != 8 {
		t.Errorf("Total: %d, %v; want 8", n, err)
	}
	b.Epoch, b.Sequence = "e2", 3
	if err := l.Record(t.Context(), b); err != nil || slices.ContainsFunc(b.Outcomes, func(o canyu.Outcome) bool { return o.Counted }) {
		t.Errorf("restored: %+v, %v", b.Outcomes, err)
	}
	if err := l.Purge(t.Context(), activity); err != nil {
		t.Error(err)
	}
}

// A batch that is repeated writes: WAIT is for what its own connection has written, and
// whoever repeats has another one.
func TestRepeatedBatchWrites(t *testing.T) {
	t.Parallel()
	const activity = "repeated"
	s := shared(t, "")
	l := s.open(t)
	defer l.Close()
	b := batch(activity, begin(t, l, activity), 1, 1)
	c, writer := s.masters[0], "canyu{"+activity+"/0}w/w"
	for range 2 {
		if err := l.Record(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if left, err := c.TTL(t.Context(), writer).Result(); err != nil || left.Hours() < 29*24 {
			t.Errorf("the writer is remembered for %s, %v", left, err)
		}
		if err := c.Expire(t.Context(), writer, 1e11).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.lose(t, activity)
}

// forgetScripts: what is not known by its hash is sent.
func forgetScripts(ctx context.Context, t *testing.T, masters []*redis.Client) {
	t.Helper()
	for _, c := range masters {
		if err := c.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
