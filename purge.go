package canyu

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrPurged: the participants of the activity were destroyed, and with them what
	// could tell who somebody is. It counts nobody any more.
	ErrPurged = fmt.Errorf("its participants have been purged: %w", ErrClosed)
	// ErrPending: the log still holds something of the participant. It may be tried
	// again when the archive has that.
	ErrPending = errors.New("something of this participant is on its way to the archive")
)

// SaltSize is the length of a salt in bytes.
const SaltSize = 32

// Retention is for how long after the last day of an activity its people are known, in
// days: their messages, and everything that a participant is told by. 0: the default.
type Retention struct {
	Participants int
	Messages     int
}

// What is kept where nothing else is said, and what may be said. Reports may be
// corrected from the facts for LatestReport days: so long they are there.
const (
	DefaultParticipants = 90
	DefaultMessages     = 30
	LeastParticipants   = LatestReport + 1
	MostRetention       = 3650
)

// Days are the retention with the defaults filled in.
func (r Retention) Days() Retention {
	if r.Participants == 0 {
		r.Participants = DefaultParticipants
	}
	if r.Messages == 0 {
		r.Messages = min(DefaultMessages, r.Participants)
	}
	return r
}

func (r Retention) validate() error {
	var errs []error
	d := r.Days()
	if d.Participants < LeastParticipants || d.Participants > MostRetention {
		errs = append(errs, fmt.Errorf("retention.participants %dd: want %d–%d days: reports may be corrected for %d", d.Participants, LeastParticipants, MostRetention, LatestReport))
	}
	if d.Messages < 1 || d.Messages > d.Participants {
		errs = append(errs, fmt.Errorf("retention.messages %dd: want 1–%d days, as the participants", d.Messages, d.Participants))
	}
	return errors.Join(errs...)
}

// PurgeNotice is how long before a purge by schedule it is said, at the least: also
// where a setting, or a new version, makes it due at once.
const PurgeNotice = 7 * 24 * time.Hour

// Purged is how far the purge of an activity has come; zero times are not yet. What has
// its time and is not done yet was begun, and has to be finished.
type Purged struct {
	Announced        time.Time // when it was first said that it is coming, by schedule
	Ordered          time.Time // when somebody ordered all of it
	Messages         time.Time // from then on the archive takes no messages
	MessagesDone     time.Time
	Participants     time.Time // from then on it takes nothing: Store and Restate are ErrPurged
	ParticipantsDone time.Time
}

// Takes are rs as an archive takes them then: all, those without their messages, or
// ErrPurged.
func (p *Purged) Takes(rs []Recorded) ([]Recorded, error) {
	switch {
	case !p.Participants.IsZero():
		return nil, ErrPurged
	case p.Messages.IsZero():
		return rs, nil
	}
	bare := slices.Clone(rs)
	for i := range bare {
		bare[i].Message = ""
	}
	return bare, nil
}

// Person is everything that an archive has of one participant.
type Person struct {
	Counted     bool // there is a row of the participant, with:
	At          time.Time
	Day         Day
	Ordinal     uint64
	Submissions []Participation // the earliest first
	Held        []Participation // those that are held apart
	Wall        []WallMessage   // what was decided about those that left a message
}

// PurgeArchive is the part of an Archive by which people are forgotten.
//
// The salt is what makes that more than deleting: it is mixed into the key of the
// activity's participants, random, and kept nowhere else for good. Without it no
// participant that some copy or remnant may still have can be told from any other
// number, whoever has the secret.
type PurgeArchive interface {
	// Salt of the activity, nil where it has none.
	Salt(ctx context.Context, activity string) ([]byte, error)

	// MakeSalt stores a salt unless there is one, and returns the one that is stored.
	// Called under a claim: engines need not order two at once.
	MakeSalt(ctx context.Context, activity string, salt []byte) ([]byte, error)

	// Purged is how far the purge has come; SetPurged says so, durably. Called under a
	// claim.
	Purged(ctx context.Context, activity string) (Purged, error)
	SetPurged(ctx context.Context, activity string, p Purged) error

	// SetRollups stores rollups as they are given, instead of what the facts say.
	SetRollups(ctx context.Context, activity string, rs []Rollup) error

	// PurgeMessages destroys every message of the activity, also the wall's. What is
	// counted stays as it is.
	PurgeMessages(ctx context.Context, activity string) error

	// PurgeParticipants destroys the salt, every participant and submission, and what
	// is held apart. Rollups, refusals, reports, deliveries and the audit log stay.
	PurgeParticipants(ctx context.Context, activity string) error

	// Person is what there is of one participant; Erase destroys that. The rollups of
	// the class have to be restated then.
	Person(ctx context.Context, activity string, class Class, role Role, p Participant) (Person, error)
	Erase(ctx context.Context, activity string, class Class, role Role, p Participant) error
}

// PurgeLedger is the part of a Ledger by which people are forgotten.
type PurgeLedger interface {
	// Purge destroys everything of the activity, its mark too.
	Purge(ctx context.Context, activity string) error

	// Scrub destroys what is left of acknowledged entries of the log, and of what was
	// overwritten, as far as the engine can.
	Scrub(ctx context.Context, activity string) error

	// Erase takes one participant out, and reports whether it was in. ErrPending where
	// the log would bring it back.
	Erase(ctx context.Context, activity string, class Class, role Role, p Participant) (bool, error)
}

// SaltOf is the salt of an activity, for those who only read. It is nil for one that
// was begun before there were salts, whose key has none in it; and for one that has not
// begun, of whom there is nobody to tell. ErrPurged where it was destroyed.
func SaltOf(ctx context.Context, a Archive, activity string) ([]byte, error) {
	p, err := a.Purged(ctx, activity)
	if err != nil {
		return nil, fmt.Errorf("activity %s: cannot read whether it is purged: %w", activity, err)
	}
	if !p.Participants.IsZero() {
		return nil, fmt.Errorf("activity %s: %w", activity, ErrPurged)
	}
	salt, err := a.Salt(ctx, activity)
	if err != nil {
		return nil, fmt.Errorf("activity %s: cannot read its salt: %w", activity, err)
	}
	return salt, nil
}

const (
	saltClaim   = time.Minute
	saltAttempt = 10 * time.Second // less than the claim: nobody else makes one meanwhile
)

// BeginSalt is SaltOf for those who are about to count: a new activity gets a salt. All
// who call it get the same one, and no call makes one for an activity that was begun
// without. Should two ever come into being, the fingerprint in the ledger stops all who
// have the other (ErrKey).
func BeginSalt(ctx context.Context, l Ledger, a Archive, activity string) ([]byte, error) {
	salt, begun, err := begunSalt(ctx, l, a, activity)
	if err != nil || begun {
		return salt, err
	}
	duty, holder := "salt/"+activity, rand.Text()
	for {
		mine, err := l.Claim(ctx, duty, holder, saltClaim)
		if err != nil {
			return nil, fmt.Errorf("activity %s: %w", activity, err)
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("activity %s: waiting for another process to begin it: %w", activity, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	defer func() { _ = l.Release(context.WithoutCancel(ctx), duty, holder) }() // it runs out
	ctx, cancel := context.WithTimeout(ctx, saltAttempt)
	defer cancel()
	if salt, begun, err = begunSalt(ctx, l, a, activity); err != nil || begun {
		return salt, err
	}
	fresh := make([]byte, SaltSize)
	_, _ = rand.Read(fresh) // never fails
	if salt, err = a.MakeSalt(ctx, activity, fresh); err != nil {
		return nil, fmt.Errorf("activity %s: cannot store its salt: %w", activity, err)
	}
	return salt, nil
}

// begunSalt looks for marks first and for the salt after them: whoever makes a salt
// does that before anything is marked.
func begunSalt(ctx context.Context, l Ledger, a Archive, activity string) (salt []byte, begun bool, err error) {
	epoch, err := a.Epoch(ctx, activity)
	if err != nil {
		return nil, false, fmt.Errorf("activity %s: cannot read the archive's epoch: %w", activity, err)
	}
	mark, err := l.Epoch(ctx, activity)
	if err != nil {
		return nil, false, fmt.Errorf("activity %s: %w", activity, err)
	}
	salt, err = SaltOf(ctx, a, activity)
	return salt, salt != nil || mark != "" || epoch != "", err
}
