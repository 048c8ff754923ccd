package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/canyu/canyu"
)

type switchCommand struct {
	Flags
	Activity string `help:"Of this activity alone. (default: of all)" placeholder:"ID"`
	Switch   string `arg:"" optional:"" help:"What to turn: wall, live or page. (default: say how they stand)"`
	Position string `arg:"" optional:"" help:"wall: on, off; live: normal, slow; page: full, only."`
}

// Run turns a switch, or says how all of them stand.
func (c *switchCommand) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	activities, err := s.allOr(c.Activity)
	if err != nil {
		return err
	}
	if c.Switch != "" {
		what, down, err := canyu.ParseSwitch(c.Switch, c.Position)
		if err != nil {
			return err
		}
		for _, a := range activities {
			if err := s.turn(ctx, e, a, what, down); err != nil {
				return err
			}
		}
	}
	return tellSwitches(ctx, e, activities, out)
}

// turn does nothing where the switch stands so already.
func (s *settings) turn(ctx context.Context, e *engines, a *canyu.Activity, what canyu.Switch, down bool) error {
	all, err := canyu.ReadSwitches(ctx, e.archive, a.ID)
	if err != nil {
		return err
	}
	was := all[what]
	if was.Down == down {
		return nil
	}
	line := canyu.AuditEntry{What: canyu.AuditSwitch, Activity: a.ID, Target: string(what), From: what.Position(was.Down), To: what.Position(down)}
	if err := s.audit(ctx, e, line); err != nil {
		return err
	}
	now := time.Now()
	if !now.After(was.At) { // by the clock of another machine
		now = was.At.Add(time.Millisecond)
	}
	return canyu.TurnSwitch(ctx, e.archive, a.ID, what, canyu.SwitchState{Down: down, By: canyu.ByCommand, At: now})
}

func tellSwitches(ctx context.Context, e *engines, activities []*canyu.Activity, out stdout) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTIVITY\tSWITCH\tPOSITION\tSINCE")
	for _, a := range activities {
		all, err := canyu.ReadSwitches(ctx, e.archive, a.ID)
		if err != nil {
			return err
		}
		for _, what := range canyu.AllSwitches {
			state, since := all[what], ""
			if !state.At.IsZero() {
				since = state.At.In(a.Zone).Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.ID, what, what.Position(state.Down), since)
		}
	}
	return w.Flush()
}
