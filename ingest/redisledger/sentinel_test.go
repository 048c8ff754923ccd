package redisledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
)

// What is acknowledged with replicas=1 survives the master: the replica that takes over
// has it, and what could not be acknowledged meanwhile is recorded there once.
func TestSentinel(t *testing.T) {
	t.Parallel()
	const activity = "sentinel"
	ports := freePorts(t, 5)
	master := newServer(t, ports[0])
	s := &store{url: fmt.Sprintf("redis+sentinel://127.0.0.1:%d/0?addr=127.0.0.1:%d&master_name=canyu&replicas=1&shards=2", ports[4], ports[3])}

	// Without a replica nothing is acknowledged, also not to who repeats.
	sentinel := newSentinel(t, ports[3], master)
	l := s.open(t)
	defer l.Close()
	epoch := begin(t, l, activity)
	b := batch(activity, epoch, 1, 1, 2, 3, 4, 5)
	for range 2 {
		if err := l.Record(t.Context(), b); err == nil || errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
			t.Fatalf("with nobody who has it: %v", err)
		}
	}
	var replicas []*server
	for _, port := range ports[1:3] {
		replicas = append(replicas, newServer(t, port, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.port), "--repl-diskless-sync-delay", "0"))
	}
	acknowledged := func(b *canyu.Batch) {
		t.Helper()
		until(t, "nothing is acknowledged", func() bool {
			err := l.Record(t.Context(), b)
			if errors.Is(err, canyu.ErrLost) || errors.Is(err, canyu.ErrStale) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	acknowledged(b)
	for i, o := range b.Outcomes {
		if !o.Counted {
			t.Errorf("participation %d: %+v", i, o)
		}
	}
	sequence := uint64(1)
	for range 20 {
		sequence++
		next := batch(activity, epoch, sequence, 1, 2)
		next.After = sequence - 1
		next.Participations[0].Participant += canyu.Participant(10 * sequence)
		acknowledged(next)
	}
	if err := sentinel.Do(t.Context(), "sentinel", "reset", "canyu").Err(); err != nil { // it would look in ten seconds
		t.Fatal(err)
	}
	until(t, "the sentinel does not see the replicas", func() bool {
		known, err := sentinel.Do(t.Context(), "sentinel", "replicas", "canyu").Slice()
		return err == nil && len(known) == 2 && !strings.Contains(fmt.Sprint(known), "disconnected")
	})
	for i, r := range replicas { // each has its own settings
		want := []string{"always", "everysec"}[i]
		if err := r.ConfigSet(t.Context(), "appendfsync", want).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := redisledger.Open(t.Context(), s.url); err == nil || !strings.Contains(err.Error(), "appendfsync of "+replicas[1].addr()) {
		t.Errorf("a replica that would lose what it has: %v", err)
	}
	if err := replicas[1].ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}

	master.kill()
	sequence++
	last := batch(activity, epoch, sequence, 1, 6)
	last.After = sequence - 1
	acknowledged(last)
	if last.Outcomes[0].Counted || !last.Outcomes[1].Counted {
		t.Errorf("after the failover: %+v", last.Outcomes)
	}
	if n, err := l.Total(t.Context(), activity); err != nil || n != 26 {
		t.Errorf("Total: %d, %v; want 26", n, err)
	}
	tallies, err := l.Counts(t.Context(), activity, []canyu.Class{{School: 1, Grade: 3, Number: 2}, {School: 6, Grade: 3, Number: 2}})
	if err != nil || tallies[0][canyu.Student] != 21 || tallies[1][canyu.Student] != 1 {
		t.Errorf("counts %v, %v; want 21 and 1", tallies, err)
	}
	until(t, "the ledger cannot be begun again", func() bool { // a connection of its own, for which the library dials once a second
		mark, err := l.Begin(t.Context(), activity, epoch, "key")
		if errors.Is(err, canyu.ErrLost) || err == nil && mark != epoch {
			t.Fatalf("Begin: %q, %v", mark, err)
		}
		return err == nil
	})
}
