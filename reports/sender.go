package reports

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// ErrNoRecipients: the activity's configuration names nobody for the region.
var ErrNoRecipients = errors.New("nobody is to get this region's report")

// Sender freezes reports and delivers them. It may be used by many goroutines and
// processes at once: one of them does a report, the others find it done.
type Sender struct {
	Archive  canyu.Archive
	Ledger   canyu.Ledger // for claims, and for what the archive does not have yet
	Calendar *Calendar
	Mailer   Mailer
	Signer   *Signer         // of what is frozen; nil: it is not signed
	Audit    *canyu.AuditLog // whose newest line stands in what is frozen; nil: none does
	// Activities are those that Scheduler and Status look after.
	Activities []*canyu.Activity
	Language   string           // of all mails; "" is the activity's own
	Holder     string           // names this process in claims
	Now        func() time.Time // time.Now if nil
	Log        *slog.Logger     // slog.Default() if nil
	// Pause waits for a little while until it looks again; time passes if nil.
	Pause func(context.Context, time.Duration) error

	calls atomic.Uint64
}

// Outcome is what Send did.
type Outcome string

// Outcomes.
const (
	NotReportDay Outcome = "not a report day"
	NotYet       Outcome = "the day has not come yet"
	Busy         Outcome = "another process is sending it"
	Nothing      Outcome = "nothing to do: everybody has it"
	Unchanged    Outcome = "nothing to correct: the numbers are the same"
	Delivered    Outcome = "delivered"
	Unfinished   Outcome = "not delivered to everybody yet"
	Refused      Outcome = "refused for some recipients"
)

// Result is what became of a report.
type Result struct {
	Outcome    Outcome
	Region     canyu.Region
	Day        canyu.Day
	Revision   int
	Deliveries []canyu.Delivery // of that revision, by recipient
}

// claimTime is longer than one mail may take; it is renewed before each.
const claimTime = 5 * time.Minute

// how says which of the open deliveries are tried.
type how struct {
	due     bool // only those whose time to be tried again has come
	resend  bool // also those that are done
	correct bool // make the next revision first
	late    bool // but only for late data, and of the newest report
	bureaus bool // not those of schools, whose turn comes later
	freeze  bool // none: the report is only frozen
	mail    bool // nothing is frozen, only mailed

	began  time.Time     // when the turn of mailing began; else now
	roster *canyu.Roster // where it was read already
	front  *front        // where others ask for the same
}

// Send freezes the report of the day, unless it is frozen, and delivers it to
// every recipient who has no final answer yet. It may be repeated at any time. It
// does not wait for the hour: sent by hand in the morning, the day's report is
// that of the morning.
func (s *Sender) Send(ctx context.Context, a *canyu.Activity, region canyu.Region, day canyu.Day) (Result, error) {
	return s.send(ctx, a, region, day, how{})
}

// Resend delivers the newest frozen revision to every recipient once more, also
// to those who have it or refused it. The mails have the Message-IDs that they
// had before.
func (s *Sender) Resend(ctx context.Context, a *canyu.Activity, region canyu.Region, day canyu.Day) (Result, error) {
	return s.send(ctx, a, region, day, how{resend: true})
}

// Correct freezes the next revision of a report that was sent, with what has
// changed, and delivers it; it does nothing where nothing has changed.
func (s *Sender) Correct(ctx context.Context, a *canyu.Activity, region canyu.Region, day canyu.Day) (Result, error) {
	return s.send(ctx, a, region, day, how{correct: true})
}

func (s *Sender) send(ctx context.Context, a *canyu.Activity, region canyu.Region, day canyu.Day, how how) (Result, error) {
	r := Result{Region: region, Day: day}
	fail := func(err error) (Result, error) {
		return r, fmt.Errorf("cannot send the report of %s for %s: %w", region, day, err)
	}
	planned, err := Planned(a, s.Calendar, day)
	switch {
	case err != nil:
		return fail(err)
	case !planned:
		r.Outcome = NotReportDay
		return r, nil
	case day > a.DayOf(s.now()):
		r.Outcome = NotYet
		return r, nil
	case len(a.Report.Recipients[region]) == 0:
		return fail(ErrNoRecipients)
	}
	duty, holder := "report/"+a.ID+"/"+region.String(), fmt.Sprintf("%s.%d", s.Holder, s.calls.Add(1))
	claim := func() (bool, error) { return s.Ledger.Claim(ctx, duty, holder, claimTime) }
	mine, err := claim()
	if err != nil {
		return fail(err)
	}
	if !mine {
		r.Outcome = Busy
		return r, nil
	}
	defer func() {
		// Also when ctx is done: nobody should wait for the claim to run out.
		if err := s.Ledger.Release(context.WithoutCancel(ctx), duty, holder); err != nil {
			s.log().Warn("cannot release a claim", "duty", duty, "error", err)
		}
	}()
	w := &work{Sender: s, activity: a, claim: claim, result: r, how: how}
	if err := w.do(ctx); err != nil {
		return fail(err)
	}
	return w.result, nil
}

// work is one report being sent, under its claim.
type work struct {
	*Sender
	activity *canyu.Activity
	claim    func() (bool, error)
	how      how
	result   Result
	rows     []canyu.Delivery
}

func (w *work) do(ctx context.Context) error {
	roster := w.how.roster
	if roster == nil {
		var err error
		if roster, err = w.Archive.Roster(ctx); err != nil {
			return err
		}
	}
	b := &builder{archive: w.Archive, activity: w.activity, calendar: w.Calendar, roster: roster,
		region: w.result.Region, day: w.result.Day}
	frozen, err := w.Archive.Frozen(ctx, w.activity.ID, w.result.Region)
	if err != nil {
		return err
	}
	if err := w.readRows(ctx); err != nil {
		return err
	}
	var report *Report
	newest := newestOf(frozen, w.result.Day)
	if newest == nil && w.how.mail {
		w.result.Outcome = Unfinished
		return nil
	}
	if newest == nil || w.how.correct {
		if report, err = w.freeze(ctx, b, frozen, newest); report == nil {
			return err
		}
	} else {
		if report, err = thawSigned(ctx, w.Archive, w.activity, *newest); err != nil {
			return err
		}
		if err := w.enlist(ctx, report, b.roster); err != nil {
			return err
		}
	}
	w.result.Revision = report.Revision
	if w.how.freeze {
		w.result.Outcome = Unfinished
		return nil
	}
	open := w.open()
	if len(open) > 0 {
		if err := b.addMessages(ctx, report); err != nil {
			return err
		}
		began := cmp.Or(w.how.began, w.now())
		report.late = report.Revision == 1 && began.After(DueAt(w.activity, w.result.Day).Add(lateAfter))
		letters := newLetters(report, w.Language)
		if err := w.deliver(ctx, &letters, open); err != nil {
			return err
		}
	}
	w.conclude(len(open) > 0)
	return nil
}

// lateAfter is how much after its hour a report may be sent without being called late.
const lateAfter = 15 * time.Minute

// freeze makes the next revision and keeps it, once the archive has all that was
// acknowledged: as_of is the moment from which that holds. The recipients are written
// down before it: a frozen report is one whose recipients are known. It returns nil
// where a correction would correct nothing.
func (w *work) freeze(ctx context.Context, b *builder, frozen []canyu.Frozen, newest *canyu.Frozen) (_ *Report, err error) {
	front := cmp.Or(w.how.front, new(front))
	if b.now, err = front.reach(ctx, w.Sender, w.activity); err != nil {
		return nil, err
	}
	report, err := b.next(ctx, frozen)
	if err != nil {
		return nil, err
	}
	same := newest != nil && !report.corrects()
	if newest != nil && w.how.late {
		before, err := Thaw(w.activity, *newest)
		if err != nil {
			return nil, err
		}
		same = same || frozen[len(frozen)-1].Day > newest.Day || !lateData(before, report)
	}
	if same {
		w.result.Outcome, w.result.Revision = Unchanged, report.Revision-1
		return nil, nil
	}
	if w.Audit != nil {
		head, err := w.Audit.Head(ctx)
		if err != nil {
			return nil, err
		}
		if head.Sequence > 0 {
			report.Audit = &head
		}
	}
	body, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	if err := w.enlist(ctx, report, b.roster); err != nil {
		return nil, err
	}
	signature, err := w.sign(ctx, report, body)
	if err != nil {
		return nil, err
	}
	kept, err := w.Archive.Freeze(ctx, canyu.Frozen{Activity: report.Activity, Region: report.Region, Day: report.Day,
		Revision: report.Revision, AsOf: report.AsOf, Body: body})
	if err != nil {
		return nil, err
	}
	w.log().Info("report frozen", "activity", report.Activity, "region", report.Region, "day", report.Day, "revision", report.Revision)
	if bytes.Equal(kept.Body, body) {
		report.body, report.signature = body, signature
		return report, nil
	}
	return thawSigned(ctx, w.Archive, w.activity, kept)
}

func (w *work) readRows(ctx context.Context) error {
	all, err := w.Archive.Deliveries(ctx, w.activity.ID, w.result.Region)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Day == w.result.Day {
			w.rows = append(w.rows, d)
		}
	}
	return nil
}

// enlist gives every addressee a delivery of the revision, and ends what is still
// open of an earlier one or for somebody who is to get none any more.
func (w *work) enlist(ctx context.Context, r *Report, roster *canyu.Roster) error {
	revision, wanted := r.Revision, w.addressees(r, roster)
	same := func(a, b canyu.Delivery) bool { return a.School == b.School && a.Recipient == b.Recipient }
	for i, d := range w.rows {
		switch {
		case done(d):
			continue
		case d.Revision < revision:
			d.Answer = fmt.Sprintf("superseded by revision %d", revision)
		case !slices.ContainsFunc(wanted, func(o canyu.Delivery) bool { return same(o, d) }):
			d.Answer = noLonger
		default:
			continue
		}
		d.State = canyu.Failed
		if err := w.Archive.SetDelivery(ctx, d); err != nil {
			return err
		}
		w.rows[i] = d
	}
	w.rows = slices.DeleteFunc(w.rows, func(d canyu.Delivery) bool { return d.Revision != revision })
	for _, d := range wanted {
		if slices.ContainsFunc(w.rows, func(o canyu.Delivery) bool { return same(o, d) && !dropped(o) }) {
			continue
		}
		if err := w.Archive.SetDelivery(ctx, d); err != nil {
			return err
		}
		w.rows = append(slices.DeleteFunc(w.rows, func(o canyu.Delivery) bool { return same(o, d) }), d)
	}
	return nil
}

func (s *Sender) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Sender) second() time.Time { return s.now().Truncate(time.Second) }

func (s *Sender) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}
