package redisledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
)

func TestContractOnACluster(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, 0)
	s := &store{url: fmt.Sprintf("redis+cluster://%s?addr=%s&shards=3", all[0].addr(), all[1].addr())}
	for _, c := range all {
		s.masters = append(s.masters, c.Client)
	}
	t.Run("Contract", s.contract)
	t.Run("AMasterAway", func(t *testing.T) { masterAway(t, s, all) })
	t.Run("AShardIsMoved", func(t *testing.T) { shardIsMoved(t, s, all) })
	t.Run("Check", func(t *testing.T) { checksEveryServer(t, s) })
}

// A batch of which a master that was killed had a part is not acknowledged, and not
// lost either: when the master is back, repeating completes it.
func masterAway(t *testing.T, s *store, all []*server) {
	const activity = "master-away"
	l := s.open(t)
	defer l.Close()
	epoch := begin(t, l, activity)
	var schools []canyu.SchoolCode
	for i := range 30 {
		schools = append(schools, canyu.SchoolCode(i+1))
	}
	if err := l.Record(t.Context(), batch(activity, epoch, 1, schools[:15]...)); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.masters { // each has a shard
		if len(s.keys(t, activity)[c]) == 0 {
			t.Fatalf("%s has nothing of the activity", c.Options().Addr)
		}
	}
	all[1].kill()
	b := batch(activity, epoch, 2, schools...)
	b.After = 1
	for range 3 {
		err := l.Record(t.Context(), b)
		if err == nil || errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
			t.Fatalf("with a master away: %v", err)
		}
	}
	if mark, err := l.Epoch(t.Context(), activity); err == nil {
		t.Fatalf("with a master away the epoch is %q", mark)
	}
	if _, err := l.Begin(t.Context(), activity, epoch, "key"); err == nil || errors.Is(err, canyu.ErrLost) {
		t.Fatalf("with a master away: Begin: %v", err)
	}
	all[1].start(t)
	whole(t, all)
	forgetScripts(t.Context(), t, s.masters)
	until(t, "a cluster that is whole again takes nothing", func() bool {
		err := l.Record(t.Context(), b)
		if errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
			t.Fatal(err)
		}
		return err == nil
	})
	counted := 0
	for i, o := range b.Outcomes {
		if o.Counted != (i >= 15) {
			t.Errorf("participation %d: %+v", i, o)
		}
		if o.Counted {
			counted++
		}
	}
	if n, err := l.Total(t.Context(), activity); err != nil || n != 30 || counted != 15 {
		t.Errorf("Total: %d, %v, and %d counted; want 30 and 15", n, err, counted)
	}
	entries := 0
	for shard := range l.Shards() {
		log, err := l.Log(t.Context(), activity, shard, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range log {
			entries += len(e.Recorded)
		}
	}
	if entries != 45 {
		t.Errorf("%d in the log, want 45", entries)
	}
}

// While the slot of a shard moves to another master, nothing is lost and nothing counts
// twice: a batch that cannot be recorded in the middle of it is afterwards.
func shardIsMoved(t *testing.T, s *store, all []*server) {
	const activity = "moved"
	l := s.open(t)
	defer l.Close()
	epoch := begin(t, l, activity)
	schools := []canyu.SchoolCode{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	b := batch(activity, epoch, 1, schools...)
	if err := l.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	from, to := all[0], all[2]
	var keys []string
	for _, key := range s.keys(t, activity)[from.Client] {
		if strings.HasPrefix(key, "canyu{") {
			keys = append(keys, key)
		}
	}
	ctx := t.Context()
	do := func(c *server, args ...any) string {
		t.Helper()
		reply, err := c.Do(ctx, args...).Text()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatalf("%v: %v", args, err)
		}
		return reply
	}
	slot, err := from.ClusterKeySlot(ctx, keys[0]).Result()
	if err != nil {
		t.Fatal(err)
	}
	source, target := do(from, "cluster", "myid"), do(to, "cluster", "myid")
	do(to, "cluster", "setslot", slot, "importing", source)
	do(from, "cluster", "setslot", slot, "migrating", target)
	slices.Sort(keys)
	for i, key := range keys {
		do(from, "migrate", "127.0.0.1", to.port, key, 0, 5000)
		if i == len(keys)/2 {
			next := batch(activity, epoch, 2, 1, 2, 3)
			next.After = 1
			if err := l.Record(ctx, next); errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
				t.Fatalf("in the middle: %v", err)
			}
			if mark, err := l.Epoch(ctx, activity); err != nil || mark != epoch {
				t.Fatalf("in the middle: Epoch %q, %v", mark, err)
			}
		}
	}
	for _, c := range []*server{to, from, all[1]} {
		do(c, "cluster", "setslot", slot, "node", target)
	}
	b = batch(activity, epoch, 3, append(schools, 13)...)
	b.After = 1
	until(t, "after the move nothing is recorded", func() bool {
		err := l.Record(ctx, b)
		if errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
			t.Fatal(err)
		}
		return err == nil
	})
	for i, o := range b.Outcomes {
		if o.Counted != (i == 12) {
			t.Errorf("participation %d: %+v", i, o)
		}
	}
	if n, err := l.Total(ctx, activity); err != nil || n != 13 {
		t.Errorf("Total: %d, %v; want 13", n, err)
	}
}

// A master is killed and its replica takes over: what was acknowledged is there, and what
// could not be is recorded once. What has one server only is not acknowledged.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	const activity = "failover"
	all := newCluster(t, 3, 3)
	l := (&store{url: fmt.Sprintf("redis+cluster://%s?addr=%s&shards=3&replicas=1", all[0].addr(), all[2].addr())}).open(t)
	defer l.Close()
	epoch := begin(t, l, activity)
	sequence, acknowledged := uint64(0), uint64(0)
	// record is one batch of three new pupils of each of nine schools.
	record := func() error {
		b := batch(activity, epoch, sequence+1)
		b.After = acknowledged
		for i := range 27 {
			b.Participations = append(b.Participations, canyu.Participation{Class: canyu.Class{School: canyu.SchoolCode(i%9 + 1), Grade: 3, Number: 2},
				Role: canyu.Student, Participant: canyu.Participant(27*int(sequence) + i)})
		}
		err := l.Record(t.Context(), b)
		if errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
			t.Fatal(err)
		}
		if err == nil {
			sequence++
			acknowledged = sequence
			for i, o := range b.Outcomes {
				if !o.Counted {
					t.Fatalf("batch %d, participation %d: %+v", sequence, i, o)
				}
			}
		}
		return err
	}
	until(t, "nothing is acknowledged", func() bool { return record() == nil })
	for range 20 {
		if err := record(); err != nil {
			t.Fatal(err)
		}
	}
	all[1].kill()
	until(t, "nobody takes over", func() bool {
		_ = record()
		role, err := all[4].Do(t.Context(), "role").Slice()
		return err == nil && role[0] == "master"
	})
	if err := record(); err == nil {
		t.Error("what only one server has is acknowledged")
	}
	all[1].start(t) // as a replica
	before := acknowledged
	until(t, "after the failover nothing is acknowledged", func() bool { return record() == nil && acknowledged > before+5 })
	if n, err := l.Total(t.Context(), activity); err != nil || n != 27*int(acknowledged) {
		t.Errorf("Total: %d, %v; want %d", n, err, 27*acknowledged)
	}
	if mark, err := l.Begin(t.Context(), activity, epoch, "key"); err != nil || mark != epoch {
		t.Errorf("Begin: %q, %v", mark, err)
	}
}

// checksEveryServer: one that would lose what it acknowledged is one too many.
func checksEveryServer(t *testing.T, s *store) {
	if err := s.masters[2].ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	l, err := redisledger.Open(t.Context(), s.url)
	if err == nil {
		l.Close()
	}
	if want := "appendfsync of " + s.masters[2].Options().Addr + ` is "everysec"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if err := s.masters[2].ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	l, err = redisledger.Open(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	state, err := l.State(t.Context())
	if err != nil || state.Masters != 3 || state.Used == 0 || time.Since(state.Now).Abs() > time.Minute || !strings.HasPrefix(state.Version, "7.") {
		t.Errorf("%+v, %v", state, err)
	}
}
