package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/canyu/canyu"
)

// unaudited are the decisions by which held submissions count, but of which the audit
// log does not say the same in its newest line about the case: nobody took them.
func unaudited(ctx context.Context, archive canyu.Archive, activity string) ([]string, error) {
	decisions, err := archive.HeldDecisions(ctx, activity, nil)
	if err != nil || len(decisions) == 0 {
		return nil, err
	}
	newest := make(map[string]canyu.AuditEntry)
	for line, err := range archive.Audit(ctx) {
		if err != nil {
			return nil, err
		}
		if of, _, ok := strings.Cut(line.Target, " until "); ok && line.Activity == activity && strings.HasPrefix(line.What, "held.") {
			newest[of] = line
		}
	}
	var faults []string
	for _, d := range decisions {
		of := d.HeldCase.String()
		if line := newest[of]; d.State == canyu.Admitted && (line.What != canyu.AuditCount || line.Who != d.By) {
			faults = append(faults, fmt.Sprintf("held submissions of class %s count, but no line of the audit log says who let them", of))
		}
	}
	return faults, nil
}
