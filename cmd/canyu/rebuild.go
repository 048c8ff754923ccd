package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/rollup"
)

type rebuildCommand struct{ Flags }

// Run restores the ledgers that lost their data; whole ones are left alone.
func (c *rebuildCommand) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if e.beside {
		return canyu.ErrHeld
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	keys := &ingest.Keys{Archive: e.archive, Secret: secret}
	for _, a := range s.activities {
		n := 0
		fingerprint, err := keys.Fingerprint(ctx, a)
		if err == nil {
			err = rollup.Rebuild(ctx, e.ledger, e.archive, a.ID, fingerprint, func(done int) {
				if n = done; n%100_000 == 0 {
					fmt.Fprintf(errOut, "activity %s: %d participants restored\n", a.ID, done)
				}
			})
		}
		switch {
		case errors.Is(err, canyu.ErrPurged):
			fmt.Fprintf(out, "activity %s: its participants have been purged: there is nothing to restore\n", a.ID)
		case errors.Is(err, rollup.ErrWhole):
			fmt.Fprintf(out, "activity %s: the ledger is whole\n", a.ID)
		case err != nil:
			return err
		default:
			fmt.Fprintf(out, "activity %s: restored, %d participants\n", a.ID, n)
			// Only now it is known that there was something to do.
			if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditRebuild, Activity: a.ID, To: fmt.Sprintf("%d participants", n)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// rebuildEvery is how often rebuild: auto looks for a ledger that lost its data.
const rebuildEvery = time.Second

// keepRebuilding restores a ledger as soon as it is found to have lost its data.
func (s *settings) keepRebuilding(ctx context.Context, e *engines, secret []byte, log *slog.Logger) error {
	keys := &ingest.Keys{Archive: e.archive, Secret: secret}
	for {
		for _, a := range s.activities {
			if whole(ctx, e, a.ID) {
				continue
			}
			fingerprint, err := keys.Fingerprint(ctx, a)
			if err == nil {
				err = rollup.Rebuild(ctx, e.ledger, e.archive, a.ID, fingerprint, nil)
			}
			switch {
			case errors.Is(err, canyu.ErrPurged): // it is empty on purpose
			case err == nil:
				log.Warn("the ledger had lost its data and was restored from the archive", "activity", a.ID)
				err := s.auditLog(e, secret).Add(ctx, canyu.AuditEntry{Who: canyu.ByServer, What: canyu.AuditRebuild, Activity: a.ID})
				if err != nil {
					log.Error("a rebuild is not in the audit log", "activity", a.ID, "error", err)
				}
			case !errors.Is(err, rollup.ErrWhole) && ctx.Err() == nil:
				log.Error("cannot restore the ledger", "activity", a.ID, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rebuildEvery):
		}
	}
}

// whole reports whether there is nothing to rebuild, or no telling.
func whole(ctx context.Context, e *engines, activity string) bool {
	mark, err := e.ledger.Epoch(ctx, activity)
	if err != nil {
		return true
	}
	remembered, err := e.archive.Epoch(ctx, activity)
	return err != nil || mark == remembered
}
