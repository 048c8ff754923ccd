package clickhousearchive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/canyu/canyu"
)

// AppendAudit implements canyu.Archive.
func (a *Archive) AppendAudit(ctx context.Context, e canyu.AuditEntry) error {
	var taken uint64
	server, err := a.exactOne(ctx, "audit")
	if err == nil {
		err = server.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM audit WHERE sequence = %d", e.Sequence)).Scan(&taken)
	}
	switch {
	case err == nil && taken > 0:
		err = errors.New("it is taken")
	case err == nil:
		err = a.insert(ctx, "audit", "sequence, at, who, what, activity, target, was, becomes, hash",
			[]uint64{e.Sequence}, []int64{e.At.UnixMilli()}, []string{e.Who}, []string{e.What}, []string{e.Activity},
			[]string{e.Target}, []string{e.From}, []string{e.To}, []string{e.Hash})
	}
	if err != nil {
		return fmt.Errorf("cannot append line %d to the audit log: %w", e.Sequence, err)
	}
	return nil
}

// Audit implements canyu.Archive.
func (a *Archive) Audit(ctx context.Context) iter.Seq2[canyu.AuditEntry, error] {
	return a.audit(ctx, "")
}

// NewestAudit implements canyu.Archive.
func (a *Archive) NewestAudit(ctx context.Context, limit int) ([]canyu.AuditEntry, error) {
	var lines []canyu.AuditEntry
	for e, err := range a.audit(ctx, fmt.Sprintf(" DESC LIMIT %d", max(limit, 0))) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, e)
	}
	return lines, nil
}

func (a *Archive) audit(ctx context.Context, order string) iter.Seq2[canyu.AuditEntry, error] {
	return func(yield func(canyu.AuditEntry, error) bool) {
		fail := func(err error) { yield(canyu.AuditEntry{}, fmt.Errorf("cannot read the audit log: %w", err)) }
		server, err := a.exactOne(ctx, "audit")
		if err != nil {
			fail(err)
			return
		}
		rows, err := server.Query(ctx, `SELECT sequence, at, who, what, activity, target, was, becomes, hash FROM audit ORDER BY sequence`+order)
		if err != nil {
			fail(err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var e canyu.AuditEntry
			var at int64
			if err := rows.Scan(&e.Sequence, &at, &e.Who, &e.What, &e.Activity, &e.Target, &e.From, &e.To, &e.Hash); err != nil {
				fail(err)
				return
			}
			if e.At = time.UnixMilli(at).UTC(); !yield(e, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// AddSignature implements canyu.Archive.
func (a *Archive) AddSignature(ctx context.Context, s canyu.Signature) error {
	err := a.insert(ctx, "report_signatures", "activity, region, day, revision, signature",
		[]string{s.Activity}, []uint32{uint32(s.Region)}, []time.Time{date(s.Day)}, []uint32{uint32(s.Revision)}, []string{s.Text})
	if err != nil {
		return fmt.Errorf("cannot store the report's signature: %w", err)
	}
	return nil
}

// Signatures implements canyu.Archive.
func (a *Archive) Signatures(ctx context.Context, activity string, region canyu.Region) ([]canyu.Signature, error) {
	rows, err := a.conn.Query(ctx, `SELECT DISTINCT region, toUInt16(day) AS n, revision, signature FROM report_signatures
		WHERE activity = ?`+ofRegion(region)+` ORDER BY n, region, revision, signature`, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read signatures: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []canyu.Signature
	for rows.Next() {
		s := canyu.Signature{Activity: activity}
		var region, revision uint32
		var day uint16
		if err := rows.Scan(&region, &day, &revision, &s.Text); err != nil {
			return nil, fmt.Errorf("cannot read signatures: %w", err)
		}
		s.Region, s.Day, s.Revision = canyu.Region(region), canyu.Day(day), int(revision)
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read signatures: %w", err)
	}
	return all, nil
}
