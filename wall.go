package canyu

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Wall is where an activity shows to everybody what its participants wrote: one
// message after the other, each only after somebody has looked at it.
type Wall struct {
	// Hold says why a message is to be looked at with care, "" for most: a code, or
	// a code, a colon and what was found. nil: none is.
	Hold func(text string) (reason string)
}

// Reason is why a message is to be looked at with care, "" for most.
func (w *Wall) Reason(text string) string {
	if w == nil || w.Hold == nil {
		return ""
	}
	return w.Hold(text)
}

// MessageKey stands for a message as it was written: a hash over the key of its
// submission and its text, which tells nothing about the person. A submission whose
// text becomes another one is another message. 63 bits, because that is what SQLite
// puts into order.
type MessageKey uint64

// Key of the message that was left with a participation.
func (p *Participation) Key() MessageKey {
	h := sha256.New()
	fmt.Fprintf(h, "%d/%d/%d/%d/%d/%d/%s", p.Class.School, p.Class.Grade, p.Class.Number, p.Role, p.Participant, p.ID, p.Message)
	return MessageKey(binary.LittleEndian.Uint64(h.Sum(nil)) >> 1)
}

func (k MessageKey) String() string { return fmt.Sprintf("%016x", uint64(k)) }

// ParseMessageKey reads sixteen hexadecimal digits.
func ParseMessageKey(s string) (MessageKey, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("message %s: want sixteen hexadecimal digits", quote(s))
	}
	return MessageKey(n), nil
}

// WallState is what was decided about a message. The numbers are stored: they keep
// their meaning for ever.
type WallState uint8

// The states.
const (
	Waiting  WallState = iota // nobody has looked at it
	Shown                     // on the wall
	Reported                  // was on the wall until visitors reported it
	Hidden                    // not on the wall
)

var wallStateNames = [...]string{Waiting: "waiting", Shown: "shown", Reported: "reported", Hidden: "hidden"}

// WallStates lists all of them.
var WallStates = [...]WallState{Waiting, Shown, Reported, Hidden}

func (s WallState) String() string {
	if s > Hidden {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return wallStateNames[s]
}

// ParseWallState reads "waiting", "shown", "reported" or "hidden".
func ParseWallState(s string) (WallState, error) {
	if i := slices.Index(wallStateNames[:], s); i >= 0 {
		return WallState(i), nil
	}
	return 0, fmt.Errorf("state %s: want waiting, shown, reported or hidden", quote(s))
}

// WallMessage is a message with the newest decision about it. Of one that is
// waiting, the fields from Reason on are zero.
type WallMessage struct {
	Key MessageKey
	Message
	State   WallState
	Reason  string
	By      string    // who decided: the scope and key id of a link, or "visitors"
	Decided time.Time // whole milliseconds
}

// WallQuery asks for messages in one state.
type WallQuery struct {
	State   WallState
	Schools []SchoolCode // nil: all
	Keys    []MessageKey // nil: all
	After   WallPlace    // in the order of the answer; zero: from its beginning
	Limit   int          // at most so many
}

// WallPlace is where a message stands in an order by time.
type WallPlace struct {
	At  time.Time
	Key MessageKey
}

// WallSwitch turns the wall off, or on again, for the schools of a region.
type WallSwitch struct {
	Region Region // Nation: everywhere
	Off    bool
	By     string
	At     time.Time // whole milliseconds
}

// WallArchive is the part of an Archive that keeps what was decided about messages.
// A decision has a copy of the message, so that the wall shows what somebody has
// read, whatever becomes of the submission. Counting knows nothing of it.
type WallArchive interface {
	// Wall lists the messages in a state: those waiting and reported with the
	// earliest first, those shown and hidden with the newest first, by Key within
	// the same instant.
	Wall(ctx context.Context, activity string, q WallQuery) ([]WallMessage, error)

	// WallCounts is how many messages of the schools (nil: all) are in each state.
	WallCounts(ctx context.Context, activity string, schools []SchoolCode) (map[WallState]int, error)

	// Decide stores decisions. Of several about one message the one with the newest
	// Decided stays; within a millisecond, the more careful one.
	Decide(ctx context.Context, activity string, ms []WallMessage) error

	// SetWallSwitch stores a switch unless there is a newer one of its region;
	// WallSwitches are the newest of each region, by region.
	SetWallSwitch(ctx context.Context, activity string, s WallSwitch) error
	WallSwitches(ctx context.Context, activity string) ([]WallSwitch, error)
}

// DecidedAt is the moment of a decision that follows one of before: later than that, also
// where the clock of its node was ahead.
func DecidedAt(now, before time.Time) time.Time {
	if now = now.Truncate(time.Millisecond); now.After(before) {
		return now
	}
	return before.Add(time.Millisecond)
}

// WallOff is the switch that turns the wall off in a region, or nil.
func WallOff(switches []WallSwitch, region Region) *WallSwitch {
	for i, s := range switches {
		if s.Off && s.Region.Contains(region) {
			return &switches[i]
		}
	}
	return nil
}

// LinkKey is the id of the key that signed a link's token, for notes of who did what;
// "" where it is no token. Whether the link is valid is for Open to say.
func LinkKey(token string) string {
	b, err := linkEncoding.DecodeString(token)
	if err != nil || len(b) < linkFixed || len(b) < linkFixed+int(b[linkFixed-1]) {
		return ""
	}
	return string(b[linkFixed : linkFixed+int(b[linkFixed-1])])
}
