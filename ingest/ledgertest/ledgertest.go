// Package ledgertest holds every ledger to the promises of canyu.Ledger.
package ledgertest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

// Engine makes ledgers of one kind over one store.
type Engine struct {
	// Open opens the store. Called again after Close, it finds what was there.
	Open func(t *testing.T) canyu.Ledger
	// Lose destroys what a closed ledger kept, as a lost disk would.
	Lose func(t *testing.T, activity string)
	// Damage cuts the payload of a log entry short, behind an open ledger's back.
	Damage func(t *testing.T, activity, position string)
}

// Test runs the contract. newEngine makes an empty store for one subtest.
func Test(t *testing.T, newEngine func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *kit)
	}{
		{"CountsTheFirst", countsTheFirst},
		{"RepeatsInOneBatch", repeatsInOneBatch},
		{"CountsClassesAndRolesApart", countsApart},
		{"ParticipantsOfAClass", participantsOfAClass},
		{"NeighboursOfAClass", neighboursOfAClass},
		{"ActivitiesApart", activitiesApart},
		{"HeldCountsNowhere", heldCountsNowhere},
		{"HeldAloneAndAgain", heldAloneAndAgain},
		{"SameSequenceOnce", sameSequenceOnce},
		{"SameSequenceAfterReopening", sameSequenceAfterReopening},
		{"OlderSequenceIsStale", olderSequenceIsStale},
		{"SequencesMaySkip", sequencesMaySkip},
		{"OrdinalsAreUnique", ordinalsAreUnique},
		{"ManySchools", manySchools},
		{"ManySchoolsGoBack", manySchoolsGoBack},
		{"ManyWritersAtOnce", manyWritersAtOnce},
		{"LogHasEveryBatchOnce", logHasEveryBatchOnce},
		{"LogKeepsWhatWasRecorded", logKeepsWhatWasRecorded},
		{"DamagedEntryHoldsUpNobody", damagedEntryHoldsUpNobody},
		{"AcknowledgedIsForgotten", acknowledgedIsForgotten},
		{"AcknowledgedStaysCounted", acknowledgedStaysCounted},
		{"RefusesWithoutItsMark", refusesWithoutItsMark},
		{"RefusesWhenItWentBack", refusesWhenItWentBack},
		{"UnmarkedRefuses", unmarkedRefuses},
		{"RefusesAnotherKey", refusesAnotherKey},
		{"Restore", restore},
		{"RestoreOfManySchools", restoreManySchools},
		{"RestoreOfAWholeLedgerIsRefused", restoreRefused},
		{"ClaimIsExclusive", claimIsExclusive},
		{"Purge", purge},
		{"Scrub", scrub},
		{"Erase", erase},
		{"EraseWaitsForTheLog", eraseWaits},
		{"LargestNumbers", largestNumbers},
		{"EmptyActivity", emptyActivity},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := &kit{Engine: newEngine(t), activity: unique(), t: t}
			k.open()
			c.test(t, k)
		})
	}
}

// kit is one subtest's store and activity.
type kit struct {
	Engine
	canyu.Ledger
	t        *testing.T
	activity string
	epoch    string
	sequence uint64
}

func unique() string { return fmt.Sprintf("t%d-%d", time.Now().UnixNano(), rand.Uint32()) }

func (k *kit) open() {
	k.t.Helper()
	k.Ledger = k.Open(k.t)
	k.t.Cleanup(func() { k.Close() }) // the newest; a second Close is harmless
	k.epoch = k.begin(k.activity)
}

func (k *kit) begin(activity string) string {
	k.t.Helper()
	epoch, err := k.Begin(k.t.Context(), activity, "", "key-1")
	if err != nil || epoch == "" {
		k.t.Fatalf("Begin: %q, %v", epoch, err)
	}
	return epoch
}

func (k *kit) reopen() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Fatalf("Close: %v", err)
	}
	k.open()
}

func (k *kit) batch(ps ...canyu.Participation) *canyu.Batch {
	k.sequence++
	return &canyu.Batch{Activity: k.activity, Epoch: k.epoch, Writer: "w1", Sequence: k.sequence, Participations: ps}
}

// record records ps as the next batch and returns "101": counted, repeat, counted.
func (k *kit) record(ps ...canyu.Participation) string {
	k.t.Helper()
	return k.recordBatch(k.batch(ps...))
}

func (k *kit) recordBatch(b *canyu.Batch) string {
	k.t.Helper()
	if err := k.Record(k.t.Context(), b); err != nil {
		k.t.Fatalf("Record: %v", err)
	}
	return outcomes(b)
}

func outcomes(b *canyu.Batch) string {
	s := make([]byte, len(b.Outcomes))
	for i, o := range b.Outcomes {
		s[i] = '0'
		if o.Counted {
			s[i] = '1'
		}
	}
	return string(s)
}

func (k *kit) log() []canyu.Recorded {
	k.t.Helper()
	var rs []canyu.Recorded
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", math.MaxInt)
		if err != nil {
			k.t.Fatalf("Log: %v", err)
		}
		for _, e := range entries {
			rs = append(rs, e.Recorded...)
		}
	}
	return rs
}

func (k *kit) counts(classes ...canyu.Class) []canyu.Tally {
	k.t.Helper()
	tallies, err := k.Counts(k.t.Context(), k.activity, classes)
	if err != nil {
		k.t.Fatalf("Counts: %v", err)
	}
	return tallies
}

func (k *kit) total(want int) {
	k.t.Helper()
	if got, err := k.Total(k.t.Context(), k.activity); err != nil || got != want {
		k.t.Fatalf("Total: %d, %v; want %d", got, err, want)
	}
}

// nth is what an ordinal is the number of among those of its shard.
func (k *kit) nth(ordinal uint64) uint64 {
	shards := uint64(k.Shards())
	return (ordinal + shards - 1) / shards
}

// shard is the one that has something in its log.
func (k *kit) shard() int {
	k.t.Helper()
	for shard := range k.Shards() {
		entries, err := k.Log(k.t.Context(), k.activity, shard, "", 1)
		if err != nil {
			k.t.Fatalf("Log: %v", err)
		}
		if len(entries) > 0 {
			return shard
		}
	}
	k.t.Fatal("nothing is in any log")
	return 0
}

func (k *kit) want(what, got, want string) {
	k.t.Helper()
	if got != want {
		k.t.Fatalf("%s: %s, want %s", what, got, want)
	}
}

var class = canyu.Class{School: 3418020001, Grade: 3, Number: 2}

// pupil is a participation of participant n of the class.
func pupil(n uint64) canyu.Participation {
	return canyu.Participation{
		Class: class, Role: canyu.Student, Participant: canyu.Participant(n), ID: n * 7,
		At: time.UnixMilli(1491004800123 + int64(n)).UTC(), Day: 17257, Message: "缅怀先烈",
	}
}
