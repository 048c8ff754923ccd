package ingest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// attachment is whether an activity's ledger and archive were found to belong
// together, and with which epoch.
type attachment struct {
	epoch    string // to record with; "" while nothing may be recorded
	err      error  // why ledger and archive are not known to belong together
	attached bool   // they were, at least once, by this process or an earlier one of this node
}

func (a *activity) epochNow() string { return a.state.Load().epoch }

// refused is why nothing may be recorded. A ledger that is away or lost its data
// does not stand in the way of the spool; one that was begun with another key or on
// other terms, or has never been looked at, does.
func (a *activity) refused() error {
	s := a.state.Load()
	if s.err == nil || s.attached && !isAnother(s.err) || errors.Is(s.err, canyu.ErrLost) {
		return nil
	}
	return s.err
}

// isAnother: whoever were counted now would be somebody else than before.
func isAnother(err error) bool {
	return errors.Is(err, canyu.ErrKey) || errors.Is(err, canyu.ErrTerms)
}

// How often what may change while the server runs is looked at.
const (
	attachEvery = time.Second
	rosterEvery = 10 * time.Second
	// attachWithin bounds one try but the first, which only has attempt.
	attachWithin = time.Minute
)

// keepAttached attaches an activity, and again after its ledger was lost, until it
// has been restored.
func (s *Server) keepAttached(ctx context.Context, a *activity) {
	for within := attempt; ; within = attachWithin {
		was := a.state.Load()
		if was.epoch != "" {
			switch err := s.look(ctx, a, was.epoch); {
			case errors.Is(err, canyu.ErrPurged):
				was = &attachment{err: err}
				a.state.Store(was)
			case errors.Is(err, canyu.ErrLost):
				a.committer.lost()
				was = &attachment{epoch: "", err: canyu.ErrLost, attached: true}
				a.state.Store(was)
			}
		}
		if was.err != nil {
			now := s.attach(ctx, a, was, within)
			switch {
			case errors.Is(now.err, canyu.ErrPurged):
				if !errors.Is(was.err, canyu.ErrPurged) {
					s.Log.Info("nobody is counted any more", "activity", a.ID, "reason", now.err)
				}
			case now.err != nil && was.err.Error() != now.err.Error():
				s.Log.Error("ledger and archive are not attached", "activity", a.ID, "error", now.err)
			case now.err == nil:
				s.Log.Info("counting", "activity", a.ID)
			}
			a.state.Store(now)
		}
		a.committer.probe(ctx)
		every := attachEvery
		if a.isPurged() {
			every = forgetEvery
		}
		if !pause(ctx, every) {
			return
		}
	}
}

// attach tries once.
func (s *Server) attach(ctx context.Context, a *activity, was *attachment, within time.Duration) *attachment {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	id, epoch, err := s.attachOnce(ctx, a)
	if err == nil {
		_, err = a.committer.prove(ctx, epoch)
	}
	switch {
	case err == nil:
		m, _ := s.recall(ctx, a) // unknown is as good as new
		if was.epoch == "" {
			a.committer.settle(m.Epoch != "" && m.Epoch != epoch)
		}
		s.remember(ctx, a, m, epoch, id)
		return &attachment{epoch: epoch, attached: true}
	case errors.Is(err, canyu.ErrPurged):
		s.forget(ctx, a)
		return &attachment{err: err}
	case errors.Is(err, canyu.ErrLost):
		if !errors.Is(was.err, canyu.ErrLost) {
			a.committer.lost()
		}
		return &attachment{err: err, attached: was.attached}
	case isAnother(err):
		return &attachment{err: err, attached: was.attached}
	case was.epoch != "":
		return &attachment{epoch: was.epoch, err: err, attached: true}
	}
	return s.attachFromMemory(context.WithoutCancel(ctx), a, was, err)
}

// attachOnce is the identity to count with, and the epoch. A new activity begins.
func (s *Server) attachOnce(ctx context.Context, a *activity) (id *identity, epoch string, err error) {
	if id, err = s.begin(ctx, a); err != nil {
		return nil, "", err
	}
	a.who.Store(id)
	if epoch, err = canyu.Attach(ctx, s.Ledger, s.Archive, a.ID, id.fingerprint()); err != nil {
		return nil, "", err
	}
	if err := canyu.KeepTerms(ctx, s.Ledger, s.Archive, a.Activity); err != nil {
		return nil, "", err
	}
	return id, epoch, nil
}

// attachFromMemory is for a process that starts while ledger or archive is away.
// Where this node was attached before, submissions are taken into the spool; and they
// are counted where the ledger proves that it has what it had acknowledged.
func (s *Server) attachFromMemory(ctx context.Context, a *activity, was *attachment, why error) *attachment {
	now := &attachment{err: why, attached: was.attached}
	m, err := s.recall(ctx, a)
	if err != nil {
		s.Log.Error("cannot recall that the activity was attached", "activity", a.ID, "error", err)
	}
	if m == (attachedBefore{}) {
		return now
	}
	if m.Terms != (canyu.Terms{}) {
		if err := m.Terms.Differ(a.ID, a.Terms()); err != nil {
			now.err = fmt.Errorf("activity %s: %w", a.ID, err)
			return now
		}
	}
	salt, _ := hex.DecodeString(m.Salt) // empty where the salt is forgotten, or never was
	if id := newIdentity(s.Secret, salt, a.Activity); id.fingerprint() == m.Fingerprint {
		a.who.Store(id)
	} else if len(salt) > 0 {
		return now // another secret
	}
	now.attached = true
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	mark, err := s.Ledger.Begin(ctx, a.ID, m.Epoch, m.Fingerprint)
	if err == nil {
		var proved bool
		if proved, err = a.committer.prove(ctx, mark); proved {
			now.epoch = mark
			return now
		}
	}
	switch {
	case errors.Is(err, canyu.ErrKey):
		now.err = err
	case errors.Is(err, canyu.ErrLost):
		a.committer.lost()
		now.err = err
	default:
		a.committer.startSpooling(why)
	}
	return now
}

// attachedBefore is what a node remembers of an activity.
type attachedBefore struct {
	Epoch       string      `json:"epoch"`
	Fingerprint string      `json:"fingerprint"`
	Salt        string      `json:"salt,omitempty"` // hexadecimal; only until the activity is over
	Terms       canyu.Terms `json:"terms"`          // zero: it was remembered before they were kept
}

func (s *Server) recall(ctx context.Context, a *activity) (m attachedBefore, err error) {
	if s.Spool == nil {
		return m, nil
	}
	text, err := s.Spool.Recall(ctx, "activity "+a.ID)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

func (s *Server) remember(ctx context.Context, a *activity, was attachedBefore, epoch string, id *identity) {
	m := attachedBefore{Epoch: epoch, Fingerprint: id.fingerprint(), Terms: a.Terms()}
	if !errors.Is(a.Open(s.now()), canyu.ErrClosed) {
		m.Salt = hex.EncodeToString(id.salt)
	}
	if s.Spool == nil || was == m {
		return
	}
	if err := s.keepInMind(ctx, a, m); err != nil {
		s.Log.Warn("the next start needs ledger and archive", "activity", a.ID, "error", err)
	}
}

func (s *Server) keepInMind(ctx context.Context, a *activity, m attachedBefore) error {
	text, err := json.Marshal(m)
	if err == nil {
		err = s.Spool.Remember(ctx, "activity "+a.ID, text)
	}
	return err
}

// look is ErrLost where the ledger's mark is no longer the one that was attached, or
// where it has been away and came back without what it had acknowledged. A ledger
// that is away is not lost, only doubtful; one that was purged is ErrPurged.
func (s *Server) look(ctx context.Context, a *activity, epoch string) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	mark, err := s.Ledger.Epoch(ctx, a.ID)
	switch {
	case err != nil:
		a.committer.doubt()
		return err
	case mark != epoch:
		if _, err := canyu.SaltOf(ctx, s.Archive, a.ID); errors.Is(err, canyu.ErrPurged) {
			return err
		}
		return canyu.ErrLost
	case !a.committer.isDoubtful():
		return nil
	}
	_, err = a.committer.prove(ctx, epoch)
	return err
}

// keepRoster follows the archive's roster, so that an import needs no restart. A
// start without the archive goes on with the roster of before.
func (s *Server) keepRoster(ctx context.Context) {
	for within := attempt; ; within = attachWithin {
		wait := rosterEvery
		try, cancel := context.WithTimeout(ctx, within)
		err := s.readRoster(try)
		cancel()
		if err != nil {
			wait = attachEvery
			if ctx.Err() == nil {
				s.Log.Error("cannot read the roster", "error", err)
			}
			if s.classes.Load() == nil && s.Spool != nil {
				if err := s.recallRoster(ctx); err != nil {
					s.Log.Error("cannot recall the roster", "error", err)
				}
			}
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (s *Server) readRoster(ctx context.Context) error {
	r, err := s.Archive.Roster(ctx)
	if err != nil {
		return err
	}
	was := s.classes.Swap(r)
	s.rosterRead.Store(time.Now().UnixNano())
	if r == was {
		return nil
	}
	s.judgeOrdinals()
	if s.Spool == nil || was != nil && slices.Equal(was.Entries(), r.Entries()) {
		return nil
	}
	text, err := json.Marshal(r.Entries())
	if err == nil {
		err = s.Spool.Remember(ctx, "roster", text)
	}
	if err != nil {
		s.Log.Warn("the next start needs the archive", "error", err)
	}
	return nil
}

func (s *Server) recallRoster(ctx context.Context) error {
	text, err := s.Spool.Recall(ctx, "roster")
	if err != nil || text == nil {
		return err
	}
	var entries []canyu.RosterEntry
	if err := json.Unmarshal(text, &entries); err != nil {
		return fmt.Errorf("the roster in the spool: %w", err)
	}
	r, err := canyu.NewRoster(entries)
	if err != nil {
		return fmt.Errorf("the roster in the spool: %w", err)
	}
	s.classes.CompareAndSwap(nil, r)
	s.judgeOrdinals()
	return nil
}
