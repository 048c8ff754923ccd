package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/spool"
	"github.com/canyu/canyu/rollup"
)

// retentionSettings are durations such as 90d, from the end of the activity's last day.
type retentionSettings struct {
	Participants string `yaml:"participants"` // who took part can be told for so long
	Messages     string `yaml:"messages"`
}

var inDays = regexp.MustCompile(`^[1-9][0-9]{0,4}d$`)

func (r *retentionSettings) retention(wrong func(string, ...any)) canyu.Retention {
	days := func(field, text string) int {
		if text == "" {
			return 0
		}
		if !inDays.MatchString(text) {
			wrong("retention.%s %q: want days such as 90d", field, text)
			return 0
		}
		n, _ := strconv.Atoi(text[:len(text)-1]) // digits
		return n
	}
	return canyu.Retention{Participants: days("participants", r.Participants), Messages: days("messages", r.Messages)}
}

func (s *settings) purger(e *engines, secret []byte, log *slog.Logger) *rollup.Purger {
	return &rollup.Purger{Ledger: e.ledger, Archive: e.archive, Activities: s.activities, DeadLetters: s.deadLetters(), Audit: s.auditLog(e, secret), Log: log}
}

type purgeCommand struct {
	Flags
	Activity string `help:"Which activity, also one that canyu.yaml no longer has. (default: the only one)" placeholder:"ID"`
	Now      bool   `help:"Also while the activity is on, or not known to be over: nobody can take part in it any more."`
	DryRun   bool   `help:"Say what would be destroyed, and destroy nothing."`
}

// orderedWithin is how long a running server may take for what it was ordered.
const orderedWithin = 2 * time.Minute

// Run destroys what is there now, whatever the settings keep it for.
func (c *purgeCommand) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	e, err := s.engines(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	a, stray, err := s.activityOrStray(ctx, e, c.Activity)
	if err != nil {
		return err
	}
	state, err := e.archive.Purged(ctx, a.ID)
	if err != nil {
		return err
	}
	if !state.ParticipantsDone.IsZero() {
		if err := s.forgetSpool(ctx, a.ID, stray, out); err != nil {
			return err
		}
		return tellPurged(ctx, e, a.ID, state, out)
	}
	if stray && !c.Now && !c.DryRun {
		return fmt.Errorf("activity %s is not in canyu.yaml, so it is not known whether it is over: nothing was destroyed. --now destroys it all the same, and then nobody can take part any more", a.ID)
	}
	if !stray && a.DayOf(time.Now()) <= a.LastDay && !c.Now && !c.DryRun {
		return fmt.Errorf("activity %s is on until %s has ended: nothing was destroyed. --now destroys it all the same, and then nobody can take part any more", a.ID, a.LastDay)
	}
	if stray && !e.beside { // a server that runs does not know it, and carries nothing over of it
		s.activities = append(s.activities, a)
	}
	if err := s.drain(ctx, e, errOut); err != nil {
		return err
	}
	would := "would be destroyed"
	if !c.DryRun {
		would = "to be destroyed"
	}
	if err := s.tellInventory(ctx, e, a, would, out); err != nil || c.DryRun {
		return err
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditPurge, Activity: a.ID, Target: "everything that tells who took part"}); err != nil {
		return err
	}
	if e.beside {
		if err := orderPurge(ctx, e, a.ID, out); err != nil {
			return err
		}
	} else if _, err := rollup.Purge(ctx, e.ledger, e.archive, a.ID, s.deadLetters(), time.Now()); err != nil {
		return err
	}
	if err := s.forgetSpool(ctx, a.ID, stray, out); err != nil {
		return err
	}
	if state, err = e.archive.Purged(ctx, a.ID); err != nil {
		return err
	}
	return tellPurged(ctx, e, a.ID, state, out)
}

// activityOrStray is the activity of the settings or, with nothing but its id, one that
// only the archive knows.
func (s *settings) activityOrStray(ctx context.Context, e *engines, id string) (_ *canyu.Activity, stray bool, err error) {
	a, err := s.activity(id)
	if err == nil || id == "" {
		return a, false, err
	}
	begun, readErr := e.archive.Begun(ctx)
	if readErr != nil {
		return nil, false, readErr
	}
	if !slices.Contains(begun, id) {
		return nil, false, err
	}
	return &canyu.Activity{ID: id, Zone: time.UTC}, true, nil
}

// orderPurge has the running server do it, which alone may write to its ledger.
func orderPurge(ctx context.Context, e *engines, activity string, out io.Writer) error {
	if err := rollup.OrderPurge(ctx, e.ledger, e.archive, activity, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(out, "activity %s: ordered; the running server destroys it\n", activity)
	for end := time.Now().Add(orderedWithin); time.Now().Before(end); {
		state, err := e.archive.Purged(ctx, activity)
		if err != nil || !state.ParticipantsDone.IsZero() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errors.New("the running server has not done it yet: see its log, or run the command again")
}

// tellInventory says how much there is.
func (s *settings) tellInventory(ctx context.Context, e *engines, a *canyu.Activity, would string, out io.Writer) error {
	participants, submissions, err := sumsOf(ctx, e, a.ID)
	if err != nil {
		return err
	}
	messages := 0
	counts, err := e.archive.WallCounts(ctx, a.ID, nil)
	if err != nil {
		return err
	}
	for _, n := range counts {
		messages += n
	}
	letters, err := rollup.DeadLetters(s.deadLetters(), a.ID)
	if err != nil {
		return err
	}
	salt := "the salt of its key"
	if have, err := e.archive.Salt(ctx, a.ID); err != nil {
		return err
	} else if have == nil {
		salt = "no salt: it was begun before there were any"
	}
	fmt.Fprintf(out, "activity %s: %s: %d participants with %d submissions and %d messages in the archive, their hashes in the ledger, %d dead letters of this machine, %s\n",
		a.ID, would, participants, submissions, messages, len(letters), salt)
	fmt.Fprintf(out, "activity %s: rollups, frozen reports, deliveries and the audit log stay\n", a.ID)
	return nil
}

func sumsOf(ctx context.Context, e *engines, activity string) (participants, submissions int, err error) {
	rollups, err := e.archive.Rollups(ctx, activity, nil, canyu.MinDay, canyu.MaxDay)
	for _, r := range rollups {
		participants += r.Participants
		submissions += r.Submissions
	}
	return participants, submissions, err
}

// tellPurged says what is left of a purged activity.
func tellPurged(ctx context.Context, e *engines, activity string, state canyu.Purged, out io.Writer) error {
	participants, submissions, err := sumsOf(ctx, e, activity)
	if err != nil {
		return err
	}
	if state.ParticipantsDone.IsZero() {
		fmt.Fprintf(out, "activity %s: its purge was begun at %s and is not finished: run canyu purge, or canyu serve\n", activity, state.Participants.Format(time.RFC3339))
		return nil
	}
	fmt.Fprintf(out, "activity %s: purged at %s; its rollups stay, with %d participants and %d submissions. Older backups still have the people: see deploy/DATA.md\n",
		activity, state.ParticipantsDone.Format(time.RFC3339), participants, submissions)
	return nil
}

// forgetSpool clears the spool of this machine, unless a running server has it, which
// does that itself.
func (s *settings) forgetSpool(ctx context.Context, activity string, stray bool, out io.Writer) error {
	dir := filepath.Join(s.Data, "spool")
	if s.Redis == "" || !exists(dir) {
		return nil
	}
	sp, err := spool.Open(ctx, dir, int64(s.SpoolLimit)<<20)
	if errors.Is(err, spool.ErrInUse) && stray {
		return fmt.Errorf("activity %s: the server that runs here has the spool, and does not know the activity: run the command again on this machine while it is stopped", activity)
	}
	if errors.Is(err, spool.ErrInUse) {
		fmt.Fprintf(out, "activity %s: the server that runs here clears its own spool\n", activity)
		return nil
	}
	if err != nil {
		return err
	}
	defer sp.Close()
	if n := sp.Waiting(activity); n > 0 {
		fmt.Fprintf(out, "activity %s: %d participations in the spool of this machine are destroyed\n", activity, n)
	}
	tail, _, err := sp.Tail(activity, 0)
	if err != nil {
		return err
	}
	return errors.Join(tail.Clear(), tail.Close(), sp.Forget(ctx, activity))
}
