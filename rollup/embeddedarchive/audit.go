package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/canyu/canyu"
)

const auditColumns = `sequence, at, who, what, activity, target, was, becomes, hash`

func scanAudit(rows *sql.Rows, e *canyu.AuditEntry) error {
	var sequence, at int64
	err := rows.Scan(&sequence, &at, &e.Who, &e.What, &e.Activity, &e.Target, &e.From, &e.To, &e.Hash)
	e.Sequence, e.At = uint64(sequence), milli(at)
	return err
}

// AppendAudit implements canyu.Archive. The key of the table sees to what is taken.
func (a *Archive) AppendAudit(ctx context.Context, e canyu.AuditEntry) error {
	_, err := a.write.ExecContext(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(e.Sequence), e.At.UnixMilli(), e.Who, e.What, e.Activity, e.Target, e.From, e.To, e.Hash)
	if err != nil {
		return fmt.Errorf("cannot append line %d to the audit log: %w", e.Sequence, err)
	}
	return nil
}

// Audit implements canyu.Archive.
func (a *Archive) Audit(ctx context.Context) iter.Seq2[canyu.AuditEntry, error] {
	return func(yield func(canyu.AuditEntry, error) bool) {
		for e, err := range stream(ctx, a.read, scanAudit, `SELECT `+auditColumns+` FROM audit ORDER BY sequence`) {
			if err != nil {
				yield(e, fmt.Errorf("cannot read the audit log: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// NewestAudit implements canyu.Archive.
func (a *Archive) NewestAudit(ctx context.Context, limit int) ([]canyu.AuditEntry, error) {
	lines, err := collect(ctx, a.read, scanAudit, `SELECT `+auditColumns+` FROM audit ORDER BY sequence DESC LIMIT ?`, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("cannot read the audit log: %w", err)
	}
	return lines, nil
}

// AddSignature implements canyu.Archive.
func (a *Archive) AddSignature(ctx context.Context, s canyu.Signature) error {
	_, err := a.write.ExecContext(ctx, `INSERT INTO signatures (activity, region, day, revision, signature) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, s.Activity, s.Region, int64(s.Day), s.Revision, s.Text)
	if err != nil {
		return fmt.Errorf("cannot store the report's signature: %w", err)
	}
	return nil
}

// Signatures implements canyu.Archive.
func (a *Archive) Signatures(ctx context.Context, activity string, region canyu.Region) ([]canyu.Signature, error) {
	signatures, err := collect(ctx, a.read, func(rows *sql.Rows, s *canyu.Signature) error {
		return rows.Scan(&s.Activity, &s.Region, &s.Day, &s.Revision, &s.Text)
	}, `SELECT activity, region, day, revision, signature FROM signatures WHERE activity = ?1 AND (?2 = 0 OR region = ?2)
		ORDER BY day, region, revision, signature`, activity, region)
	if err != nil {
		return nil, fmt.Errorf("cannot read signatures: %w", err)
	}
	return signatures, nil
}
