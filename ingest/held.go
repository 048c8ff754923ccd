package ingest

import (
	"context"
	"time"

	"github.com/canyu/canyu"
)

// What a person has let count of what was held is in no ledger: live counts are the
// ledger's, and what the archive says was admitted.

// admittedEvery is how far live counts may be behind a decision.
const admittedEvery = 2 * time.Second

// keepAdmitted follows what is admitted until ctx ends.
func (s *Server) keepAdmitted(ctx context.Context, a *activity) {
	for {
		within, cancel := context.WithTimeout(ctx, attachWithin)
		err := s.readAdmitted(within, a)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.Log.Debug("cannot read what is admitted", "activity", a.ID, "error", err)
		}
		if !pause(ctx, admittedEvery) {
			return
		}
	}
}

func (s *Server) readAdmitted(ctx context.Context, a *activity) error {
	extra, err := canyu.AdmittedRollups(ctx, s.Archive, a.ID, nil, a.FirstDay, a.LastDay)
	if err != nil {
		return err // what was admitted stays
	}
	var admitted map[canyu.Class]canyu.Tally
	for _, r := range extra {
		if admitted == nil {
			admitted = make(map[canyu.Class]canyu.Tally)
		}
		t := admitted[r.Class]
		t[r.Role] += r.Admitted
		admitted[r.Class] = t
	}
	a.admitted.Store(&admitted)
	return nil
}

// admit adds what is admitted to tallies of the ledger.
func (a *activity) admit(classes []canyu.Class, tallies []canyu.Tally) {
	admitted := a.admitted.Load()
	if admitted == nil || len(*admitted) == 0 {
		return
	}
	for i := range tallies {
		tallies[i].Add((*admitted)[classes[i]])
	}
}
