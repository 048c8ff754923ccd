package ingest

import (
	"context"
	"crypto/subtle"
	"slices"

	"github.com/canyu/canyu"
)

// SeatBook tells which seats of a class took part, for those who have only the
// ledger and the secret: participants are hashes, and the hash of each seat can be
// made again.
type SeatBook struct {
	Ledger canyu.Ledger
	Secret []byte
}

// Done are the seats that took part, ascending.
func (b *SeatBook) Done(ctx context.Context, a *canyu.Activity, class canyu.Class, enrolled int) ([]int, error) {
	participants, err := b.Ledger.Participants(ctx, a.ID, class, canyu.Student)
	if err != nil {
		return nil, err
	}
	id := newIdentity(b.Secret, a)
	var done []int
	for seat := 1; seat <= enrolled; seat++ {
		p, _ := id.participant(&canyu.Submission{Seat: seat}, class, canyu.Student)
		if _, found := slices.BinarySearch(participants, p); found {
			done = append(done, seat)
		}
	}
	return done, nil
}

// Receipt is the seat of the pupil whose receipt it is, or 0.
func (b *SeatBook) Receipt(a *canyu.Activity, class canyu.Class, enrolled int, text string) (seat int) {
	asked, ok := parseReceipt(text)
	if !ok {
		return 0
	}
	id := newIdentity(b.Secret, a)
	for n := 1; n <= enrolled; n++ {
		if _, rc := id.participant(&canyu.Submission{Seat: n}, class, canyu.Student); subtle.ConstantTimeCompare(rc[:], asked[:]) == 1 {
			seat = n
		}
	}
	return seat
}
