package ingest

import (
	"context"
	"time"
)

// backlogEvery is how often the ledger is asked how much waits in its log.
const backlogEvery = 10 * time.Second

// keepBacklog follows how much of an activity waits for the archive. Past the limit
// it is said, and no more than that: what is refused is lost to somebody, and what a
// full ledger does not take the spool does.
func (s *Server) keepBacklog(ctx context.Context, a *activity) {
	for said := false; ; {
		ask, cancel := context.WithTimeout(ctx, attempt)
		n, err := s.Ledger.Backlog(ask, a.ID)
		cancel()
		if err == nil {
			a.backlog.Store(int64(n))
			over := s.over(a)
			if over && !said {
				s.Log.Error("more waits for the archive than backlog_limit", "activity", a.ID, "participations", n, "limit", s.BacklogLimit)
			}
			said = over
		}
		if !pause(ctx, backlogEvery) {
			return
		}
	}
}

// over reports whether more waits for the archive than there should.
func (s *Server) over(a *activity) bool {
	return s.BacklogLimit > 0 && a.backlog.Load() > int64(s.BacklogLimit)
}
