package main

import (
	"context"
	"fmt"
	"os"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

type rosterCommand struct {
	Import rosterImport `cmd:"" help:"Import a .csv (UTF-8 or GB 18030) or .xlsx. Nothing is imported unless all of it is well."`
}

type rosterImport struct {
	Flags
	File   string `arg:"" help:"The file." type:"existingfile"`
	DryRun bool   `help:"Only check it."`
}

// Run imports the roster. Schools that the file does not have stay as they are.
func (c *rosterImport) Run(ctx context.Context, out stdout) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := ingest.ReadRoster(f, c.File)
	if err != nil {
		return fmt.Errorf("%s: nothing was imported:\n%w", c.File, err)
	}
	schools, classes, enrolled := size(r)
	if c.DryRun {
		fmt.Fprintf(out, "%d schools, %d classes, %d pupils: fine, nothing was imported\n", schools, classes, enrolled)
		return nil
	}
	e, err := s.engines(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if err := c.audit(ctx, s, e, r); err != nil {
		return err
	}
	if err := e.archive.ImportRoster(ctx, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d schools, %d classes, %d pupils imported\n", schools, classes, enrolled)
	return nil
}

// audit tells what is imported.
func (c *rosterImport) audit(ctx context.Context, s *settings, e *engines, r *canyu.Roster) error {
	before, err := e.archive.Roster(ctx)
	if err != nil {
		return err
	}
	sum, err := fileSum(c.File)
	if err != nil {
		return err
	}
	sizeText := func(r *canyu.Roster) string {
		schools, classes, enrolled := size(r)
		return fmt.Sprintf("%d schools, %d classes, %d pupils", schools, classes, enrolled)
	}
	return s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditRoster, Target: sum,
		From: sizeText(before), To: sizeText(r)})
}

func size(r *canyu.Roster) (schools, classes, enrolled int) {
	for _, s := range r.Schools(0) {
		schools++
		for _, c := range s.Classes {
			classes++
			enrolled += c.Enrolled
		}
	}
	return schools, classes, enrolled
}
