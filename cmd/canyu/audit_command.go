package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/canyu/canyu"
)

type auditCommand struct {
	Flags
	Activity string `help:"Only lines about this activity." placeholder:"ID"`
	Last     int    `help:"Only the newest so many. (default: all)" placeholder:"N"`
	Verify   bool   `help:"Also check that no line was changed or taken out; exit 1 if one was. canyu verify does that too."`
}

// Run prints the log, the oldest line first.
func (c *auditCommand) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	zone := s.activities[0].Zone
	if c.Activity != "" {
		a, err := s.activity(c.Activity)
		if err != nil {
			return err
		}
		zone = a.Zone
	}
	var lines []canyu.AuditEntry
	for line, err := range e.archive.Audit(ctx) {
		if err != nil {
			return err
		}
		if c.Activity != "" && line.Activity != c.Activity {
			continue
		}
		lines = append(lines, line)
		if c.Last > 0 && len(lines) > c.Last {
			lines = lines[1:]
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tAT\tWHO\tWHAT\tACTIVITY\tTARGET")
	for _, l := range lines {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", l.Sequence, l.At.In(zone).Format(time.DateTime), l.Who, l.What, l.Activity, auditTarget(l))
	}
	w.Flush()
	if !c.Verify {
		return nil
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	kept, err := s.keptAuditHead()
	if err != nil {
		return err
	}
	ok, err := s.verifyAudit(ctx, e, secret, map[canyu.AuditHead]string{kept: "this machine"}, out)
	if err == nil && !ok {
		err = errQuiet
	}
	return err
}

// auditTarget is what a line is about, and what became of it.
func auditTarget(l canyu.AuditEntry) string {
	switch {
	case l.From != "" && l.To != "":
		return fmt.Sprintf("%s: %s → %s", l.Target, l.From, l.To)
	case l.To != "" && l.Target != "":
		return fmt.Sprintf("%s: %s", l.Target, l.To)
	case l.To != "":
		return l.To
	}
	return l.Target
}
