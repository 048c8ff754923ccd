package archivetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func auditLines(t *testing.T, a canyu.Archive) []canyu.AuditEntry {
	t.Helper()
	all := []canyu.AuditEntry{}
	for e, err := range a.Audit(t.Context()) {
		must(t, err)
		all = append(all, e)
	}
	return all
}

func testAudit(t *testing.T, open Open) {
	a, b := begin(t, open), begin(t, open)
	equal(t, "none", auditLines(t, a), []canyu.AuditEntry{})
	equal(t, "none newest", len(get[[]canyu.AuditEntry](t)(a.NewestAudit(t.Context(), 5))), 0)
	var want []canyu.AuditEntry
	for i := range 12 {
		e := canyu.AuditEntry{Sequence: uint64(i + 1), At: noon1.Add(time.Duration(i) * time.Millisecond), Who: "school 3418020001, key 'a'",
			What: canyu.AuditHide, Activity: activity(), Target: strings.Repeat("0f1e2d3c4b5a6978 ", 100) + "网上祭英烈 \\ \"it's\"", From: "shown", To: "hidden", Hash: strings.Repeat("ab", 32)}
		if i == 3 {
			e = canyu.AuditEntry{Sequence: 4, At: noon1.Add(-time.Hour)} // the clock went back
		}
		must(t, []canyu.Archive{a, b}[i%2].AppendAudit(t.Context(), e))
		want = append(want, e)
	}
	equal(t, "all", auditLines(t, b), want)
	equal(t, "the newest", get[[]canyu.AuditEntry](t)(a.NewestAudit(t.Context(), 2)), []canyu.AuditEntry{want[11], want[10]})
	equal(t, "more than there are", len(get[[]canyu.AuditEntry](t)(b.NewestAudit(t.Context(), 100))), 12)
	equal(t, "of no limit", len(get[[]canyu.AuditEntry](t)(b.NewestAudit(t.Context(), 0))), 0)
	taken := want[4]
	taken.To = "shown"
	if err := b.AppendAudit(t.Context(), taken); err == nil {
		t.Error("a line was written over another")
	}
	equal(t, "what stayed", auditLines(t, a), want)
	for e, err := range a.Audit(t.Context()) { // whoever has seen enough may stop
		must(t, err)
		if e.Sequence == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range a.Audit(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled: got %v", last)
	}
}

func testSignatures(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	of := func(region canyu.Region, d canyu.Day, revision int, text string) canyu.Signature {
		return canyu.Signature{Activity: act, Region: region, Day: d, Revision: revision, Text: text}
	}
	want := []canyu.Signature{
		of(341800, day1, 1, "untrusted comment: 网上祭英烈\nRWQ\\'\n"), of(341802, day1, 1, "a"), of(341802, day1, 1, "b"), of(341802, day1, 2, "a"), of(341800, day2, 1, "a"),
	}
	for _, i := range []int{3, 1, 4, 0, 2, 0, 3} {
		must(t, []canyu.Archive{a, b}[i%2].AddSignature(t.Context(), want[i]))
	}
	equal(t, "of all", get[[]canyu.Signature](t)(a.Signatures(t.Context(), act, 0)), want)
	equal(t, "of one region", get[[]canyu.Signature](t)(b.Signatures(t.Context(), act, 341802)), want[1:4])
	equal(t, "of a region without any", len(get[[]canyu.Signature](t)(b.Signatures(t.Context(), act, 110000))), 0)
	equal(t, "of another activity", len(get[[]canyu.Signature](t)(b.Signatures(t.Context(), activity(), 0))), 0)
}
