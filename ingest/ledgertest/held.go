package ledgertest

import (
	"slices"
	"testing"

	"github.com/canyu/canyu"
)

// held is a participation of pupil n that is held apart.
func held(n uint64) canyu.Participation {
	p := pupil(n)
	p.Held = canyu.MachinePace
	return p
}

// heldCountsNowhere: what is held is in the log, and in no count; the pupil's own
// submission is the first.
func heldCountsNowhere(t *testing.T, k *kit) {
	b := k.batch(pupil(1), held(2), held(1), pupil(3), held(2))
	k.want("with held ones", k.recordBatch(b), "10010")
	if k.nth(b.Outcomes[3].Ordinal) != 2 || b.Outcomes[1] != (canyu.Outcome{}) {
		t.Fatalf("outcomes %+v", b.Outcomes)
	}
	k.total(2)
	k.reopen()
	k.want("the same batch", k.recordBatch(b), "10010")
	k.sequence = b.Sequence
	k.want("one's own", k.record(pupil(2), pupil(1)), "10")
	k.total(3)
	if n := k.counts(class)[0]; n != (canyu.Tally{canyu.Student: 3}) {
		t.Fatalf("counted %v", n)
	}
	if got, err := k.Participants(t.Context(), k.activity, class, canyu.Student); err != nil || !slices.Equal(got, []canyu.Participant{1, 2, 3}) {
		t.Fatalf("participants %v, %v", got, err)
	}
	rs := k.log()
	want := append(slices.Clone(b.Participations), pupil(2), pupil(1))
	if len(rs) != len(want) {
		t.Fatalf("%d in the log, want %d", len(rs), len(want))
	}
	for i, r := range rs {
		if r.Participation != want[i] || r.Held != canyu.Unsuspected && r.Outcome != (canyu.Outcome{}) {
			t.Fatalf("log has %+v, want %+v", r, want[i])
		}
	}
}

// heldAloneAndAgain: a batch of nothing else is recorded and acknowledged like any.
func heldAloneAndAgain(t *testing.T, k *kit) {
	b := k.batch(held(1), held(1))
	for range 2 {
		k.want("held", k.recordBatch(b), "00")
	}
	k.total(0)
	if n, err := k.Backlog(t.Context(), k.activity); err != nil || n != 2 {
		t.Fatalf("Backlog: %d, %v; want 2", n, err)
	}
	k.acknowledge()
	k.reopen()
	k.total(0)
	k.want("afterwards", k.record(pupil(1)), "1")
}
