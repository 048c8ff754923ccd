package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports/linksheet"
)

// linkSettings are those of signed links.
type linkSettings struct {
	Keys []string `yaml:"keys"` // ids; the first signs, one that is taken out revokes its links
	Base string   `yaml:"base"` // where visitors reach this site: https://canyu.example.org
}

func (l *linkSettings) check(wrong func(format string, args ...any)) {
	for i, id := range l.Keys {
		if !canyu.ValidKeyID(id) {
			wrong("links.keys[%d] %q: want 1–16 of a–z, 0–9 and -", i, id)
		}
	}
	if l.Base == "" {
		return
	}
	u, err := url.Parse(l.Base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		wrong("links.base %q: want an address such as https://canyu.example.org", l.Base)
	}
}

func (s *settings) keyring(secret []byte) *canyu.Keyring {
	return canyu.NewKeyring(secret, s.Links.Keys...)
}

// linkTo is the address of a link with this token.
func (s *settings) linkTo(token string) string {
	base := strings.TrimSuffix(s.Links.Base, "/")
	if base == "" {
		host, port, _ := net.SplitHostPort(s.Listen)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base = fmt.Sprint("http://", net.JoinHostPort(host, port))
	}
	return base + "/link/" + token
}

type linkCommand struct {
	Class  linkClassCommand  `cmd:"" help:"For the teacher of one class: its page, and which seats have taken part."`
	School linkSchoolCommand `cmd:"" help:"For a school: its live page and all of its classes."`
	Bureau linkBureauCommand `cmd:"" help:"For a bureau: its live page, its reports and all of its schools; 100000 is the nation."`
	Admin  linkAdminCommand  `cmd:"" help:"For whoever runs this site: everything."`
	Sheet  linkSheetCommand  `cmd:"" name:"classes" help:"A sheet to print: the links of all classes of a school."`
}

// linkFlags are those of every link.
type linkFlags struct {
	Flags
	Activity string `help:"Only this activity; without it every one." placeholder:"ID"`
	Days     int    `help:"How long the link is valid." default:"90"`
}

type linkOne struct {
	linkFlags
	PNG string `help:"Also write the QR code as an image." name:"png" placeholder:"FILE"`
}

type linkClassCommand struct {
	linkOne
	School string `arg:"" help:"School code, ten digits."`
	Grade  int    `arg:"" help:"1–12."`
	Class  int    `arg:"" help:"Number within the grade."`
}

type linkSchoolCommand struct {
	linkOne
	School string `arg:"" help:"School code, ten digits."`
}

type linkBureauCommand struct {
	linkOne
	Region string `arg:"" help:"Region code, six digits."`
}

type linkAdminCommand struct{ linkOne }

type linkSheetCommand struct {
	linkFlags
	School string `arg:"" help:"School code, ten digits."`
	Lang   string `help:"zh-Hans, zh-Hant or en." enum:"zh-Hans,zh-Hant,en" default:"zh-Hans"`
	Out    string `help:"File of HTML." default:"sheet.html" placeholder:"FILE"`
}

// linker makes links, and writes down which.
type linker struct {
	*settings
	*engines
	keys    *canyu.Keyring
	roster  *canyu.Roster
	expires time.Time
}

// linker reads the settings and the roster, so that a link for nothing is a mistake.
// The linker must be closed.
func (c *linkFlags) linker(ctx context.Context) (_ *linker, err error) {
	s, e, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if c.Activity != "" {
		if _, err := s.activity(c.Activity); err != nil {
			return nil, err
		}
	}
	if c.Days < 1 || c.Days > 3660 {
		return nil, fmt.Errorf("--days %d: want 1–3660", c.Days)
	}
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	roster, err := e.archive.Roster(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read the roster: %w", err)
	}
	return &linker{s, e, s.keyring(secret), roster, c.until(s, time.Now())}, nil
}

// until is the end of the last day that the link is valid.
func (c *linkFlags) until(s *settings, now time.Time) time.Time {
	a := s.activities[0]
	return (a.DayOf(now) + canyu.Day(c.Days)).End(a.Zone)
}

// linkerOf is linker for links of a school and its classes.
func (c *linkFlags) linkerOf(ctx context.Context, school string) (*linker, *canyu.School, error) {
	l, err := c.linker(ctx)
	if err != nil {
		return nil, nil, err
	}
	code, err := canyu.ParseSchoolCode(school)
	if err != nil {
		l.close()
		return nil, nil, err
	}
	sc := l.roster.School(code)
	if sc == nil {
		l.close()
		return nil, nil, fmt.Errorf("school %s is not in the roster", code)
	}
	return l, sc, nil
}

// made writes down that a link to something is made, and by which key; never the link.
func (l *linker) made(ctx context.Context, activity, target string) error {
	key := ""
	if len(l.Links.Keys) > 0 {
		key = l.Links.Keys[0]
	}
	return l.audit(ctx, l.engines, canyu.AuditEntry{What: canyu.AuditLink, Activity: activity, Target: target,
		To: fmt.Sprintf("key %s, until %s", key, l.expires.Add(-time.Second).Format(time.DateTime))})
}

func (l *linker) link(scope canyu.Scope) (string, error) {
	token, err := l.keys.Sign(scope, l.expires)
	return l.linkTo(token), err
}

// scopeText names what a link opens.
func scopeText(s canyu.Scope) string {
	switch s.Kind {
	case canyu.ClassScope:
		return fmt.Sprintf("class %s", canyu.Class{School: s.School, Grade: uint8(s.Grade), Number: uint16(s.Class)})
	case canyu.SchoolScope:
		return fmt.Sprintf("school %s", s.School)
	case canyu.RegionScope:
		return fmt.Sprintf("region %s", s.Region)
	}
	return s.Kind.String()
}

// print makes the link and shows it.
func (c *linkOne) print(ctx context.Context, out io.Writer, l *linker, scope canyu.Scope, who string) error {
	scope.Activity = c.Activity
	if err := l.made(ctx, c.Activity, scopeText(scope)); err != nil {
		return err
	}
	link, err := l.link(scope)
	if err != nil {
		return err
	}
	code, err := linksheet.Encode(link)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\nvalid until %s\n\n%s\n%s", who, l.expires.Add(-time.Second).Format(time.DateTime), link, code.Terminal())
	if l.Links.Base == "" {
		fmt.Fprintln(out, "links.base is not set: the link works on this machine only")
	}
	if c.PNG == "" {
		return nil
	}
	if err := os.WriteFile(c.PNG, code.PNG(), 0o600); err != nil {
		return fmt.Errorf("cannot write the QR code: %w", err)
	}
	return nil
}

func (c *linkClassCommand) Run(ctx context.Context, out stdout) error {
	l, sc, err := c.linkerOf(ctx, c.School)
	if err != nil {
		return err
	}
	defer l.close()
	if _, ok := sc.Enrolled(uint8(min(c.Grade, 255)), uint16(min(c.Class, 65535))); !ok || c.Grade < 1 || c.Class < 1 {
		return fmt.Errorf("%s has no class %d in grade %d", sc.Name, c.Class, c.Grade)
	}
	scope := canyu.Scope{Kind: canyu.ClassScope, Region: sc.Region, School: sc.Code, Grade: c.Grade, Class: c.Class}
	return c.print(ctx, out, l, scope, fmt.Sprintf("%s, grade %d, class %d", sc.Name, c.Grade, c.Class))
}

func (c *linkSchoolCommand) Run(ctx context.Context, out stdout) error {
	l, sc, err := c.linkerOf(ctx, c.School)
	if err != nil {
		return err
	}
	defer l.close()
	return c.print(ctx, out, l, canyu.Scope{Kind: canyu.SchoolScope, Region: sc.Region, School: sc.Code}, sc.Name)
}

func (c *linkBureauCommand) Run(ctx context.Context, out stdout) error {
	l, err := c.linker(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	region, err := canyu.ParseRegion(c.Region)
	if err != nil {
		return err
	}
	schools := l.roster.Schools(region)
	if len(schools) == 0 {
		return fmt.Errorf("region %s has no school in the roster", region)
	}
	return c.print(ctx, out, l, canyu.Scope{Kind: canyu.RegionScope, Region: region}, fmt.Sprintf("region %s, %d schools", region, len(schools)))
}

func (c *linkAdminCommand) Run(ctx context.Context, out stdout) error {
	l, err := c.linker(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	return c.print(ctx, out, l, canyu.Scope{Kind: canyu.AdminScope}, "administration: show it to nobody")
}

func (c *linkSheetCommand) Run(ctx context.Context, out stdout) error {
	l, sc, err := c.linkerOf(ctx, c.School)
	if err != nil {
		return err
	}
	defer l.close()
	a, err := l.activity(c.Activity)
	if err != nil {
		return err // which one the sheet is headed by
	}
	if err := l.made(ctx, c.Activity, fmt.Sprintf("each class of school %s", sc.Code)); err != nil {
		return err
	}
	sheet := linksheet.Sheet{Lang: c.Lang, Activity: a, School: sc, Expires: l.expires, Link: func(class canyu.SchoolClass) (string, error) {
		return l.link(canyu.Scope{
			Kind: canyu.ClassScope, Activity: c.Activity, Region: sc.Region,
			School: sc.Code, Grade: int(class.Grade), Class: int(class.Number),
		})
	}}
	f, err := os.OpenFile(c.Out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the sheet: %w", err)
	}
	if err := errors.Join(sheet.Write(f), f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d classes, valid until %s: %s\n", sc.Name, len(sc.Classes), l.expires.Add(-time.Second).Format(time.DateTime), c.Out)
	return nil
}
