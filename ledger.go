package canyu

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Errors of a Ledger. Any other error is the world's: the ledger is away or slow,
// and the call may be repeated.
var (
	// ErrLost: the ledger has no epoch mark, or another one than the batch. It
	// lost its data, or is not the ledger that the archive belongs to. Nothing
	// was recorded; counting must not go on until the ledger is restored
	// (promise 3).
	ErrLost = errors.New("the ledger has lost its data: run canyu rebuild")
	// ErrStale: the writer has already recorded a later batch.
	ErrStale = errors.New("the batch is older than the writer's last one")
	// ErrHeld: another process has the embedded ledger open and is the only one
	// that may record. Reading, and Claim, work beside it.
	ErrHeld = errors.New("another canyu process holds this ledger")
	// ErrKey: the ledger's participants were keyed with another secret.
	ErrKey = errors.New("the ledger was begun with another key: the same person would count twice")
)

// Ledger is the durable, exact record of who took part: what ingest writes and
// live counts are read from. All methods may be called at once from many
// goroutines; Record for one (activity, writer) is called one at a time.
//
// A ledger is divided into Shards, numbered from 0; all classes of a school are
// in one shard. The number is fixed when an activity's first epoch begins.
type Ledger interface {
	// Begin returns the mark of an activity's ledger. A new activity, epoch "",
	// gets one unless it has; one that the archive remembers with an epoch must
	// have that, or it is ErrLost and nothing is written. fingerprint names the
	// secret that keys the participants: ErrKey if another one was begun with.
	Begin(ctx context.Context, activity, epoch, fingerprint string) (mark string, err error)

	// Epoch is the mark, or "" where there is none: the ledger is new, or it
	// lost its data.
	Epoch(ctx context.Context, activity string) (string, error)

	// Unmark takes the mark away from a ledger that is known to have lost data,
	// such as an old backup: nothing is counted until it is restored.
	Unmark(ctx context.Context, activity string) error

	// Record records a batch durably and fills b.Outcomes, one for each
	// participation, in order. The whole batch is durable when it returns nil.
	//
	// Idempotent by (Writer, Sequence): a batch that was recorded already, also
	// where its reply was lost, changes nothing and gets the same outcomes.
	// A writer numbers its batches upwards; after an error it either repeats the
	// same batch or gives it up and goes on with a higher number. A batch that
	// was given up may still have been recorded.
	//
	// A ledger that does not know of the batch After, which it had acknowledged to
	// this writer, has gone back in time: it takes its mark away and refuses.
	//
	// A participation that is held is recorded, but counts nowhere: it is never
	// counted, and its participant's own later one is the first.
	//
	// On error nothing is acknowledged; in one shard either all of the batch was
	// recorded or none, and over several shards repeating it completes it. A batch goes
	// to every shard: (Writer, Sequence) and After mean the same in all of them.
	// Errors: ErrLost, ErrStale, ErrHeld.
	Record(ctx context.Context, b *Batch) error

	// Counts is the number of participants for each of the classes, in order.
	// Exact, and never behind what Record acknowledged. Cheap enough to be asked
	// for a whole region once a second. ErrLost where there is no mark: what is
	// left in such a ledger would look like a count.
	Counts(ctx context.Context, activity string, classes []Class) ([]Tally, error)

	// Participants of one class and role, ascending: who of a class has taken part.
	// As exact as Counts, and ErrLost likewise.
	Participants(ctx context.Context, activity string, class Class, role Role) ([]Participant, error)

	// Members are the participants of each of the classes, in order. As exact as
	// Counts, and ErrLost likewise.
	Members(ctx context.Context, activity string, classes []Class) ([]Members, error)

	// Total is how many participants the activity has, over all roles.
	Total(ctx context.Context, activity string) (int, error)

	// Shards is how many logs there are.
	Shards() int

	// Log reads a shard's log: what was recorded and not yet acknowledged by
	// rollup, in order, from behind position after ("" is the beginning), whole
	// batches, until at least max participations or the end. An empty slice is
	// the end for now. Each batch is in the log exactly once. One that is damaged
	// is an entry with Err in its place, taken for one participation: it keeps
	// nobody from reading on.
	Log(ctx context.Context, activity string, shard int, after string, max int) ([]LogEntry, error)

	// Acknowledge forgets the log up to and including position: its content is
	// safe in the archive.
	Acknowledge(ctx context.Context, activity string, shard int, position string) error

	// Backlog is how many participations wait in all logs of the activity, about.
	Backlog(ctx context.Context, activity string) (int, error)

	// Restore fills a ledger that lost its data with participants of the archive
	// and then marks it with epoch. Until then Record refuses with ErrLost, so
	// that nothing is counted against a half restored ledger. It may be repeated
	// after an error. progress, if not nil, is told now and then how many
	// participants are in. It fails if the ledger has a mark.
	Restore(ctx context.Context, activity, epoch, fingerprint string, participants iter.Seq2[Recorded, error], progress func(int)) error

	PurgeLedger

	// Claim takes a duty that only one process may do at a time ("rollup/…",
	// "report/…") until ttl from now, or takes it again for a holder that has
	// it. false: somebody else has it.
	Claim(ctx context.Context, duty, holder string, ttl time.Duration) (bool, error)

	// Release gives a duty back before its time; not holding it is no error.
	Release(ctx context.Context, duty, holder string) error

	// Close lets go of the ledger. What Record acknowledged is already safe.
	Close() error
}

// Members are the participants of a class, ascending, indexed by Role.
type Members [Public + 1][]Participant

// Batch is what is recorded at once: participations of one activity.
type Batch struct {
	Activity string
	Epoch    string // the mark that the writer believes in
	// Writer is one per process start, [0-9a-z], at most 32 bytes. A ledger
	// remembers a writer that is silent for 30 days.
	Writer   string
	Sequence uint64 // from 1, rising
	After    uint64 // the writer's newest batch known to be recorded, 0 for none

	Participations []Participation
	Outcomes       []Outcome // filled by Record; its room is reused
	// Payload is what the log has of Participations, where Record had to make it whole:
	// the writer may keep it. See ingest/ledgerlog.
	Payload []byte
}

// Outcome is what became of one participation of a batch.
type Outcome struct {
	// Counted: it was the first of its participant. Otherwise a repeat.
	Counted bool
	// Ordinal, for a counted one, is its number in the activity: unique, from 1
	// upwards in the order of recording, without gaps where there is one shard. Of S
	// shards the n-th of shard s, both from 0, is n·S + s + 1.
	Ordinal uint64
}

// Recorded is a participation with its outcome, as the log and the archive have it.
type Recorded struct {
	Participation
	Outcome
}

// LogEntry is one recorded batch (or the part of it that lies in one shard).
type LogEntry struct {
	Position string // opaque, rising
	Recorded []Recorded

	Err error  // why it cannot be read: Recorded is empty then
	Raw []byte // and what the ledger has of it
}

// Size is what the entry is taken for where participations of a log are counted:
// its participations, but at least one.
func (e LogEntry) Size() int { return max(1, len(e.Recorded)) }
