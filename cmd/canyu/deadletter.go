package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
	"github.com/canyu/canyu/rollup"
)

// deadletterCommand is about the letters that the worker of this machine wrote:
// each data folder has its own.
type deadletterCommand struct {
	List  deadletterListCommand  `cmd:"" help:"List them: when, how many participations, why."`
	Retry deadletterRetryCommand `cmd:"" help:"Store them once more; what is still refused stays. Exit 1 if anything does."`
}

func (s *settings) deadLetters() string { return filepath.Join(s.Data, "dead-letters") }

type deadletterListCommand struct{ Flags }

// Run lists the letters, without the people in them.
func (c *deadletterListCommand) Run(out stdout) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if err := s.needActivities(); err != nil {
		return err
	}
	for _, a := range s.activities {
		letters, err := rollup.DeadLetters(s.deadLetters(), a.ID)
		if err != nil {
			return err
		}
		for _, d := range letters {
			content := fmt.Sprintf("%d participations", len(d.Recorded))
			if len(d.Recorded) == 0 {
				content = fmt.Sprintf("unreadable, %d bytes", len(d.Raw))
			}
			fmt.Fprintf(out, "activity %s: %s, log entry %s: %s: %s\n", a.ID, d.At.Format(time.RFC3339), d.Position, content, d.Reason)
		}
		fmt.Fprintf(out, "activity %s: %d dead letters\n", a.ID, len(letters))
	}
	return nil
}

type deadletterRetryCommand struct{ Flags }

// Run retries the letters of every activity; a running server may go on.
func (c *deadletterRetryCommand) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	left := false
	for _, a := range s.activities {
		letters, err := rollup.DeadLetters(s.deadLetters(), a.ID)
		if err == nil && len(letters) > 0 {
			err = s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditRetry, Activity: a.ID, Target: fmt.Sprintf("%d dead letters", len(letters))})
		}
		if err != nil {
			return err
		}
		r, err := rollup.RetryDeadLetters(ctx, e.ledger, e.archive, s.deadLetters(), a.ID, ledgerlog.ParseRaw)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "activity %s: %d dead letters stored, %d left\n", a.ID, r.Stored, r.Left)
		if r.Reason != nil {
			fmt.Fprintf(out, "activity %s: why: %v\n", a.ID, r.Reason)
		}
		left = left || r.Left > 0
	}
	if left {
		return errQuiet
	}
	return nil
}
