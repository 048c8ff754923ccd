package canyu

import (
	"context"
	"iter"
	"time"
)

// Archive is the long-term store: one row per participant, one per submission,
// the rollups restated from them, the roster, and the reports with what became
// of them. Several processes may use it at once.
//
// Everything stored is idempotent: doing it again, wholly or in part, after an
// error or not, changes nothing. An error means that it is not known how much
// was stored: repeat the call.
type Archive interface {
	// Epoch is the ledger's mark that this archive belongs to, "" for a new
	// activity. SetEpoch changes it, durably.
	Epoch(ctx context.Context, activity string) (string, error)
	SetEpoch(ctx context.Context, activity, epoch string) error

	// Begun are the activities that have an epoch, by id.
	Begun(ctx context.Context) ([]string, error)

	// Store stores facts: a submission for each of rs and, for the counted, a
	// participant. Of two rows of the same participant, or of the same
	// (participant, submission ID), the one with the earliest At stays. Rollups
	// do not see them before Restate. Those that are held are kept apart: they make
	// neither participant nor submission.
	Store(ctx context.Context, activity string, rs []Recorded) error

	// Restate makes the rollups of these classes, over all days, what the facts
	// say; also where they said something else before, or where the facts are
	// gone. Called by one process at a time for one activity.
	Restate(ctx context.Context, activity string, classes []Class) error

	// Rollups of the schools from day from to day to, both included, in no
	// particular order; of every school if schools is nil. Groups without
	// participants and submissions may be left out.
	Rollups(ctx context.Context, activity string, schools []SchoolCode, from, to Day) ([]Rollup, error)

	// Tallies counts the facts (not the rollups): participants and submissions of
	// each class, role and day, in the order of Class.Compare. What verify holds
	// against ledger and rollups. schools as for Rollups.
	Tallies(ctx context.Context, activity string, schools []SchoolCode) ([]Rollup, error)

	// OddHours counts the facts: the submissions of each school and day that came
	// outside the usual hours. Days that hours do not speak of are left out, and so
	// are schools and days without any. schools as for Rollups; in no particular order.
	OddHours(ctx context.Context, activity string, schools []SchoolCode, hours []Hours) ([]OddHours, error)

	// SetRefusals stores how many submissions a writer has refused so far. Of the
	// same (writer, school, day, reason) the highest Count stays.
	SetRefusals(ctx context.Context, activity, writer string, rs []Refusal) error

	// Refusals are the sums over all writers, up to day to. Those of no school are
	// among them only if schools is nil. In no particular order.
	Refusals(ctx context.Context, activity string, schools []SchoolCode, to Day) ([]Refusal, error)

	// Participants runs over every participant row, for Ledger.Restore. It
	// yields an error at most once, last.
	Participants(ctx context.Context, activity string) iter.Seq2[Recorded, error]

	// Messages of one day in the schools (nil: all), the earliest first, at most
	// limit, without those that left none. Neither seat nor name is in them.
	Messages(ctx context.Context, activity string, schools []SchoolCode, day Day, limit int) ([]Message, error)

	// Minutes are the new participants of one day in the schools (nil: all), by
	// role and minute, the earliest first; counted from the facts, without the
	// minutes that brought none.
	Minutes(ctx context.Context, activity string, schools []SchoolCode, day Day) ([]Minute, error)

	// Days are the sums of the rollups of the schools (nil: all) by day and role,
	// the earliest first.
	Days(ctx context.Context, activity string, schools []SchoolCode, from, to Day) ([]DaySum, error)

	// Latest is when something was last submitted in each class and role of a
	// school that anything was submitted in, in the order of Class.Compare.
	Latest(ctx context.Context, activity string, school SchoolCode) ([]Latest, error)

	// Roster is the newest roster; empty, never nil, where none was imported.
	Roster(ctx context.Context) (*Roster, error)

	// ImportRoster replaces the classes of every school in r; a class that r
	// does not list is gone from its school. Schools that r does not have stay.
	// Readers see all of it or nothing.
	ImportRoster(ctx context.Context, r *Roster) error

	// RemoveSchools takes schools with their classes out of the roster; one that
	// it does not have is no error.
	RemoveSchools(ctx context.Context, schools []SchoolCode) error

	// Freeze stores a report unless (activity, region, day, revision) is there
	// already, and returns the one that is stored. Called under a claim: engines
	// need not order two at once.
	Freeze(ctx context.Context, f Frozen) (Frozen, error)

	// Frozen are the reports of an activity, oldest day and revision first; of
	// one region, or of all for region 0.
	Frozen(ctx context.Context, activity string, region Region) ([]Frozen, error)

	// SetDelivery stores the newest state of a delivery, one for each (activity,
	// region, day, revision, school, recipient). Called under a claim.
	SetDelivery(ctx context.Context, d Delivery) error

	// Deliveries of an activity, by day, region, revision, school and recipient; of
	// the reports of one region, or of all for region 0.
	Deliveries(ctx context.Context, activity string, region Region) ([]Delivery, error)

	// AddSignature stores a signature of a report; the same one twice is one.
	AddSignature(ctx context.Context, s Signature) error

	// Signatures of an activity's reports, by day, region, revision and text; of the
	// reports of one region, or of all for region 0.
	Signatures(ctx context.Context, activity string, region Region) ([]Signature, error)

	WallArchive
	AuditArchive
	PurgeArchive
	HeldArchive
	TermsArchive

	Close() error
}

// Rollup is the count of one class, role and day.
type Rollup struct {
	Class        Class
	Role         Role
	Day          Day
	Participants int // new on that day: the first participation of each counts
	Submissions  int // distinct

	// Of these, the ones that were held and that a person let count.
	Admitted, AdmittedSubmissions int
}

// Minute is how many participants were new in a minute.
type Minute struct {
	Role         Role
	At           time.Time // its beginning
	Participants int
}

// DaySum is what one day brought in one role.
type DaySum struct {
	Day          Day
	Role         Role
	Participants int // new on that day
	Submissions  int
}

// Latest is the instant of the newest submission of a class and role.
type Latest struct {
	Class Class
	Role  Role
	At    time.Time
}

// Hours are the usual hours of the days First to Last: from Opens until before
// Closes, as distances from the midnight at which that day begins in UTC. In
// Shanghai 06:00 is −2 h.
type Hours struct {
	First, Last   Day
	Opens, Closes time.Duration
}

// OddHours are the submissions of a school and day outside the usual hours.
type OddHours struct {
	School      SchoolCode
	Day         Day
	Submissions int // distinct
}

// Refusal is how many submissions of a school and day were refused for a reason.
type Refusal struct {
	School SchoolCode // 0: none that the roster has
	Day    Day        // from 1970 to 2105
	Reason string     // a short code: closed, not_open, seat…
	Count  int
}

// Message is what a participant wrote, told from whom only by class and role.
type Message struct {
	Class Class
	Role  Role
	At    time.Time
	Text  string
}

// Frozen is a report's numbers at one moment, kept for ever: whatever is shown or
// mailed of that report is made from Body.
type Frozen struct {
	Activity string
	Region   Region
	Day      Day
	Revision int       // from 1; a later one corrects an earlier one
	AsOf     time.Time // whole seconds
	Body     []byte    // report.json
}

// Signature says that a report's numbers are those of this site. It stands apart from
// the report because it is stored first: what is frozen is signed, and what was frozen
// is never signed once more by itself.
type Signature struct {
	Activity string
	Region   Region
	Day      Day
	Revision int
	Text     string // report.json.sig: of which Body it is, its key tells
}

// Delivery is what became of one report for one recipient.
type Delivery struct {
	Activity  string
	Region    Region
	Day       Day
	Revision  int
	School    SchoolCode // whose own letter it is, with that report's numbers; 0: the report
	Recipient string     // an e-mail address
	State     DeliveryState
	Attempts  int
	At        time.Time // of the newest attempt, whole seconds
	Answer    string    // the mail server's words, or why there were none
}

// DeliveryState is how far a delivery has come.
type DeliveryState string

// States of a delivery.
const (
	Pending  DeliveryState = "pending"  // due, not tried yet
	Sending  DeliveryState = "sending"  // handed to the mail server, whose answer is not known
	Retrying DeliveryState = "retrying" // refused for now (4xx), or the server was away
	Sent     DeliveryState = "sent"     // the mail server has it
	Failed   DeliveryState = "failed"   // refused for good (5xx)
)
