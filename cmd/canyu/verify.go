package main

import (
	"context"
	"fmt"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup"
)

type verifyCommand struct {
	Flags
	Repair bool `help:"Restate the rollups that differ from the facts."`
}

// Run compares every activity. A difference is an error, after all were printed.
func (c *verifyCommand) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	differs := false
	for _, a := range s.activities {
		roster, err := e.archive.Roster(ctx)
		if err != nil {
			return err
		}
		if mark, err := e.archive.Epoch(ctx, a.ID); err != nil {
			return err
		} else if mark == "" {
			fmt.Fprintf(out, "activity %s: nobody has taken part yet\n", a.ID)
			continue
		}
		differences, err := rollup.Verify(ctx, e.ledger, e.archive, a.ID, classesOf(roster))
		if err != nil {
			return fmt.Errorf("activity %s: %w", a.ID, err)
		}
		for _, d := range differences {
			fmt.Fprintf(out, "activity %s: %s\n", a.ID, d)
		}
		if len(differences) == 0 {
			fmt.Fprintf(out, "activity %s: ledger, archive and rollups agree\n", a.ID)
			continue
		}
		if c.Repair {
			if err := rollup.Repair(ctx, e.archive, a.ID, differences); err != nil {
				return err
			}
			fmt.Fprintf(out, "activity %s: rollups restated; run verify again\n", a.ID)
		}
		differs = true
	}
	if differs {
		return errQuiet
	}
	return nil
}

func classesOf(r *canyu.Roster) []canyu.Class {
	var classes []canyu.Class
	for _, s := range r.Schools(0) {
		for _, c := range s.Classes {
			classes = append(classes, s.Class(c))
		}
	}
	return classes
}
