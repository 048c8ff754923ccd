package rollup

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Purger destroys what is not to be kept any longer, as the activities' settings say
// or as somebody has ordered. Several processes may run one: each destroys the dead
// letters of its own folder, and one at a time does the rest.
//
// What is destroyed, and in which order: see Purge.
type Purger struct {
	Ledger      canyu.Ledger
	Archive     canyu.Archive
	Activities  []*canyu.Activity
	DeadLetters string
	Audit       *canyu.AuditLog // nil: it is not kept
	Log         *slog.Logger
	Now         func() time.Time // nil: time.Now
}

// purgeEvery is how often it is looked for something to do.
const purgeEvery = 5 * time.Second

// errWaiting: what is in no rollup yet would be lost.
var errWaiting = errors.New("participations wait in the log: they go into the archive first")

func (p *Purger) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// Run looks at every activity until ctx ends. Errors are logged and tried again.
func (p *Purger) Run(ctx context.Context) error {
	said := make(map[string]string)
	say := func(activity string, err error) {
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && text != said[activity] && ctx.Err() == nil {
			cmp.Or(p.Log, slog.Default()).Warn("cannot purge; trying again", "activity", activity, "error", err)
		}
		said[activity] = text
	}
	named := make(map[string]bool)
	for ctx.Err() == nil {
		for _, a := range p.Activities {
			say(a.ID, p.Step(ctx, a))
		}
		strays, err := Strays(ctx, p.Archive, p.Activities)
		say("", err)
		for _, id := range strays {
			if !named[id] {
				named[id] = true
				cmp.Or(p.Log, slog.Default()).Error("an activity is not in the configuration and is never purged", "activity", id, "error", StrayAdvice(id))
			}
			say(id, p.stepStray(ctx, id))
		}
		select {
		case <-ctx.Done():
		case <-time.After(purgeEvery):
		}
	}
	return nil
}

// Strays are the activities that have begun and are not purged, but are not among those
// configured: nothing says when their retention ends.
func Strays(ctx context.Context, a canyu.Archive, configured []*canyu.Activity) ([]string, error) {
	begun, err := a.Begun(ctx)
	if err != nil {
		return nil, err
	}
	var strays []string
	for _, id := range begun {
		if slices.ContainsFunc(configured, func(c *canyu.Activity) bool { return c.ID == id }) {
			continue
		}
		state, err := a.Purged(ctx, id)
		if err != nil {
			return nil, err
		}
		if state.ParticipantsDone.IsZero() {
			strays = append(strays, id)
		}
	}
	return strays, nil
}

// StrayAdvice is what to do about one.
func StrayAdvice(activity string) string {
	return fmt.Sprintf("activity %s has begun and is not in canyu.yaml, so who took part in it is kept for ever: put it back until it is purged, or run canyu purge --activity %s --now", activity, activity)
}

// stepStray purges a stray where that was ordered. No worker carries what it may have
// left in the log.
func (p *Purger) stepStray(ctx context.Context, activity string) error {
	state, err := p.Archive.Purged(ctx, activity)
	if err != nil || state.Ordered.IsZero() && state.Participants.IsZero() {
		return err
	}
	stray := &canyu.Activity{ID: activity, Zone: time.UTC}
	if state.Participants.IsZero() {
		w := &Worker{Ledger: p.Ledger, Archive: p.Archive, Activities: []*canyu.Activity{stray}, Holder: rand.Text(), DeadLetters: p.DeadLetters, Log: p.Log}
		if err := w.Drain(ctx); err != nil {
			return err
		}
	}
	return p.Step(ctx, stray)
}

// Step does what is to be done about one activity now.
func (p *Purger) Step(ctx context.Context, a *canyu.Activity) error {
	state, err := p.Archive.Purged(ctx, a.ID)
	if err != nil {
		return err
	}
	log, now := cmp.Or(p.Log, slog.Default()), p.now()
	if !state.ParticipantsDone.IsZero() {
		_, err := removeDeadLetters(p.DeadLetters, a.ID) // of this machine
		return err
	}
	keep := a.Retention.Days()
	messages, participants := (a.LastDay + canyu.Day(keep.Messages)).End(a.Zone), (a.LastDay + canyu.Day(keep.Participants)).End(a.Zone)
	everything := !state.Ordered.IsZero() || !state.Participants.IsZero()
	if !everything {
		if now.Before(messages.Add(-canyu.PurgeNotice)) {
			return nil
		}
		if epoch, err := p.Archive.Epoch(ctx, a.ID); err != nil || epoch == "" {
			return err // it has never begun
		}
		if state.Announced.IsZero() {
			log.Warn("an activity is going to be purged: its retention ends", "activity", a.ID,
				"messages", later(messages, now.Add(canyu.PurgeNotice)), "participants", later(participants, now.Add(canyu.PurgeNotice)))
			return p.change(ctx, a.ID, func(s *canyu.Purged) { s.Announced = cmp.Or(s.Announced, now) })
		}
		if now.Before(state.Announced.Add(canyu.PurgeNotice)) {
			return nil
		}
		everything = !now.Before(participants)
	}
	switch {
	case everything:
		if state.Participants.IsZero() {
			if err := p.Audit.Add(ctx, canyu.AuditEntry{Who: canyu.ByServer, What: canyu.AuditPurge, Activity: a.ID, Target: "participants"}); err != nil {
				return err
			}
		}
		done, err := Purge(ctx, p.Ledger, p.Archive, a.ID, p.DeadLetters, now)
		if err == nil {
			log.Warn("an activity has been purged: who took part is not known any more", "activity", a.ID, "dead_letters", done)
		}
		return err
	case state.MessagesDone.IsZero() && !now.Before(messages):
		if state.Messages.IsZero() {
			if err := p.Audit.Add(ctx, canyu.AuditEntry{Who: canyu.ByServer, What: canyu.AuditPurge, Activity: a.ID, Target: "messages"}); err != nil {
				return err
			}
		}
		err := PurgeMessages(ctx, p.Ledger, p.Archive, a.ID, now)
		if err == nil {
			log.Warn("the messages of an activity have been purged", "activity", a.ID)
		}
		return err
	}
	return nil
}

func later(x, y time.Time) string {
	if y.After(x) {
		x = y
	}
	return x.Format(time.RFC3339)
}

// change changes how far the purge has come, one process at a time.
func (p *Purger) change(ctx context.Context, activity string, do func(*canyu.Purged)) error {
	return onDuty(ctx, p.Ledger, activity, func(ctx context.Context) error {
		state, err := p.Archive.Purged(ctx, activity)
		if err != nil {
			return err
		}
		do(&state)
		return p.Archive.SetPurged(ctx, activity, state)
	})
}

// Purge destroys everything that tells who took part in an activity: the salt of their
// key, participants, submissions and messages in the archive, everything in the ledger,
// and the dead letters in folder dir, whose number it returns. The rollups stay as they
// are. It waits for a worker that is at the activity, and may be repeated.
//
// First the archive is told that it takes nothing any more, so that whatever comes from
// a spool or a late worker changes no rollup. A crash after that is gone on with.
func Purge(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity, dir string, now time.Time) (letters int, err error) {
	err = onDuty(ctx, l, activity, func(ctx context.Context) error {
		state, err := a.Purged(ctx, activity)
		if err != nil {
			return err
		}
		if state.Participants.IsZero() {
			if err := finish(ctx, l, a, activity); err != nil {
				return err
			}
			state.Messages, state.Participants = now, now
			if err := a.SetPurged(ctx, activity, state); err != nil {
				return err
			}
		}
		if err := l.Purge(ctx, activity); err != nil {
			return err
		}
		if err := a.PurgeParticipants(ctx, activity); err != nil {
			return err
		}
		if letters, err = removeDeadLetters(dir, activity); err != nil {
			return err
		}
		state.MessagesDone, state.ParticipantsDone = now, now
		return a.SetPurged(ctx, activity, state)
	})
	if err != nil {
		return 0, fmt.Errorf("cannot purge %s: %w", activity, err)
	}
	return letters, nil
}

// finish makes sure that the rollups have everything, also what was held and let count:
// it is asked of the facts, which are about to go.
func finish(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity string) error {
	if err := logIsEmpty(ctx, l, activity); err != nil {
		return err
	}
	rollups, err := a.Rollups(ctx, activity, nil, canyu.MinDay, canyu.MaxDay)
	if err != nil {
		return err
	}
	plain := func(r canyu.Rollup) bool { return r.Admitted == 0 && r.AdmittedSubmissions == 0 }
	admitted := slices.DeleteFunc(slices.Clone(rollups), plain)
	if len(admitted) == 0 {
		return nil
	}
	// An earlier try may have set them already.
	classes := make(map[canyu.Class]struct{})
	for _, r := range admitted {
		classes[r.Class] = struct{}{}
	}
	if err := restate(ctx, a, activity, classes); err != nil {
		return err
	}
	if rollups, err = a.Rollups(ctx, activity, nil, canyu.MinDay, canyu.MaxDay); err != nil {
		return err
	}
	return a.SetRollups(ctx, activity, slices.DeleteFunc(rollups, plain))
}

func logIsEmpty(ctx context.Context, l canyu.Ledger, activity string) error {
	for shard := range l.Shards() {
		entries, err := l.Log(ctx, activity, shard, "", 1)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return errWaiting
		}
	}
	return nil
}

// PurgeMessages destroys the messages of an activity; everything else stays.
func PurgeMessages(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity string, now time.Time) error {
	err := onDuty(ctx, l, activity, func(ctx context.Context) error {
		state, err := a.Purged(ctx, activity)
		if err != nil {
			return err
		}
		if err := logIsEmpty(ctx, l, activity); err != nil {
			return err
		}
		if state.Messages.IsZero() {
			state.Messages = now
			if err := a.SetPurged(ctx, activity, state); err != nil {
				return err
			}
		}
		if err := l.Scrub(ctx, activity); err != nil {
			return err
		}
		if err := a.PurgeMessages(ctx, activity); err != nil {
			return err
		}
		state.MessagesDone = now
		return a.SetPurged(ctx, activity, state)
	})
	if err != nil {
		return fmt.Errorf("cannot purge the messages of %s: %w", activity, err)
	}
	return nil
}

// OrderPurge has the process that holds the ledger purge everything of an activity.
func OrderPurge(ctx context.Context, l canyu.Ledger, a canyu.Archive, activity string, now time.Time) error {
	p := &Purger{Ledger: l, Archive: a}
	return p.change(ctx, activity, func(s *canyu.Purged) { s.Ordered = cmp.Or(s.Ordered, now) })
}

// removeDeadLetters destroys an activity's file, and returns how many were in it.
func removeDeadLetters(dir, activity string) (n int, err error) {
	path := deadLetterFile(dir, activity)
	if _, err := os.Stat(path); dir == "" || errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	err = locked(dir, func() error {
		letters, err := DeadLetters(dir, activity)
		if err != nil {
			return err
		}
		n = len(letters)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return syncFolder(dir)
	})
	return n, err
}
