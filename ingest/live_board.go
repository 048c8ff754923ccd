package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// board is what the archive knows of every school that is watched: one question for
// all of them, because questions cost an archive more than rows do. It is renewed
// while somebody asks, every few seconds and never for more than a twentieth of the
// time: what the archive has is some seconds old anyway.
type board struct {
	s     *Server
	a     *activity
	asked chan struct{} // one token: somebody wants it newer

	mu      sync.Mutex
	at      time.Time
	day     canyu.Day
	schools map[canyu.SchoolCode]*archived // nil where the archive is away
	renewed chan struct{}                  // closed at the next renewal
}

const (
	boardEvery = 3 * time.Second
	// boardFirst is how long the first event of a watch waits for the archive.
	boardFirst = 300 * time.Millisecond
)

func newBoard(s *Server, a *activity) *board {
	return &board{s: s, a: a, asked: make(chan struct{}, 1), renewed: make(chan struct{})}
}

// sum is of these schools, nil unless the board has all of them.
func (b *board) sum(schools []*canyu.School, first bool) *archived {
	total, renewed := b.have(schools)
	if total == nil && first {
		wait := time.NewTimer(boardFirst)
		defer wait.Stop()
		select {
		case <-renewed:
			total, _ = b.have(schools)
		case <-wait.C:
		}
	}
	return total
}

func (b *board) have(schools []*canyu.School) (*archived, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := &archived{day: b.day}
	for _, sc := range schools {
		of, ok := b.schools[sc.Code]
		if !ok {
			total = nil
			break
		}
		total.today.Add(of.today)
		total.submissions += of.submissions
		total.submissionsToday += of.submissionsToday
	}
	if total == nil || time.Since(b.at) >= boardEvery {
		select {
		case b.asked <- struct{}{}:
		default:
		}
	}
	return total, b.renewed
}

// run renews the board whenever somebody asks.
func (b *board) run(ctx context.Context, h *hub) {
	for {
		select {
		case <-b.asked:
		case <-ctx.Done():
			return
		}
		started := time.Now()
		b.renew(ctx, h.schools(b.a.ID))
		if !pause(ctx, max(boardFirst/2, 20*time.Since(started))) {
			return
		}
	}
}

func (b *board) renew(ctx context.Context, codes []canyu.SchoolCode) {
	if len(codes) == 0 {
		return
	}
	limit, cancel := context.WithTimeout(ctx, 10*attempt)
	defer cancel()
	day := b.a.DayOf(b.s.now())
	rollups, err := b.s.Archive.Rollups(limit, b.a.ID, codes, b.a.FirstDay, b.a.LastDay)
	if err != nil && ctx.Err() == nil {
		b.s.Log.Error("cannot read the archive", "activity", b.a.ID, "error", err)
	}
	var schools map[canyu.SchoolCode]*archived
	if err == nil {
		schools = make(map[canyu.SchoolCode]*archived, len(codes))
		for _, code := range codes {
			schools[code] = &archived{day: day}
		}
		for i := range rollups {
			schools[rollups[i].Class.School].add(&rollups[i])
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.day, b.schools = time.Now(), day, schools
	close(b.renewed)
	b.renewed = make(chan struct{})
}

// same reports whether the same would be shown.
func (x *archived) same(o *archived) bool {
	if x == nil || o == nil {
		return x == o
	}
	return x.day == o.day && x.today == o.today && x.submissions == o.submissions && x.submissionsToday == o.submissionsToday
}
