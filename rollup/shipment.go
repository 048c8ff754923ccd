package rollup

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
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

	read    []string // position for each shard: up to here it is in the archive
	stored  int      // participations since the last acknowledgement
	oldest  time.Time
	touched map[canyu.Class]struct{}

	restated time.Time     // when restating was last done
	took     time.Duration // and how long it took
}

func (w *Worker) shipment(activity string) *shipment {
	s := &shipment{w: w, activity: activity, duty: &duty{ledger: w.Ledger, name: "rollup/" + activity, holder: cmp.Or(w.Holder, "rollup") + "/" + rand.Text()}}
	s.reset()
	return s
}

func (s *shipment) reset() {
	s.read, s.stored, s.oldest = make([]string, s.w.Ledger.Shards()), 0, time.Time{}
	s.touched = make(map[canyu.Class]struct{})
}

// step carries the next participations into the archive and returns how many they
// were, and whether more are waiting. It restates and acknowledges when the log is read to its end, when that
// is due, or at any rate when told to finish. Idle is silent: without anything in
// the log nothing is claimed and nothing written. errBusy is returned only when
// told to finish.
func (s *shipment) step(ctx context.Context, finish bool) (n int, more bool, err error) {
	defer func() {
		if err != nil && !errors.Is(err, errBusy) {
			err = fmt.Errorf("activity %s: %w", s.activity, err)
			s.w.note(s.activity, func(st *Status) { st.Errors, st.LastError = st.Errors+1, err.Error() })
		}
	}()
	if len(s.touched) == 0 {
		if empty, err := s.empty(ctx); err != nil || empty {
			if empty {
				s.w.note(s.activity, func(st *Status) { st.Done, st.Lag, st.LastError = s.w.now(), 0, "" })
			}
			return 0, false, err
		}
	}
	err = s.duty.do(ctx, func(ctx context.Context) error {
		if n, more, err = s.store(ctx); err != nil {
			return err
		}
		if len(s.touched) > 0 && (n == 0 || s.due() || finish && !more) {
			return s.settle(ctx)
		}
		return nil
	})
	if errors.Is(err, errBusy) {
		s.reset() // whoever has the duty now begins from the log, and so shall we
		if !finish {
			err = nil
		}
		return 0, false, err
	}
	if err == nil && len(s.touched) == 0 {
		s.release(ctx)
	}
	return n, more, err
}

// store reads on in every shard and stores what came.
func (s *shipment) store(ctx context.Context) (n int, more bool, err error) {
	var rs []canyu.Recorded
	read := slices.Clone(s.read)
	most := participationsPerStep/len(read) + 1
	for shard := range read {
		entries, err := s.w.Ledger.Log(ctx, s.activity, shard, read[shard], most)
		if err != nil {
			return 0, false, err
		}
		before := len(rs)
		for _, e := range entries {
			rs = append(rs, e.Recorded...)
			read[shard] = e.Position
		}
		more = more || len(rs)-before >= most
	}
	if len(rs) > 0 {
		if err := s.w.Archive.Store(ctx, s.activity, rs); err != nil {
			return 0, false, err
		}
	}
	s.read = read
	s.stored += len(rs)
	newest := time.Time{}
	for i := range rs {
		s.touched[rs[i].Class] = struct{}{}
		if at := rs[i].At; s.oldest.IsZero() || at.Before(s.oldest) {
			s.oldest = at
		}
		if at := rs[i].At; at.After(newest) {
			newest = at
		}
	}
	s.w.note(s.activity, func(st *Status) {
		if len(rs) > 0 {
			st.Stores++
			st.Participations += len(rs)
		}
		if newest.After(st.Newest) {
			st.Newest = newest
		}
		if !s.oldest.IsZero() {
			st.Lag = s.w.now().Sub(s.oldest)
		}
	})
	return len(rs), more, nil
}

// due: restating now keeps within its share of the time, or too much waits for it.
func (s *shipment) due() bool {
	return s.stored >= readAhead || s.w.now().Sub(s.restated) >= (share-1)*s.took
}

// settle restates what was touched and acknowledges what was read.
func (s *shipment) settle(ctx context.Context) error {
	began := s.w.now()
	classes := slices.SortedFunc(maps.Keys(s.touched), canyu.Class.Compare)
	if err := s.w.Archive.Restate(ctx, s.activity, classes); err != nil {
		return err
	}
	s.restated = s.w.now()
	s.took = s.restated.Sub(began)
	for shard, position := range s.read {
		if position == "" {
			continue
		}
		if err := s.w.Ledger.Acknowledge(ctx, s.activity, shard, position); err != nil {
			return err
		}
	}
	s.reset()
	s.w.note(s.activity, func(st *Status) { st.Done, st.Lag, st.LastError = s.restated, 0, "" })
	return nil
}

// release lets another process have its turn, best effort: the claim runs out.
func (s *shipment) release(ctx context.Context) {
	if err := s.duty.release(ctx); err != nil {
		s.w.log().Debug("cannot release a claim; it runs out", "activity", s.activity, "error", err)
	}
}

func (s *shipment) empty(ctx context.Context) (bool, error) {
	for shard := range s.w.Ledger.Shards() {
		entries, err := s.w.Ledger.Log(ctx, s.activity, shard, "", 1)
		if err != nil || len(entries) > 0 {
			return false, err
		}
	}
	return true, nil
}

// waiting is what is in the logs, as shard and position.
func (s *shipment) waiting(ctx context.Context) (map[string]bool, error) {
	all := make(map[string]bool)
	for shard := range s.w.Ledger.Shards() {
		for e, err := range log(ctx, s.w.Ledger, s.activity, shard) {
			if err != nil {
				return nil, err
			}
			all[fmt.Sprint(shard, " ", e.Position)] = true
		}
	}
	return all, nil
}

// gone reports whether nothing of before is in the logs any more. They are
// acknowledged from the front, so their first entries tell.
func (s *shipment) gone(ctx context.Context, before map[string]bool) (bool, error) {
	for shard := range s.w.Ledger.Shards() {
		entries, err := s.w.Ledger.Log(ctx, s.activity, shard, "", 1)
		if err != nil {
			return false, err
		}
		if len(entries) > 0 && before[fmt.Sprint(shard, " ", entries[0].Position)] {
			return false, nil
		}
	}
	return true, nil
}
