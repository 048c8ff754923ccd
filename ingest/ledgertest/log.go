package ledgertest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func logHasEveryBatchOnce(t *testing.T, k *kit) {
	for i := range uint64(10) {
		b := k.batch(pupil(2*i), pupil(2*i+1))
		k.recordBatch(b)
		k.recordBatch(b)
	}
	var got []canyu.Participant
	for shard := range k.Shards() {
		after := ""
		for {
			entries, err := k.Log(t.Context(), k.activity, shard, after, 5)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			if n := len(entries); n > 3 {
				t.Fatalf("%d batches of two, although 5 participations were asked for", n)
			}
			for _, e := range entries {
				after = e.Position
				for _, r := range e.Recorded {
					got = append(got, r.Participant)
				}
			}
		}
	}
	slices.Sort(got)
	for i, p := range got {
		if p != canyu.Participant(i) || len(got) != 20 {
			t.Fatalf("log: %v", got)
		}
	}
}

func logKeepsWhatWasRecorded(t *testing.T, k *kit) {
	p := pupil(5)
	p.Message = "=1+1 先烈永垂不朽 🕯️\n"
	parent := pupil(6)
	parent.Role, parent.Message = canyu.Parent, ""
	parent.At, parent.Day = parent.At.Add(-48*time.Hour), parent.Day-2
	b := k.batch(p, parent, p)
	k.recordBatch(b)
	got := k.log()
	if len(got) != 3 {
		t.Fatalf("%d in the log", len(got))
	}
	for i, want := range []canyu.Participation{p, parent, p} {
		if got[i].Participation != want || got[i].Outcome != b.Outcomes[i] {
			t.Fatalf("log has\n%+v, want\n%+v with %+v", got[i], want, b.Outcomes[i])
		}
	}
}

func (k *kit) acknowledge() {
	k.t.Helper()
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", math.MaxInt)
		if err != nil {
			k.t.Fatal(err)
		}
		if len(entries) > 0 {
			if err := k.Acknowledge(k.t.Context(), k.activity, shard, entries[len(entries)-1].Position); err != nil {
				k.t.Fatalf("Acknowledge: %v", err)
			}
		}
	}
}

func damagedEntryHoldsUpNobody(t *testing.T, k *kit) {
	for i := range uint64(3) {
		k.record(pupil(2*i), pupil(2*i+1))
	}
	shard := k.shard()
	entries, err := k.Log(t.Context(), k.activity, shard, "", math.MaxInt)
	if err != nil || len(entries) != 3 {
		t.Fatalf("Log: %d entries, %v", len(entries), err)
	}
	damaged := entries[1].Position
	k.Damage(t, k.activity, damaged)
	for _, reopened := range []bool{false, true} {
		if reopened {
			k.reopen()
		}
		entries, err = k.Log(t.Context(), k.activity, shard, "", math.MaxInt)
		if err != nil || len(entries) != 3 {
			t.Fatalf("Log: %d entries, %v; reopened: %v", len(entries), err, reopened)
		}
		for i, e := range entries {
			if bad := i == 1; (e.Err != nil) != bad || (len(e.Raw) > 0) != bad || (len(e.Recorded) == 0) != bad {
				t.Errorf("entry %d: %d participations, %d raw bytes, %v", i, len(e.Recorded), len(e.Raw), e.Err)
			}
		}
		if _, err := k.Backlog(t.Context(), k.activity); err != nil {
			t.Errorf("Backlog: %v", err)
		}
	}
	if some, err := k.Log(t.Context(), k.activity, shard, entries[0].Position, 1); err != nil || len(some) != 1 || some[0].Err == nil {
		t.Errorf("Log from behind the first, one participation: %d entries, %v", len(some), err)
	}
	k.record(pupil(9))
	if err := k.Acknowledge(t.Context(), k.activity, shard, damaged); err != nil {
		t.Fatal(err)
	}
	if rest := k.log(); len(rest) != 3 || rest[0].Participant != 4 || rest[2].Participant != 9 {
		t.Errorf("behind the damaged one: %v", rest)
	}
}

func acknowledgedIsForgotten(t *testing.T, k *kit) {
	for i := range uint64(5) {
		k.record(pupil(i))
	}
	shard := k.shard()
	entries, err := k.Log(t.Context(), k.activity, shard, "", 3)
	if err != nil || len(entries) != 3 {
		t.Fatalf("Log: %d entries, %v", len(entries), err)
	}
	for range 2 { // acknowledging twice changes nothing
		if err := k.Acknowledge(t.Context(), k.activity, shard, entries[2].Position); err != nil {
			t.Fatal(err)
		}
	}
	k.reopen()
	if rest := k.log(); len(rest) != 2 || rest[0].Participant != 3 {
		t.Fatalf("after acknowledging three of five: %v", rest)
	}
	if n, err := k.Backlog(t.Context(), k.activity); err != nil || n != 2 {
		t.Fatalf("Backlog: %d, %v; want 2", n, err)
	}
}

func acknowledgedStaysCounted(t *testing.T, k *kit) {
	b := k.batch(pupil(1), pupil(2))
	k.recordBatch(b)
	k.acknowledge()
	k.record(pupil(3))
	k.reopen()
	b = k.batch(pupil(1), pupil(2), pupil(3), pupil(4))
	k.want("after reopening", k.recordBatch(b), "0001")
	if o := k.nth(b.Outcomes[3].Ordinal); o != 4 {
		t.Fatalf("ordinal %d, want 4", o)
	}
	k.total(4)
}
