package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup"
)

type explainCommand struct {
	Flags
	Activity string `help:"Id of the activity. (default: the only one)" placeholder:"ID"`
	School   string `help:"Of this school: the ten digits of its code. (default: all of the region)" placeholder:"CODE"`
	Grade    uint8  `help:"Of this grade's --class."`
	Class    uint16 `help:"Of this class alone."`
	Region   string `help:"Whose report: six digits. (default: the smallest region around the school that gets one)" placeholder:"CODE"`
	Date     string `help:"Of this day: 2017-04-01. (default: the newest report)" placeholder:"DAY"`
	Lang     string `help:"zh-Hans, zh-Hant or en. (default: the activity's own)"`
}

// Run walks from the report's number to the ledger. Sums that do not add up are an
// error, after all were printed.
func (c *explainCommand) Run(ctx context.Context, out stdout) error {
	s, e, a, err := c.openFor(ctx, c.Activity)
	if err != nil {
		return err
	}
	defer e.close()
	x := &explaining{s: s, e: e, a: a}
	if x.roster, err = e.archive.Roster(ctx); err != nil {
		return err
	}
	if err := x.place(c); err != nil {
		return err
	}
	if err := x.read(ctx, c.Date); err != nil {
		return fmt.Errorf("cannot explain: %w", err)
	}
	adds, err := x.Write(out, c.Lang)
	if err == nil && !adds {
		err = errQuiet
	}
	return err
}

// explaining gathers what an explanation is made of.
type explaining struct {
	reports.Explanation
	s       *settings
	e       *engines
	a       *canyu.Activity
	roster  *canyu.Roster
	region  canyu.Region
	school  *canyu.School // nil: all of the region
	schools []canyu.SchoolCode
}

// place finds out what is meant.
func (x *explaining) place(c *explainCommand) (err error) {
	if c.Region != "" {
		if x.region, err = canyu.ParseRegion(c.Region); err != nil {
			return err
		}
	}
	if c.School == "" {
		if c.Region == "" || c.Grade != 0 || c.Class != 0 {
			return errors.New("want --school, and --grade and --class of it; or --region")
		}
		x.Name, x.Code = x.region.Name(), x.region.String()
		for _, sc := range x.roster.Schools(x.region) {
			x.schools = append(x.schools, sc.Code)
		}
		if x.schools == nil {
			return reports.ErrNoSchools
		}
		return nil
	}
	code, err := canyu.ParseSchoolCode(c.School)
	if err != nil {
		return err
	}
	if x.school = x.roster.School(code); x.school == nil {
		return fmt.Errorf("school %s is not in the roster", code)
	}
	x.Name, x.Code, x.schools = x.school.Name, code.String(), []canyu.SchoolCode{code}
	if (c.Grade == 0) != (c.Class == 0) {
		return errors.New("--grade and --class: want both or neither")
	}
	if c.Class != 0 {
		x.Class = canyu.Class{School: code, Grade: c.Grade, Number: c.Class}
	}
	if x.region == 0 {
		x.region = x.school.Region
		for _, r := range []canyu.Region{x.school.Region, x.school.Region.Parent(), x.school.Region.Parent().Parent()} {
			if len(x.a.Report.Recipients[r]) > 0 {
				x.region = r
				break
			}
		}
	}
	if !x.region.Contains(x.school.Region) {
		return fmt.Errorf("school %s is not in region %s", code, x.region)
	}
	return nil
}

func (x *explaining) read(ctx context.Context, date string) error {
	now := time.Now()
	x.Activity = x.a
	if err := x.readReport(ctx, date, now); err != nil {
		return err
	}
	if err := x.told(); err != nil {
		return err
	}
	part := rollup.Part{Activity: x.a.ID, Schools: x.schools, Only: x.Class}
	for _, sc := range x.schools {
		school := x.roster.School(sc)
		for _, class := range school.Classes {
			if c := school.Class(class); x.Class == (canyu.Class{}) || c == x.Class {
				part.Classes = append(part.Classes, c)
				x.Enrolled += class.Enrolled
			}
		}
	}
	purged, err := x.e.archive.Purged(ctx, x.a.ID)
	if err != nil {
		return err
	}
	mark, err := x.e.archive.Epoch(ctx, x.a.ID)
	if err != nil {
		return err
	}
	var ledger canyu.Ledger // nobody has taken part, or nobody is left: there is none to ask
	if mark != "" && purged.Participants.IsZero() {
		ledger = x.e.ledger
	}
	if !purged.Participants.IsZero() {
		x.Purged = purged.Participants.In(x.a.Zone).Format(time.DateTime)
	}
	trace, err := rollup.TraceOf(ctx, ledger, x.e.archive, part, x.Report.Day, x.Report.AsOf)
	if err != nil {
		return err
	}
	x.Trace = *trace
	return x.excluded(ctx)
}

// readReport takes the newest revision that was frozen of the day; or the numbers now.
func (x *explaining) readReport(ctx context.Context, date string, now time.Time) error {
	frozen, err := x.e.archive.Frozen(ctx, x.a.ID, x.region)
	if err != nil {
		return err
	}
	day := min(x.a.DayOf(now), x.a.LastDay+1)
	if date != "" {
		if day, err = canyu.ParseDay(date); err != nil {
			return err
		}
	} else if len(frozen) > 0 {
		day = frozen[len(frozen)-1].Day
	}
	calendar, err := reports.LoadCalendar(x.s.Calendar)
	if err != nil {
		return err
	}
	if x.Report, err = reports.Build(ctx, x.e.archive, x.a, calendar, x.region, day, now); err != nil {
		return err
	}
	for _, f := range frozen {
		if f.Day == day && f.Revision == x.Report.Revision {
			x.Frozen = true
			return x.signature(ctx, f)
		}
	}
	return nil
}

// signature finds out whether the report is as it was signed.
func (x *explaining) signature(ctx context.Context, f canyu.Frozen) error {
	secret, err := x.s.secret()
	if err != nil {
		return err
	}
	signatures, err := x.e.archive.Signatures(ctx, x.a.ID, x.region)
	if err != nil {
		return err
	}
	for _, s := range signatures {
		if s.Day != f.Day || s.Revision != f.Revision {
			continue
		}
		if x.Key, x.Unsigned = reports.CheckSignature(f.Body, s.Text, x.s.signer(secret).Keys()); x.Unsigned == nil {
			return nil
		}
	}
	return nil
}

// told is what the report says of the place.
func (x *explaining) told() error {
	sums := &x.Report.Total
	if x.school != nil {
		i := 0
		for i < len(x.Report.Schools) && x.Report.Schools[i].School != x.school.Code {
			i++
		}
		if i == len(x.Report.Schools) {
			return fmt.Errorf("the report of %s has no school %s", x.region, x.school.Code)
		}
		sums = &x.Report.Schools[i].Numbers
		if x.Class != (canyu.Class{}) {
			return x.toldOfClass(&x.Report.Schools[i])
		}
	}
	x.Told[canyu.Student], x.Told[canyu.Parent], x.Told[canyu.Teacher] = sums.Student.Total, sums.Parent.Total, sums.Teacher.Total
	if sums.Public != nil {
		x.Told[canyu.Public] = sums.Public.Total
	}
	x.ToldEnrolled, x.ToldSubmissions = sums.Enrolled, sums.Submissions.Total
	return nil
}

func (x *explaining) toldOfClass(school *reports.School) error {
	for _, c := range school.Classes {
		if c.Grade == x.Class.Grade && c.Class == x.Class.Number {
			x.Told[canyu.Student], x.ToldEnrolled, x.ToldSubmissions = c.Student, c.Enrolled, -1
			return nil
		}
	}
	return fmt.Errorf("the report of %s has no class %s", x.region, x.Class)
}

// excluded are those who are in no number, and why.
func (x *explaining) excluded(ctx context.Context) error {
	all := x.schools
	if x.school == nil && len(all) == len(x.roster.Schools(0)) {
		all = nil // what named no school of the roster too
	}
	var err error
	if x.Refused, err = x.e.archive.Refusals(ctx, x.a.ID, all, x.a.LastDay+canyu.LatestReport); err != nil {
		return err
	}
	groups, err := canyu.HeldGroups(ctx, x.e.archive, x.a.ID, x.schools)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if x.concerns(g.Class) {
			x.Held = append(x.Held, g)
		}
	}
	letters, err := rollup.DeadLetters(x.s.deadLetters(), x.a.ID)
	if err != nil {
		return err
	}
	for i := range letters {
		for _, r := range letters[i].Participations() {
			if r.Counted && x.concerns(r.Class) {
				x.Letters++
			}
		}
	}
	for line, err := range x.e.archive.Audit(ctx) {
		if err != nil {
			return err
		}
		if line.What == canyu.AuditErase && line.Activity == x.a.ID && line.At.After(x.Report.AsOf) && x.erasedFrom(line.Target) {
			x.Erased++
		}
	}
	return nil
}

func (x *explaining) concerns(c canyu.Class) bool {
	if x.Class != (canyu.Class{}) {
		return c == x.Class
	}
	school := x.roster.School(c.School)
	return school != nil && (x.school == school || x.school == nil && x.region.Contains(school.Region))
}

// erasedFrom reports whether the target of a line is a class that is explained.
func (x *explaining) erasedFrom(target string) bool {
	if x.Class != (canyu.Class{}) {
		return target == x.Class.String()
	}
	school, _, _ := strings.Cut(target, " ")
	code, err := canyu.ParseSchoolCode(school)
	return err == nil && x.concerns(canyu.Class{School: code})
}
