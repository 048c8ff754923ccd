package ledgertest

import (
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

// A class that takes part at one screen stands in a batch in a row, which engines may
// make use of: whoever is twice in it counts once all the same, wherever he stands.
func neighboursOfAClass(t *testing.T, k *kit) {
	other := func(n uint64) canyu.Participation {
		p := pupil(n)
		p.Class.Number = 3
		return p
	}
	k.want("before", k.record(pupil(2), other(5)), "11")
	b := k.batch(pupil(1), pupil(2), pupil(3), pupil(1), other(4), other(5), pupil(3), pupil(4), other(4), other(6), other(6))
	k.want("neighbours", k.recordBatch(b), "10101001010")
	next := uint64(3)
	for i, o := range b.Outcomes {
		if o.Counted && k.nth(o.Ordinal) != next {
			t.Errorf("participation %d has ordinal %d, want %d", i, o.Ordinal, next)
		}
		if o.Counted {
			next++
		}
	}
	var many []canyu.Participation
	for n := range uint64(2500) {
		many = append(many, pupil(n), pupil(n))
	}
	// 1 to 4 were there before.
	k.want("many", k.record(many...), "10"+strings.Repeat("00", 4)+strings.Repeat("10", 2495))
	if n := k.counts(class)[0][canyu.Student]; n != 2500 {
		t.Errorf("counted %d, want 2500", n)
	}
	k.total(2500 + 3)
}
