package main

import (
	"context"
	"fmt"
	"io"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// verifyRecords looks at what is never to change: frozen reports, against their
// signatures, and the audit log, against itself and against what this machine and the
// reports have seen of it.
func (c *verifyCommand) verifyRecords(ctx context.Context, s *settings, e *engines, out io.Writer) (bool, error) {
	secret, err := s.secret()
	if err != nil {
		return false, err
	}
	kept, err := s.keptAuditHead()
	if err != nil {
		return false, err
	}
	known := map[canyu.AuditHead]string{}
	var within func(canyu.Region) bool
	if c.Region != "" {
		region, err := canyu.ParseRegion(c.Region)
		if err != nil {
			return false, err
		}
		within = region.Contains
	}
	agree := true
	for _, a := range s.activities {
		found, err := reports.CheckFrozen(ctx, e.archive, a, s.signer(secret).Keys(), within)
		if err != nil {
			return false, err
		}
		for _, fault := range found.Faults {
			fmt.Fprintf(out, "activity %s: %s\n", a.ID, fault)
		}
		if found.Unsigned {
			fmt.Fprintf(out, "activity %s: what was frozen before there were signatures gets one by canyu report sign\n", a.ID)
		}
		if found.Reports > 0 {
			fmt.Fprintf(out, "activity %s: frozen reports as they were signed: %d\n", a.ID, found.Reports)
		}
		for head, report := range found.Heads {
			known[head] = report
		}
		silent, err := unaudited(ctx, e.archive, a.ID)
		if err != nil {
			return false, err
		}
		for _, fault := range silent {
			fmt.Fprintf(out, "activity %s: %s\n", a.ID, fault)
		}
		agree = agree && len(found.Faults)+len(silent) == 0
	}
	known[kept] = "this machine"
	ok, err := s.verifyAudit(ctx, e, secret, known, out)
	return ok && agree, err
}

// verifyAudit prints what is wrong with the audit log.
func (s *settings) verifyAudit(ctx context.Context, e *engines, secret []byte, known map[canyu.AuditHead]string, out io.Writer) (bool, error) {
	newest, faults, err := s.auditLog(e, secret).Check(ctx, known)
	if err != nil {
		return false, err
	}
	for _, fault := range faults {
		fmt.Fprintf(out, "audit log: %s\n", fault)
	}
	if len(faults) == 0 {
		fmt.Fprintf(out, "audit log: unbroken, %d lines\n", newest.Sequence)
	}
	return len(faults) == 0, nil
}
