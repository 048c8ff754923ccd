package ingest

import (
	"context"
	"fmt"

	"github.com/canyu/canyu"
)

// Keys derives who somebody is for those who have the archive and the secret, and
// count nobody. A server that counts has its own, from the moment it is attached.
type Keys struct {
	Archive canyu.Archive
	Secret  []byte
}

// of is the identity of an activity that has begun; canyu.ErrPurged of one whose salt
// is destroyed.
func (k *Keys) of(ctx context.Context, a *canyu.Activity) (*identity, error) {
	salt, err := canyu.SaltOf(ctx, k.Archive, a.ID)
	if err != nil {
		return nil, err
	}
	return newIdentity(k.Secret, salt, a), nil
}

// Fingerprint names the key of an activity's participants (see canyu.Ledger.Begin).
func (k *Keys) Fingerprint(ctx context.Context, a *canyu.Activity) (string, error) {
	id, err := k.of(ctx, a)
	if err != nil {
		return "", err
	}
	return id.fingerprint(), nil
}

// Participant is who somebody of a class is, told by seat, by name or by both as the
// activity and the role have it, and the receipt that goes with it.
func (k *Keys) Participant(ctx context.Context, a *canyu.Activity, class canyu.Class, role canyu.Role, seat int, name string) (p canyu.Participant, rc string, err error) {
	switch {
	case a.Identify.BySeat(role) && seat < 1:
		return 0, "", fmt.Errorf("a %s of this activity is told by the seat: give it", role)
	case a.Identify.ByName(role) && len(appendName(nil, name)) == 0:
		return 0, "", fmt.Errorf("a %s of this activity is told by the name: give it", role)
	}
	id, err := k.of(ctx, a)
	if err != nil {
		return 0, "", err
	}
	p, short := id.participant(&canyu.Submission{Seat: seat, Name: name}, class, role)
	return p, short.String(), nil
}

// begin is the identity of an activity that is about to be counted: a new one gets its
// salt.
func (s *Server) begin(ctx context.Context, a *activity) (*identity, error) {
	salt, err := canyu.BeginSalt(ctx, s.Ledger, s.Archive, a.ID)
	if err != nil {
		return nil, err
	}
	return newIdentity(s.Secret, salt, a.Activity), nil
}

// identity is nil, with the reason, until it is known.
func (a *activity) identity() (*identity, error) {
	if id := a.who.Load(); id != nil {
		return id, nil
	}
	if a.isPurged() {
		return nil, canyu.ErrPurged
	}
	return nil, errAway
}
