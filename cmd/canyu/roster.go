package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

type rosterCommand struct {
	Import rosterImport `cmd:"" help:"Import a .csv (UTF-8 or GB 18030) or .xlsx. Nothing is imported unless all of it is well. A school in the file is replaced as a whole, so give all of its classes; other schools stay."`
	Remove rosterRemove `cmd:"" help:"Take schools out, say one with a mistyped code."`
}

type rosterImport struct {
	Flags
	File        string `arg:"" help:"The file." type:"existingfile"`
	DropClasses bool   `help:"Also where schools in the file have classes now that it does not have: those go."`
	DryRun      bool   `help:"Only check it, and say what would change."`
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
	if c.DryRun && s.Redis == "" && !exists(filepath.Join(s.Data, "archive.db")) {
		fmt.Fprintf(out, "%s: fine, nothing was imported; there is no roster yet\n", sizeOf(r))
		return nil
	}
	e, err := s.engines(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	before, err := e.archive.Roster(ctx)
	if err != nil {
		return err
	}
	after, err := before.With(r)
	if err != nil {
		return err
	}
	gone := before.Missing(after)
	if _, err := s.tellGone(ctx, e, before, gone, out); err != nil {
		return err
	}
	change := fmt.Sprintf("%s → %s", sizeOf(before), sizeOf(after))
	if len(gone) > 0 && !c.DropClasses {
		fmt.Fprintf(out, "the roster would be: %s\n", change)
		return fmt.Errorf("%s: nothing was imported: a school in the file is replaced as a whole, and %d classes would go. Put them into the file too, or say --drop-classes", c.File, len(gone))
	}
	if c.DryRun {
		fmt.Fprintf(out, "%s: fine, nothing was imported\nthe roster would be: %s\n", sizeOf(r), change)
		return nil
	}
	sum, err := fileSum(c.File)
	if err != nil {
		return err
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditRoster, Target: sum, From: sizeOf(before), To: sizeOf(after)}); err != nil {
		return err
	}
	if err := e.archive.ImportRoster(ctx, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s imported\nthe roster: %s\n", sizeOf(r), change)
	return nil
}

type rosterRemove struct {
	Flags
	Schools []string `arg:"" help:"Ten-digit codes." name:"school"`
	Counted bool     `help:"Also schools in which somebody has taken part: no page and no new report has them any more."`
}

// Run takes schools out of the roster. Who took part in them stays counted in ledger and
// archive, and is there again when the school is.
func (c *rosterRemove) Run(ctx context.Context, out stdout) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	var codes []canyu.SchoolCode
	for _, text := range c.Schools {
		code, err := canyu.ParseSchoolCode(text)
		if err != nil {
			return err
		}
		codes = append(codes, code)
	}
	e, err := s.engines(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	before, err := e.archive.Roster(ctx)
	if err != nil {
		return err
	}
	for _, code := range codes {
		if before.School(code) == nil {
			return fmt.Errorf("school %s is not in the roster: nothing was removed", code)
		}
	}
	after, err := before.Without(codes)
	if err != nil {
		return err
	}
	people, err := s.tellGone(ctx, e, before, before.Missing(after), out)
	if err != nil {
		return err
	}
	if people > 0 && !c.Counted {
		return errors.New("nothing was removed: somebody has taken part there. --counted removes it all the same, and then no page and no new report has them")
	}
	var names []string
	for _, code := range codes {
		names = append(names, code.String())
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditRemove, Target: strings.Join(names, " "), From: sizeOf(before), To: sizeOf(after)}); err != nil {
		return err
	}
	if err := e.archive.RemoveSchools(ctx, codes); err != nil {
		return err
	}
	fmt.Fprintf(out, "the roster: %s → %s\n", sizeOf(before), sizeOf(after))
	return nil
}

// tellGone says which classes go, by school, and how many have taken part in them: over
// all activities and roles, as the archive knows it.
func (s *settings) tellGone(ctx context.Context, e *engines, before *canyu.Roster, gone []canyu.Class, out io.Writer) (people int, err error) {
	if len(gone) == 0 {
		return 0, nil
	}
	var schools []canyu.SchoolCode
	for _, c := range gone {
		schools = append(schools, c.School)
	}
	schools = slices.Compact(schools) // gone is in order
	in := make(map[canyu.Class]int)
	for _, a := range s.activities {
		rollups, err := e.archive.Rollups(ctx, a.ID, schools, canyu.MinDay, canyu.MaxDay)
		if err != nil {
			return 0, err
		}
		for _, r := range rollups {
			in[r.Class] += r.Participants
		}
	}
	for _, c := range gone {
		school := before.School(c.School)
		enrolled, _ := school.Enrolled(c.Grade, c.Number)
		fmt.Fprintf(out, "gone: %s %s %d(%d), %d pupils, %d have taken part\n", c.School, school.Name, c.Grade, c.Number, enrolled, in[c])
		people += in[c]
	}
	return people, nil
}

func sizeOf(r *canyu.Roster) string {
	classes, enrolled := 0, 0
	for _, s := range r.Schools(0) {
		for _, c := range s.Classes {
			classes++
			enrolled += c.Enrolled
		}
	}
	return fmt.Sprintf("%d schools, %d classes, %d pupils", len(r.Schools(0)), classes, enrolled)
}

// Help is more of --help.
func (*rosterImport) Help() string {
	return "The columns, in any order: " + ingest.RosterHeadings() + "."
}
