package ingest

import (
	"context"
	"crypto/subtle"
	"slices"

	"github.com/canyu/canyu"
)

// SeatBook tells which seats of a class took part, for those who have the ledger and
// the keys: participants are hashes, and the hash of each seat can be made again.
type SeatBook struct {
	Ledger canyu.Ledger
	Keys   Keys
}

// Done are the seats that took part, ascending. canyu.ErrPurged where that cannot be
// told any more.
func (b *SeatBook) Done(ctx context.Context, a *canyu.Activity, class canyu.Class, enrolled int) ([]int, error) {
	id, err := b.Keys.of(ctx, a)
	if err != nil {
		return nil, err
	}
	return id.done(ctx, b.Ledger, b.Keys.Archive, a, class, enrolled)
}

// Receipt is the seat of the pupil whose receipt it is, or 0.
func (b *SeatBook) Receipt(ctx context.Context, a *canyu.Activity, class canyu.Class, enrolled int, text string) (seat int, err error) {
	asked, ok := parseReceipt(text)
	if !ok {
		return 0, nil
	}
	id, err := b.Keys.of(ctx, a)
	if err != nil {
		return 0, err
	}
	return id.seatOf(class, enrolled, asked), nil
}

// done are the seats that took part: as the ledger has them, and those that a person
// let count, unless the archive cannot be asked.
func (id *identity) done(ctx context.Context, l canyu.Ledger, held canyu.HeldArchive, a *canyu.Activity, class canyu.Class, enrolled int) ([]int, error) {
	participants, err := l.Participants(ctx, a.ID, class, canyu.Student)
	if err != nil {
		return nil, err
	}
	if admitted, err := canyu.AdmittedParticipants(ctx, held, a.ID, class, canyu.Student); err == nil && len(admitted) > 0 {
		participants = append(participants, admitted...)
		slices.Sort(participants)
	}
	var done []int
	for seat := 1; seat <= enrolled; seat++ {
		p, _ := id.participant(&canyu.Submission{Seat: seat}, class, canyu.Student)
		if _, found := slices.BinarySearch(participants, p); found {
			done = append(done, seat)
		}
	}
	return done, nil
}

func (id *identity) seatOf(class canyu.Class, enrolled int, asked receipt) (seat int) {
	for n := 1; n <= enrolled; n++ {
		if _, rc := id.participant(&canyu.Submission{Seat: n}, class, canyu.Student); subtle.ConstantTimeCompare(rc[:], asked[:]) == 1 {
			seat = n
		}
	}
	return seat
}
