package rollup

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Erased is what was destroyed of one participant.
type Erased struct {
	Counted     bool // the participant was counted, and is not any more
	Submissions int
	Messages    int
	Letters     int // dead letters that had something of the participant
}

// Somebody is one participant of an activity.
type Somebody struct {
	Activity    string
	Class       canyu.Class
	Role        canyu.Role
	Participant canyu.Participant
}

func (s *Somebody) is(r *canyu.Recorded) bool {
	return r.Class == s.Class && r.Role == s.Role && r.Participant == s.Participant
}

const erasePatience = 30 * time.Second

// Erase takes one participant out of ledger and archive and restates the class, so that
// both agree afterwards; who submits again counts again. It waits for a worker that is at
// the activity, and for what the log has of the participant to be in the archive: drain
// carries it there, or waits for who does. Dead letters are those in folder dir.
func Erase(ctx context.Context, l canyu.Ledger, a canyu.Archive, who Somebody, dir string, drain func(context.Context) error) (e Erased, err error) {
	if p, err := a.Purged(ctx, who.Activity); err != nil {
		return e, err
	} else if !p.Participants.IsZero() {
		return e, canyu.ErrPurged
	}
	for end := time.Now().Add(erasePatience); ; {
		err = onDuty(ctx, l, who.Activity, func(ctx context.Context) error { return e.erase(ctx, l, a, who) })
		if !errors.Is(err, canyu.ErrPending) || time.Now().After(end) {
			break
		}
		if err := drain(ctx); err != nil {
			return e, err
		}
	}
	if err == nil {
		e.Letters, err = eraseFromLetters(dir, who)
	}
	return e, err
}

func (e *Erased) erase(ctx context.Context, l canyu.Ledger, a canyu.Archive, who Somebody) error {
	in, err := l.Erase(ctx, who.Activity, who.Class, who.Role, who.Participant)
	if err != nil {
		return err
	}
	p, err := a.Person(ctx, who.Activity, who.Class, who.Role, who.Participant)
	if err != nil {
		return err
	}
	if err := a.Erase(ctx, who.Activity, who.Class, who.Role, who.Participant); err != nil {
		return err
	}
	if err := a.Restate(ctx, who.Activity, []canyu.Class{who.Class}); err != nil {
		return err
	}
	e.Counted = e.Counted || in || p.Counted
	e.Submissions += len(p.Submissions)
	for _, s := range p.Submissions {
		if s.Message != "" {
			e.Messages++
		}
	}
	// Somebody may have submitted in between: what the worker is about to store would
	// be a submission of nobody.
	for shard := range l.Shards() {
		for entry, err := range canyu.ReadLog(ctx, l, who.Activity, shard) {
			if err != nil {
				return err
			}
			if slices.ContainsFunc(entry.Recorded, func(r canyu.Recorded) bool { return who.is(&r) }) {
				return canyu.ErrPending
			}
		}
	}
	return nil
}

// eraseFromLetters takes somebody out of the dead letters that can be read.
func eraseFromLetters(dir string, who Somebody) (n int, err error) {
	letters, err := DeadLetters(dir, who.Activity)
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	done := make(map[string]bool)
	for i := range letters {
		d := letters[i]
		rs := d.Participations()
		rest := slices.DeleteFunc(slices.Clone(rs), func(r canyu.Recorded) bool { return who.is(&r) })
		if len(rest) == len(rs) {
			continue
		}
		if len(rest) > 0 {
			d.Recorded, d.line = plain(rest), nil
			if err := d.write(dir); err != nil {
				return n, err
			}
		}
		done[string(letters[i].line)] = true
		n++
	}
	if n > 0 {
		_, err = removeLetters(dir, who.Activity, done)
	}
	return n, err
}

// InLetters is what the dead letters in folder dir have of somebody.
func InLetters(dir string, who Somebody) ([]json.RawMessage, error) {
	letters, err := DeadLetters(dir, who.Activity)
	if err != nil {
		return nil, err
	}
	var found []json.RawMessage
	for i := range letters {
		rs := slices.DeleteFunc(letters[i].Participations(), func(r canyu.Recorded) bool { return !who.is(&r) })
		for _, r := range plain(rs) {
			text, err := json.Marshal(r)
			if err != nil {
				return nil, err
			}
			found = append(found, text)
		}
	}
	return found, nil
}
