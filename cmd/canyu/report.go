package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

type reportCommand struct {
	Render reportRender `cmd:"" help:"Write report.html, .txt, .xlsx and .json of one region and day."`
	Send   reportSend   `cmd:"" help:"Freeze and deliver the report of a day. Safe to repeat."`
	Status reportStatus `cmd:"" help:"Which reports are due, were sent, to whom, and what the mail server said."`
	Test   reportTest   `cmd:"" help:"Send a sample to one address."`

	Key   reportKeyCommand   `cmd:"" help:"The public keys that reports are signed with."`
	Check reportCheckCommand `cmd:"" help:"Check the signature of a report.json. Asks nobody."`
	Sign  reportSignCommand  `cmd:"" help:"Sign reports that were frozen before there were signatures."`
}

// which is one report.
type which struct {
	Activity string `help:"Id of the activity. (default: the only one)"`
	Region   string `help:"Region: six digits. (default: every region with recipients)"`
	Date     string `help:"The day: 2017-04-01." required:""`
}

// resolve is the activity, the regions and the day that are meant.
func (w *which) resolve(s *settings) (*canyu.Activity, []canyu.Region, canyu.Day, error) {
	var errs []error
	a, err := s.activity(w.Activity)
	errs = append(errs, err)
	day, err := canyu.ParseDay(w.Date)
	errs = append(errs, err)
	var regions []canyu.Region
	if w.Region != "" {
		region, err := canyu.ParseRegion(w.Region)
		errs = append(errs, err)
		regions = []canyu.Region{region}
	} else if a != nil {
		regions = slices.Sorted(maps.Keys(a.Report.Recipients))
		if len(regions) == 0 {
			errs = append(errs, errors.New("--region: missing, and no region has recipients"))
		}
	}
	return a, regions, day, errors.Join(errs...)
}

// drainToFreeze is drain where a region's numbers of the day are not frozen yet: what
// was sent can be had, and sent again, whatever is behind.
func (s *settings) drainToFreeze(ctx context.Context, e *engines, a *canyu.Activity, regions []canyu.Region, day canyu.Day, errOut io.Writer) error {
	for _, region := range regions {
		frozen, err := e.archive.Frozen(ctx, a.ID, region)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(frozen, func(f canyu.Frozen) bool { return f.Day == day }) {
			return s.drain(ctx, e, errOut)
		}
	}
	return nil
}

type reportRender struct {
	Flags
	which
	School string `help:"Only this school's part: the ten digits of its code."`
	Out    string `help:"Folder to write to." default:"." placeholder:"DIR"`
	Lang   string `help:"zh-Hans, zh-Hant or en. (default: the activity's own)"`
}

// Run renders the newest frozen revision, or the numbers as they are.
func (c *reportRender) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	a, regions, day, err := c.resolve(s)
	if err != nil {
		return err
	}
	if len(regions) > 1 {
		return fmt.Errorf("--region: want one of %v", regions)
	}
	calendar, err := reports.LoadCalendar(s.Calendar)
	if err != nil {
		return err
	}
	if err := s.drainToFreeze(ctx, e, a, regions, day, errOut); err != nil {
		return err
	}
	r, err := reports.Build(ctx, e.archive, a, calendar, regions[0], day, time.Now())
	if err != nil {
		return err
	}
	if c.School != "" {
		code, err := canyu.ParseSchoolCode(c.School)
		if err != nil {
			return err
		}
		if r = r.Of(code); r == nil {
			return fmt.Errorf("--school: the report of %s has no school %s", regions[0], code)
		}
	}
	if err := r.Write(ctx, c.Out, c.Lang); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: report.html, report.txt, report.xlsx, report.json", c.Out)
	if r.Signed() {
		fmt.Fprint(out, ", report.json.sig")
	}
	fmt.Fprintln(out)
	return nil
}

type reportSend struct {
	Flags
	which
	Resend  bool `help:"Also to those who have it: with the same Message-ID." xor:"how"`
	Correct bool `help:"Freeze the next revision, with what late data or a new roster has changed, and send that." xor:"how"`
}

// Run sends to each region; what could not be delivered is an error.
func (c *reportSend) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	a, regions, day, err := c.resolve(s)
	if err != nil {
		return err
	}
	sender, err := s.sender(e, slog.New(slog.NewTextHandler(errOut, nil)))
	if err != nil {
		return err
	}
	if !c.Correct {
		err = s.drainToFreeze(ctx, e, a, regions, day, errOut)
	} else {
		err = s.drain(ctx, e, errOut)
	}
	if err != nil {
		return err
	}
	send, what := sender.Send, canyu.AuditSend
	switch {
	case c.Resend:
		send, what = sender.Resend, canyu.AuditResend
	case c.Correct:
		send, what = sender.Correct, canyu.AuditCorrect
	}
	var errs []error
	for _, region := range regions {
		line := canyu.AuditEntry{What: what, Activity: a.ID, Target: fmt.Sprintf("region %s, %s", region, day)}
		if err := s.audit(ctx, e, line); err != nil {
			return err
		}
		r, err := send(ctx, a, region, day)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(out, "%s %s %s: %s\n", a.ID, region, day, r.Outcome)
		if r.Outcome == reports.Unfinished || r.Outcome == reports.Refused {
			printDeliveries(out, r.Deliveries, a)
			errs = append(errs, errQuiet)
		}
	}
	return errors.Join(errs...)
}

// silent is a sender without a mailer: it knows what was sent.
func (s *settings) silent(e *engines, log *slog.Logger) (*reports.Sender, error) {
	calendar, err := reports.LoadCalendar(s.Calendar)
	if err != nil {
		return nil, err
	}
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	return &reports.Sender{Activities: s.activities, Archive: e.archive, Ledger: e.ledger, Calendar: calendar, Holder: holder, Log: log,
		Signer: s.signer(secret), Audit: s.auditLog(e, secret)}, nil
}

// sender delivers by the mail server or the outbox that the settings name.
func (s *settings) sender(e *engines, log *slog.Logger) (*reports.Sender, error) {
	sender, err := s.silent(e, log)
	if err != nil {
		return nil, err
	}
	sender.Mailer, err = s.mailer()
	return sender, err
}

func (s *settings) mailer() (reports.Mailer, error) {
	mail, err := s.mail()
	if err != nil {
		return nil, err
	}
	return reports.NewMailer(mail)
}

// mail is how mails leave.
func (s *settings) mail() (reports.MailConfig, error) {
	c := s.mailConfig()
	if c.URL == "" {
		return c, errors.New("reports need a mail server or a folder: give smtp or outbox")
	}
	if s.SMTP.PasswordFile != "" {
		text, err := os.ReadFile(s.SMTP.PasswordFile)
		if err != nil {
			return c, fmt.Errorf("smtp.password_file: cannot be read: %w", err)
		}
		c.Password = strings.TrimSpace(string(text))
	}
	return c, nil
}

// mailConfig is mail but for the password in a file.
func (s *settings) mailConfig() reports.MailConfig {
	c := reports.MailConfig{
		URL: s.SMTP.URL, From: s.SMTP.From, Password: os.Getenv("CANYU_SMTP_PASSWORD"), AllowPlain: s.SMTP.AllowPlain, CAFile: s.SMTP.CAFile,
		PerMinute: s.SMTP.PerMinute,
		DKIM:      reports.DKIM{Domain: s.SMTP.DKIM.Domain, Selector: s.SMTP.DKIM.Selector, KeyFile: s.SMTP.DKIM.KeyFile},
	}
	if s.Outbox != "" {
		c.URL, c.From = "outbox:"+s.Outbox, cmp.Or(c.From, "canyu@localhost")
	}
	return c
}

type reportStatus struct {
	Flags
	Activity string `help:"Id of the activity. (default: all)"`
}

// Run prints every report that was planned by now, and its deliveries.
func (c *reportStatus) Run(ctx context.Context, out stdout) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	activities, err := s.allOr(c.Activity)
	if err != nil {
		return err
	}
	sender, err := s.silent(e, slog.Default())
	if err != nil {
		return err
	}
	for i, a := range activities {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if len(activities) > 1 {
			fmt.Fprintf(out, "activity %s\n", a.ID)
		}
		if err := tellReports(ctx, sender, a, out); err != nil {
			return err
		}
	}
	return nil
}

func tellReports(ctx context.Context, sender *reports.Sender, a *canyu.Activity, out stdout) error {
	lines, err := sender.Status(ctx, a)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DAY\tREGION\tDUE\tREVISION\tSTANDING")
	for _, l := range lines {
		about := l.Region.String()
		if l.School != 0 {
			about = l.School.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", l.Day, about, l.Due.In(a.Zone).Format(time.DateTime), l.Revision, l.Standing)
	}
	w.Flush()
	deliveries, err := sender.Archive.Deliveries(ctx, a.ID, 0)
	if err != nil {
		return err
	}
	if len(deliveries) > 0 {
		fmt.Fprintln(out)
		printDeliveries(out, deliveries, a)
	}
	return nil
}

type reportTest struct {
	Flags
	Activity string `help:"Id of the activity. (default: the only one)"`
	Region   string `help:"Region: six digits." required:""`
	To       string `help:"The address." required:""`
}

// Run sends a sample, which is recorded nowhere.
func (c *reportTest) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, a, err := c.openFor(ctx, c.Activity)
	if err != nil {
		return err
	}
	defer e.close()
	sender, err := s.sender(e, slog.New(slog.NewTextHandler(errOut, nil)))
	if err != nil {
		return err
	}
	region, err := canyu.ParseRegion(c.Region)
	if err != nil {
		return err
	}
	answer, err := sender.Sample(ctx, a, region, c.To)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "sent to %s: %s\n", c.To, answer)
	return nil
}

func printDeliveries(out stdout, ds []canyu.Delivery, a *canyu.Activity) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DAY\tABOUT\tREVISION\tRECIPIENT\tSTATE\tATTEMPTS\tAT\tANSWER")
	for _, d := range ds {
		about := d.Region.String()
		if d.School != 0 {
			about = d.School.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", d.Day, about, d.Revision, d.Recipient, d.State, d.Attempts,
			d.At.In(a.Zone).Format(time.DateTime), d.Answer)
	}
	w.Flush()
}
