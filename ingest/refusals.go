package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// refusals counts for the reports what was refused of an activity. The counts only
// rise, and go into the archive under the writer's name: storing them again changes
// nothing. They are notes on the quality of the numbers and no numbers themselves,
// so what a process that is killed has counted in its last seconds may be lost.
type refusals struct {
	writer string

	mu      sync.Mutex
	counts  map[refusalKey]int
	changed map[refusalKey]bool
}

type refusalKey struct {
	school canyu.SchoolCode // 0: none of the roster
	day    canyu.Day
	reason string
}

func newRefusals() *refusals {
	return &refusals{writer: newWriter(), counts: make(map[refusalKey]int), changed: make(map[refusalKey]bool)}
}

// add counts a submission of an open or closed activity that arrived at instant at.
// Those far outside its days are counted at their rim.
func (r *refusals) add(a *canyu.Activity, roster *canyu.Roster, school string, at time.Time, why error) {
	k := refusalKey{reason: reasonOf(why)}
	k.day = min(max(a.DayOf(at), a.FirstDay-canyu.LatestReport), a.LastDay+canyu.LatestReport)
	if code, err := canyu.ParseSchoolCode(school); err == nil && roster.School(code) != nil {
		k.school = code
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[k]++
	r.changed[k] = true
}

// fields are those of a submission that a reason may name. Any other, which a
// stranger has made up, is just invalid.
var fields = []string{"school", "grade", "class", "role", "seat", "name", "steps", "message", "id"}

// reasonOf is a refusal in one word: the first bad field, else the outcome. Never the
// error's own string, which may borrow from the request.
func reasonOf(why error) string {
	var invalid canyu.InvalidError
	if errors.As(why, &invalid) && len(invalid) > 0 {
		if i := slices.Index(fields, invalid[0].Field); i >= 0 {
			return fields[i]
		}
	}
	return problemOf(why).outcome
}

// flush stores what has changed. What could not be stored is stored next time.
func (r *refusals) flush(ctx context.Context, archive canyu.Archive, activity string) error {
	r.mu.Lock()
	var rs []canyu.Refusal
	for k := range r.changed {
		rs = append(rs, canyu.Refusal{School: k.school, Day: k.day, Reason: k.reason, Count: r.counts[k]})
	}
	clear(r.changed)
	r.mu.Unlock()
	if len(rs) == 0 {
		return nil
	}
	err := archive.SetRefusals(ctx, activity, r.writer, rs)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, f := range rs {
			r.changed[refusalKey{f.School, f.Day, f.Reason}] = true
		}
	}
	return err
}

// refusalsEvery is how far the archive may be behind with refusals.
const refusalsEvery = 5 * time.Second

// keepRefusals brings an activity's refusals into the archive until ctx ends, and
// once more then.
func (s *Server) keepRefusals(ctx context.Context, a *activity) {
	for more := true; more; {
		more = pause(ctx, refusalsEvery)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if err := a.refusals.flush(last, s.Archive, a.ID); err != nil {
			s.Log.Debug("cannot store refusals yet", "activity", a.ID, "error", err)
		}
		cancel()
	}
}
