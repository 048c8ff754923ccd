package rollup

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

const (
	// participationsPerStep is what one Store gets at most, about.
	participationsPerStep = 50_000
	// readAhead is how many participations may wait for their rollups.
	readAhead = 1_000_000
	// share of the time that goes into restating: one in five.
	share = 5
)

// errBusy: another process carries this activity's log.
var errBusy = errors.New("another process holds the duty")

// shipment is what a worker has under way of one activity: read and stored, but
// not yet restated and acknowledged. Losing it loses nothing, the log has it.
type shipment struct {
	w        *Worker
	activity string
	duty     *duty
	underWay bool      // it is among the worker's
	gaveWay  time.Time // when it last began to

	read    []string // position for each shard: up to here it is in the archive, or set aside
	ahead   bool     // something was read that is not acknowledged
	stored  int      // participations since the last acknowledgement
	oldest  time.Time
	touched map[canyu.Class]struct{}

	restated time.Time     // when restating was last done
	took     time.Duration // and how long it took
	ended    time.Time     // the last step that succeeded,
	more     bool          // and whether there was more to do

	most   int        // entries at once; without limit unless the archive refuses some
	failed int        // stores in a row
	aside  []*refused // in the order of each log
}

func (w *Worker) shipment(activity string) *shipment {
	s := &shipment{w: w, activity: activity, duty: &duty{ledger: w.Ledger, name: rollupDuty(activity), holder: cmp.Or(w.Holder, "rollup") + "/" + rand.Text()}}
	s.reset()
	return s
}

func (s *shipment) reset() {
	s.read, s.most, s.failed, s.aside = make([]string, s.w.Ledger.Shards()), math.MaxInt, 0, nil
	s.settled()
}

// settled: what was read is acknowledged, but for what is set aside.
func (s *shipment) settled() {
	s.ahead, s.stored, s.oldest = false, 0, time.Time{}
	s.touched = make(map[canyu.Class]struct{})
	if len(s.aside) == 0 {
		clear(s.read)
	}
}

// step carries the next participations into the archive and returns how many they
// were, and whether more are waiting. It restates and acknowledges when the log is
// read to its end, when that is due, or at any rate when told to finish. Idle is
// silent: without anything in the log nothing is claimed and nothing written.
// errBusy and errAside are returned only when told to finish.
func (s *shipment) step(ctx context.Context, finish bool) (n int, more bool, err error) {
	began := s.w.now()
	defer func() {
		if err != nil && !errors.Is(err, errBusy) {
			err = fmt.Errorf("activity %s: %w", s.activity, err)
			s.w.note(s.activity, func(st *Status) { st.Errors, st.LastError = st.Errors+1, err.Error() })
		}
	}()
	if !s.ahead && !s.asideDue() {
		if empty, err := s.empty(ctx); err != nil || empty {
			if empty && len(s.aside) == 0 {
				s.w.note(s.activity, func(st *Status) { st.Done, st.oldest, st.LastError = s.w.now(), time.Time{}, "" })
			}
			return 0, false, cmp.Or(err, s.left(finish))
		}
	}
	if !finish && s.givesWay() {
		return 0, false, nil
	}
	err = s.duty.do(ctx, func(ctx context.Context) error {
		if err := s.recall(ctx); err != nil {
			return err
		}
		if err := s.tryAside(ctx); err != nil {
			return err
		}
		if n, more, err = s.store(ctx); err != nil {
			return err
		}
		if s.ahead && (n == 0 || s.due() || finish && !more) {
			return s.settle(ctx)
		}
		return nil
	})
	if errors.Is(err, errBusy) {
		s.atRest()
		s.reset() // whoever has the duty now begins from the log, and so shall we
		s.w.note(s.activity, func(st *Status) { st.oldest = time.Time{} })
		if !finish {
			err = nil
		}
		return 0, false, err
	}
	if err == nil {
		now := s.w.now()
		if s.more { // the pause counts: it belongs to the pace
			began = s.ended
		}
		s.ended, s.more = now, more
		s.w.note(s.activity, func(st *Status) { st.worked(n, now.Sub(began)) })
		if !s.ahead {
			s.release(ctx)
		}
		if !more {
			err = s.left(finish)
		}
	}
	return n, more, err
}

// turn is for how long a process goes on with one of several activities before it looks
// whether another process would.
const turn = 5 * time.Second

// givesWay: other activities are under way in this process, so another process, which
// may have none, gets the first chance of this one. Else it is under way from here on.
func (s *shipment) givesWay() bool {
	if s.underWay {
		return false
	}
	if s.w.underWay.Add(1) > 1 {
		if time.Since(s.gaveWay) >= turn {
			s.gaveWay = time.Now()
		}
		if time.Since(s.gaveWay) < 2*idle { // it looks once every idle
			s.w.underWay.Add(-1)
			return true
		}
	}
	s.underWay = true
	return false
}

func (s *shipment) atRest() {
	if s.underWay {
		s.underWay = false
		s.w.underWay.Add(-1)
	}
}

// left is errAside where something stays behind at the end.
func (s *shipment) left(finish bool) error {
	if finish && len(s.aside) > 0 {
		return errAside
	}
	return nil
}

func (s *shipment) asideDue() bool {
	now := s.w.now()
	return slices.ContainsFunc(s.aside, func(r *refused) bool { return r.due(now) })
}

// store reads on in every shard and stores what came. An entry that cannot be read
// is put out of the way first.
func (s *shipment) store(ctx context.Context) (n int, more bool, err error) {
	for shard := range s.read {
		most := min(s.most, participationsPerStep)
		entries, err := s.w.Ledger.Log(ctx, s.activity, shard, s.read[shard], most)
		if err != nil {
			return n, false, err
		}
		if len(entries) > s.most {
			entries = entries[:s.most]
		}
		var rs []canyu.Recorded
		size := 0
		for _, e := range entries {
			if e.Err != nil {
				if err := s.bury(shard, e, e.Err); err != nil {
					return n, false, err
				}
				if len(rs) == 0 { // what is set aside next is then the first of the log
					s.read[shard], s.ahead = e.Position, true
				}
			}
			rs = append(rs, e.Recorded...)
			size += e.Size()
		}
		if len(rs) > 0 {
			if err := s.w.Archive.Store(ctx, s.activity, rs); err != nil {
				s.older(oldest(rs))
				s.refuse(ctx, shard, slices.DeleteFunc(entries, func(e canyu.LogEntry) bool { return e.Err != nil }), err)
				return n, false, err
			}
			s.carried(rs)
			s.taken(len(rs))
		}
		if len(entries) > 0 {
			s.read[shard], s.ahead = entries[len(entries)-1].Position, true
		}
		more = more || size >= most
		n += size
	}
	return n, more, nil
}

// carried: rs are in the archive, and wait for their rollups.
func (s *shipment) carried(rs []canyu.Recorded) {
	s.stored += len(rs)
	newest := time.Time{}
	for i := range rs {
		s.touched[rs[i].Class] = struct{}{}
		if at := rs[i].At; at.After(newest) {
			newest = at
		}
	}
	s.older(oldest(rs))
	s.w.note(s.activity, func(st *Status) {
		st.Stores++
		st.Participations += len(rs)
		if newest.After(st.Newest) {
			st.Newest = newest
		}
	})
}

func oldest(rs []canyu.Recorded) time.Time {
	return slices.MinFunc(rs, func(x, y canyu.Recorded) int { return x.At.Compare(y.At) }).At
}

// older: a participation of instant at is not in the rollups.
func (s *shipment) older(at time.Time) {
	if s.oldest.IsZero() || at.Before(s.oldest) {
		s.oldest = at
	}
	s.w.note(s.activity, func(st *Status) { st.oldest = s.oldest })
}

// due: restating now keeps within its share of the time, or too much waits for it.
func (s *shipment) due() bool {
	return s.stored >= readAhead || s.w.now().Sub(s.restated) >= (share-1)*s.took
}

// settle restates what was touched and acknowledges what was read.
func (s *shipment) settle(ctx context.Context) error {
	began := s.w.now()
	if err := restate(ctx, s.w.Archive, s.activity, s.touched); err != nil {
		return err
	}
	s.restated = s.w.now()
	s.took = s.restated.Sub(began)
	for shard := range s.read {
		position := s.acknowledgeable(shard)
		if position == "" {
			continue
		}
		if err := s.w.Ledger.Acknowledge(ctx, s.activity, shard, position); err != nil {
			return err
		}
	}
	s.settled()
	for _, r := range s.aside {
		s.older(oldest(r.entry.Recorded))
	}
	s.w.note(s.activity, func(st *Status) {
		if st.oldest = s.oldest; len(s.aside) == 0 {
			st.Done, st.LastError = s.restated, ""
		}
	})
	return nil
}

// restate restates classes, if there are any.
func restate(ctx context.Context, a canyu.Archive, activity string, classes map[canyu.Class]struct{}) error {
	if len(classes) == 0 {
		return nil
	}
	return a.Restate(ctx, activity, slices.SortedFunc(maps.Keys(classes), canyu.Class.Compare))
}

// release lets another process have its turn, best effort: the claim runs out.
func (s *shipment) release(ctx context.Context) {
	s.atRest()
	if err := s.duty.release(ctx); err != nil {
		s.w.log().Debug("cannot release a claim; it runs out", "activity", s.activity, "error", err)
	}
}

func (s *shipment) empty(ctx context.Context) (bool, error) {
	for shard, read := range s.read {
		entries, err := s.w.Ledger.Log(ctx, s.activity, shard, read, 1)
		if err != nil || len(entries) > 0 {
			return false, err
		}
	}
	return true, nil
}
