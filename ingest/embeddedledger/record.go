package embeddedledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// statements of the writing connection. Begin and commit are statements too: a
// database/sql transaction would cost as much as the batch it holds.
type statements struct {
	begin, commit, rollback *sql.Stmt
	log, writer, counted    *sql.Stmt
	set                     *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, c *sql.Conn) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.begin, "begin immediate"},
		{&s.commit, "commit"},
		{&s.rollback, "rollback"},
		{&s.log, "insert into log (activity, size, before, outcomes, payload) values (?, ?, ?, ?, ?)"},
		{&s.writer, "insert or replace into writers (activity, writer, sequence, before, outcomes, at) values (?, ?, ?, ?, ?, ?)"},
		{&s.set, "insert or replace into sets (activity, school, grade, class, role, members) values (?, ?, ?, ?, ?, ?)"},
		{&s.counted, "update activities set counted = ? where activity = ?"},
	} {
		stmt, err := c.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

// transaction runs do between begin and commit on the writing connection. The
// caller holds writing. A deadline ends the wait before it, never the commit: a
// commit that was begun has to be known to have happened or not.
func (l *Ledger) transaction(ctx context.Context, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := l.stmts.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := do(ctx)
	if err == nil {
		_, err = l.stmts.commit.ExecContext(ctx)
	}
	if err != nil {
		// Where SQLite has rolled back by itself this fails, harmlessly.
		_, _ = l.stmts.rollback.ExecContext(ctx)
	}
	return err
}

func ordinal(n uint64) uint64 { return n }

// Record implements canyu.Ledger.
func (l *Ledger) Record(ctx context.Context, b *canyu.Batch) error {
	if !l.Held() {
		return canyu.ErrHeld
	}
	l.writing.Lock()
	defer l.writing.Unlock()

	// Only this method and Restore change an activity, and both hold writing:
	// reading it needs no more.
	l.mu.RLock()
	a := l.activities[b.Activity]
	l.mu.RUnlock()
	if a == nil || a.epoch == "" || a.epoch != b.Epoch {
		return canyu.ErrLost
	}
	last := a.writers[b.Writer]
	switch {
	case last.sequence < b.After:
		return errors.Join(canyu.ErrLost, l.unmark(ctx, b.Activity))
	case b.Sequence < last.sequence:
		return canyu.ErrStale
	case b.Sequence == last.sequence && len(last.outcomes) == len(b.Participations):
		b.Outcomes = ledgerlog.Outcomes(b.Outcomes[:0], last.before, last.outcomes, ordinal)
		return nil
	case b.Sequence == last.sequence:
		return fmt.Errorf("%w: batch %d had %d participations", canyu.ErrStale, b.Sequence, len(last.outcomes))
	}

	fresh := l.decide(a, b.Participations)
	r := reply{sequence: b.Sequence, before: a.counted, outcomes: string(a.outcomes)}
	counted := a.counted + uint64(fresh)
	a.payload = ledgerlog.Append(a.payload[:0], b.Participations)
	err := l.transaction(ctx, func(ctx context.Context) error {
		if _, err := l.stmts.log.ExecContext(ctx, b.Activity, len(b.Participations), int64(r.before), r.outcomes, a.payload); err != nil {
			return err
		}
		if _, err := l.stmts.writer.ExecContext(ctx, b.Activity, b.Writer, int64(r.sequence), int64(r.before), r.outcomes, time.Now().Unix()); err != nil {
			return err
		}
		_, err := l.stmts.counted.ExecContext(ctx, int64(counted), b.Activity)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot record the batch: %w", err)
	}

	l.mu.Lock()
	a.counted = counted
	a.unsaved += len(b.Participations)
	a.writers[b.Writer] = r
	for i := range b.Participations {
		if r.outcomes[i] == '1' {
			p := &b.Participations[i]
			a.join(keyOf(p.Class, p.Role), a.found[i], p.Participant)
		}
	}
	l.mu.Unlock()
	b.Outcomes = ledgerlog.Outcomes(b.Outcomes[:0], r.before, r.outcomes, ordinal)
	return nil
}

// decide leaves in a.outcomes who of ps is new, and in a.found the set of each. It
// changes nobody's count: memory follows the file, not the other way round.
func (l *Ledger) decide(a *activity, ps []canyu.Participation) (fresh int) {
	a.found, a.outcomes = a.found[:0], a.outcomes[:0]
	l.mu.Lock() // a set may be made, empty, while others read
	for i := range ps {
		a.found = append(a.found, a.set(keyOf(ps[i].Class, ps[i].Role)))
	}
	l.mu.Unlock()
	for i, s := range a.found {
		p := &ps[i]
		if p.Held != canyu.Unsuspected || s.has(p.Participant) || slices.Contains(s.joining, p.Participant) {
			a.outcomes = append(a.outcomes, '0')
			continue
		}
		s.joining = append(s.joining, p.Participant)
		a.outcomes = append(a.outcomes, '1')
		fresh++
	}
	for _, s := range a.found {
		s.joining = s.joining[:0]
	}
	return fresh
}

// countsAtOnce is after how many classes a batch that waits goes first.
const countsAtOnce = 1000

// Counts implements canyu.Ledger.
func (l *Ledger) Counts(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Tally, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	tallies := make([]canyu.Tally, len(classes))
	for from := 0; from < max(len(classes), 1); from += countsAtOnce {
		to := min(from+countsAtOnce, len(classes))
		if err := l.count(activity, classes[from:to], tallies[from:to]); err != nil {
			return nil, err
		}
	}
	return tallies, nil
}

func (l *Ledger) count(activity string, classes []canyu.Class, tallies []canyu.Tally) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	a := l.activities[activity]
	if a == nil || a.epoch == "" {
		return canyu.ErrLost
	}
	for i, c := range classes {
		for _, role := range canyu.Roles {
			if s := a.sets[keyOf(c, role)]; s != nil {
				tallies[i][role] = len(s.members)
			}
		}
	}
	return nil
}

// Participants implements canyu.Ledger.
func (l *Ledger) Participants(ctx context.Context, activity string, class canyu.Class, role canyu.Role) ([]canyu.Participant, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	a := l.activities[activity]
	if a == nil || a.epoch == "" {
		return nil, canyu.ErrLost
	}
	if s := a.sets[keyOf(class, role)]; s != nil {
		return slices.Clone(s.members), nil
	}
	return nil, nil
}

// Total implements canyu.Ledger.
func (l *Ledger) Total(ctx context.Context, activity string) (int, error) {
	if err := l.refresh(ctx); err != nil {
		return 0, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	total := 0
	if a := l.activities[activity]; a != nil {
		for _, s := range a.sets {
			total += len(s.members)
		}
	}
	return total, nil
}
