package rollup

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/canyu/canyu"
)

// What the archive refuses is told from an archive that is away, full or read-only
// by what it takes meanwhile. After some failures in a row fewer entries are stored
// at once, down to a single one. If that fails, it is set aside and its neighbours
// have their turn. It becomes a dead letter only when it has failed alone again
// and again, each time after the archive had taken at least as much of what came
// behind it. While nothing is taken, nothing is given up.
const (
	failuresBefore = 3           // the archive was most likely away for a moment
	fewer          = 8           // so many times fewer after a failure, and more after a success
	enough         = 4096        // entries at once: as good as no limit
	mostAside      = 16          // if none of so many goes in, it is the archive
	strikes        = 3           // failures, with neighbours taken before each
	patience       = time.Minute // and not before
	tryAgain       = 10 * time.Second
)

var errAside = errors.New("the archive refuses some entries of the log")

// refused is an entry that failed alone.
type refused struct {
	shard      int
	entry      canyu.LogEntry
	before     string // position of the entry in front of it, up to which the log may be forgotten
	since      time.Time
	tried      time.Time
	neighbours int // participations stored since
	strikes    int
}

func (r *refused) size() int { return r.entry.Size() }

func (r *refused) due(now time.Time) bool {
	return r.neighbours >= r.size() || now.Sub(r.tried) >= tryAgain
}

// refuse is told that a store of these entries failed. It makes the next store
// smaller, or sets a single entry aside.
func (s *shipment) refuse(ctx context.Context, shard int, entries []canyu.LogEntry, err error) {
	s.failed++
	if s.w.DeadLetters == "" || ctx.Err() != nil || ofTheWorld(err) || s.failed < failuresBefore && s.most == math.MaxInt {
		return
	}
	if len(entries) > 1 {
		s.most = max(1, len(entries)/fewer)
		return
	}
	if s.most = 1; len(s.aside) >= mostAside {
		return
	}
	e, now := entries[0], s.w.now()
	s.aside = append(s.aside, &refused{shard: shard, entry: e, before: s.read[shard], since: now, tried: now})
	s.read[shard] = e.Position
	s.w.log().Warn("the archive refuses an entry of the log; going on with the others", "activity", s.activity, "position", e.Position, "participations", len(e.Recorded), "error", err)
}

// taken is told that entries were stored.
func (s *shipment) taken(participations int) {
	s.failed = 0
	if s.most < enough {
		s.most *= fewer
	}
	if s.most >= enough {
		s.most = math.MaxInt
	}
	for _, r := range s.aside {
		r.neighbours += participations
	}
}

// recall forgets what was set aside if another process had the duty meanwhile and
// dealt with it: then it is not at the front of its log any more.
func (s *shipment) recall(ctx context.Context) error {
	if s.ahead || len(s.aside) == 0 {
		return nil
	}
	first := s.aside[0]
	entries, err := s.w.Ledger.Log(ctx, s.activity, first.shard, "", 1)
	if err == nil && (len(entries) == 0 || entries[0].Position != first.entry.Position) {
		s.reset()
	}
	return err
}

// tryAside tries one of those set aside, if it is time for one.
func (s *shipment) tryAside(ctx context.Context) error {
	now := s.w.now()
	var r *refused
	for _, other := range s.aside {
		if other.due(now) && (r == nil || other.tried.Before(r.tried)) {
			r = other
		}
	}
	if r == nil {
		return nil
	}
	err := s.w.Archive.Store(ctx, s.activity, r.entry.Recorded)
	if err == nil {
		s.w.log().Info("the archive takes an entry of the log that it refused", "activity", s.activity, "position", r.entry.Position)
		s.carried(r.entry.Recorded)
		s.letGo(r)
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	if r.neighbours >= r.size() && !ofTheWorld(err) {
		r.strikes++
	}
	r.neighbours, r.tried = 0, now
	s.w.note(s.activity, func(st *Status) { st.Errors, st.LastError = st.Errors+1, err.Error() })
	if r.strikes < strikes || now.Sub(r.since) < patience {
		return nil
	}
	if err := s.bury(r.shard, r.entry, err); err != nil {
		return err
	}
	s.letGo(r)
	return nil
}

// ofTheWorld: an error that cannot be the entry's fault.
func ofTheWorld(err error) bool {
	var network net.Error
	var system syscall.Errno
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) || errors.As(err, &system)
}

func (s *shipment) letGo(r *refused) {
	s.aside = slices.DeleteFunc(s.aside, func(o *refused) bool { return o == r })
	s.ahead = true
}

// bury makes a dead letter of an entry, or returns why it must wait where it is.
func (s *shipment) bury(shard int, e canyu.LogEntry, reason error) error {
	if s.w.DeadLetters == "" {
		return fmt.Errorf("cannot read log entry %s: %w", e.Position, reason)
	}
	d := &DeadLetter{Activity: s.activity, Shard: shard, Position: e.Position, Reason: reason.Error(), At: s.w.now().UTC(), Raw: e.Raw, Recorded: plain(e.Recorded)}
	if err := d.write(s.w.DeadLetters); err != nil {
		return err
	}
	s.w.log().Error("an entry of the log is a dead letter now: see canyu deadletter", "activity", s.activity, "position", e.Position, "participations", len(e.Recorded), "reason", reason)
	return nil
}

// acknowledgeable is up to where a shard's log is in the archive without a gap.
func (s *shipment) acknowledgeable(shard int) string {
	for _, r := range s.aside { // in the order of the log
		if r.shard == shard {
			return r.before
		}
	}
	return s.read[shard]
}
