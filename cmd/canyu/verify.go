package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

type verifyCommand struct {
	Flags
	Region string `help:"Only the schools of this region, six digits: a province, a city or a county." placeholder:"CODE"`
	Repair bool   `help:"Restate the rollups that differ from the facts, and compare once more."`
}

// Run compares every activity. A difference is an error, after all were printed.
func (c *verifyCommand) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	scope, err := c.scope(ctx, e)
	if err != nil {
		return err
	}
	records, err := c.verifyRecords(ctx, s, e, out)
	if err != nil {
		return err
	}
	differs := !records
	for _, a := range s.activities {
		agree, err := c.verify(ctx, s, e, a.ID, scope, out)
		if err != nil {
			return fmt.Errorf("activity %s: %w", a.ID, err)
		}
		letters, err := rollup.DeadLetters(s.deadLetters(), a.ID)
		if err != nil {
			return err
		}
		if len(letters) > 0 {
			fmt.Fprintf(out, "activity %s: %d dead letters wait here: see canyu deadletter\n", a.ID, len(letters))
		}
		differs = differs || !agree
	}
	strays, err := rollup.Strays(ctx, e.archive, s.activities)
	if err != nil {
		return err
	}
	for _, id := range strays {
		fmt.Fprintln(out, rollup.StrayAdvice(id))
	}
	if differs {
		return errQuiet
	}
	return nil
}

// scope is what is compared: classes of the roster, and the schools to stay within.
type scope struct {
	classes []canyu.Class
	schools []canyu.SchoolCode // nil: all, also those that no roster has
	name    string
}

func (c *verifyCommand) scope(ctx context.Context, e *engines) (scope, error) {
	roster, err := e.archive.Roster(ctx)
	if err != nil {
		return scope{}, err
	}
	if c.Region == "" {
		return scope{classes: classesOf(roster, 0)}, nil
	}
	region, err := canyu.ParseRegion(c.Region)
	if err != nil {
		return scope{}, err
	}
	sc := scope{classes: classesOf(roster, region), name: " of region " + region.String()}
	for _, s := range roster.Schools(region) {
		sc.schools = append(sc.schools, s.Code)
	}
	if sc.schools == nil {
		return scope{}, fmt.Errorf("region %s: the roster has no school there", region)
	}
	return sc, nil
}

// verify prints how one activity stands and reports whether all agree, after the
// repair if there is one.
func (c *verifyCommand) verify(ctx context.Context, s *settings, e *engines, activity string, sc scope, out io.Writer) (bool, error) {
	if mark, err := e.archive.Epoch(ctx, activity); err != nil {
		return false, err
	} else if mark == "" {
		fmt.Fprintf(out, "activity %s: nobody has taken part yet\n", activity)
		return true, nil
	}
	if purged, err := e.archive.Purged(ctx, activity); err != nil || !purged.Participants.IsZero() {
		return err == nil && !purged.ParticipantsDone.IsZero(), errors.Join(err, tellPurged(ctx, e, activity, purged, out))
	}
	for repaired := false; ; repaired = true {
		differences, err := rollup.Verify(ctx, e.ledger, e.archive, activity, sc.classes, sc.schools)
		if err != nil {
			return false, err
		}
		for _, d := range differences {
			fmt.Fprintf(out, "activity %s: %s\n", activity, d)
		}
		switch {
		case len(differences) == 0:
			fmt.Fprintf(out, "activity %s: ledger, archive and rollups%s agree\n", activity, sc.name)
			return true, nil
		case repaired:
			fmt.Fprintf(out, "activity %s: %d differences are left, which rollups cannot mend\n", activity, len(differences))
			return false, nil
		case !c.Repair:
			return false, nil
		}
		line := canyu.AuditEntry{What: canyu.AuditRepair, Activity: activity, Target: concerned(differences)}
		if err := s.audit(ctx, e, line); err != nil {
			return false, err
		}
		if err := rollup.Repair(ctx, e.ledger, e.archive, activity, differences); err != nil {
			return false, err
		}
		fmt.Fprintf(out, "activity %s: the rollups that differed are restated\n", activity)
	}
}

// concerned names the classes that differ.
func concerned(differences []rollup.Difference) string {
	var classes []string
	for _, d := range differences {
		if c := d.Class.String(); d.Class != (canyu.Class{}) && !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	return strings.Join(classes, ", ")
}

func classesOf(r *canyu.Roster, region canyu.Region) []canyu.Class {
	var classes []canyu.Class
	for _, s := range r.Schools(region) {
		for _, c := range s.Classes {
			classes = append(classes, s.Class(c))
		}
	}
	return classes
}
