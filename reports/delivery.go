package reports

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// open are the indexes of the deliveries to be tried.
func (w *work) open() []int {
	var open []int
	for i, d := range w.rows {
		if w.how.bureaus && d.School != 0 || !slices.Contains(recipients(&w.activity.Report, d), d.Recipient) {
			continue
		}
		if w.how.resend || !done(d) && (!w.how.due || ready(d, w.now())) {
			open = append(open, i)
		}
	}
	return open
}

// atOnce is how many mails of a report are under way at once: a server that hangs
// with one recipient does not keep the others waiting.
const atOnce = 4

func (w *work) deliver(ctx context.Context, l *letters, open []int) error {
	var group sync.WaitGroup
	errs := make([]error, len(open))
	slots := make(chan struct{}, atOnce)
	for n, i := range open {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if errs[n] = w.Mailer.Wait(ctx); errs[n] == nil {
				errs[n] = w.attempt(ctx, l, &w.rows[i])
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

var errClaimLost = errors.New("another process has taken over")

func (w *work) attempt(ctx context.Context, ls *letters, d *canyu.Delivery) error {
	l, err := ls.to(d)
	if err != nil {
		return err
	}
	if mine, err := w.claim(); err != nil || !mine {
		return cmpErr(err, errClaimLost)
	}
	if d.State == canyu.Sending { // a process ended between sending and writing it down
		unsure(d, "the program ended while the mail was on its way")
		if d.State == canyu.Failed {
			w.tell(d)
			return w.Archive.SetDelivery(ctx, *d)
		}
	}
	maybe := strings.HasSuffix(d.Answer, maybeThere)
	d.State, d.At, d.Attempts = canyu.Sending, w.second(), d.Attempts+1
	if err := w.Archive.SetDelivery(ctx, *d); err != nil {
		return err
	}
	// From here on what happened must be written down, whoever wants to stop.
	ctx = context.WithoutCancel(ctx)
	answer, err := w.Mailer.Mail(ctx, l.to(*d, w.Mailer.Domain(), w.now().In(w.activity.Zone)))
	var failure *MailError
	switch {
	case err == nil:
		d.State, d.Answer = canyu.Sent, answer
	case !errors.As(err, &failure):
		d.State, d.Answer = canyu.Retrying, err.Error()
	case failure.Unknown:
		unsure(d, failure.Words)
	case failure.Later:
		d.State, d.Answer = canyu.Retrying, failure.Words
	default:
		d.State, d.Answer = canyu.Failed, failure.Words
	}
	if maybe && d.State == canyu.Retrying && !strings.HasSuffix(d.Answer, maybeThere) {
		d.Answer += maybeThere
	}
	w.tell(d)
	for range 3 {
		if err = w.Archive.SetDelivery(ctx, *d); err == nil {
			break
		}
	}
	return err
}

// tell logs what became of a mail, without anybody's address.
func (w *work) tell(d *canyu.Delivery) {
	log := w.log().With("activity", d.Activity, "region", d.Region, "day", d.Day, "revision", d.Revision)
	if d.School != 0 {
		log = log.With("school", d.School)
	}
	log = log.With("state", d.State, "attempt", d.Attempts)
	if d.State == canyu.Sent {
		log.Info("report mailed")
		return
	}
	log.Warn("report not delivered: canyu report status tells more", "reason", reason(d.Answer))
}

var (
	smtpCode = regexp.MustCompile(`^[245]\d\d( [245]\.\d{1,3}\.\d{1,3})?\b`)
	address  = regexp.MustCompile(`\S*@\S*`)
)

// reason is the code of a server's reply, or why there was none.
func reason(answer string) string {
	if code := smtpCode.FindString(answer); code != "" {
		return code
	}
	return address.ReplaceAllString(answer, "…")
}

// maybeThere ends the answer of a delivery that was handed over once without an
// answer. It is handed over once more; after that a person must look.
const maybeThere = " (it may have arrived: it was handed over once without an answer)"

func unsure(d *canyu.Delivery, why string) {
	if strings.HasSuffix(d.Answer, maybeThere) {
		d.State, d.Answer = canyu.Failed, why+" (it may have arrived: it was handed over twice without an answer)"
		return
	}
	d.State, d.Answer = canyu.Retrying, why+maybeThere
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (w *work) conclude(tried bool) {
	r := &w.result
	slices.SortFunc(w.rows, func(a, b canyu.Delivery) int {
		return cmp.Or(cmp.Compare(a.School, b.School), strings.Compare(a.Recipient, b.Recipient))
	})
	r.Deliveries = w.rows
	r.Outcome = Delivered
	if !tried {
		r.Outcome = Nothing
	}
	for _, d := range w.rows {
		if !done(d) {
			r.Outcome = Unfinished
			return
		}
	}
	if rejected(&w.activity.Report, w.rows) {
		r.Outcome = Refused
	}
}

// recipients are those who are to get what d is.
func recipients(plan *canyu.ReportPlan, d canyu.Delivery) []string {
	if d.School != 0 {
		return plan.Schools[d.School]
	}
	return plan.Recipients[d.Region]
}

// rejected reports whether a mail of a revision was refused for good, and that is not
// mended yet: by taking the address out, or by sending to the one put in its place.
func rejected(plan *canyu.ReportPlan, ds []canyu.Delivery) bool {
	return slices.ContainsFunc(ds, func(d canyu.Delivery) bool {
		return d.State == canyu.Failed && !dropped(d) && slices.ContainsFunc(recipients(plan, d), func(address string) bool {
			return address == d.Recipient || !slices.ContainsFunc(ds, func(o canyu.Delivery) bool {
				return o.School == d.School && o.Recipient == address && !dropped(o)
			})
		})
	})
}

// dropped reports whether a delivery was given up because the plan no longer has it.
func dropped(d canyu.Delivery) bool { return d.State == canyu.Failed && d.Answer == noLonger }

const noLonger = "no longer a recipient"

// done reports whether nothing will be tried any more by itself.
func done(d canyu.Delivery) bool { return d.State == canyu.Sent || d.State == canyu.Failed }

// ready reports whether it is time to try a delivery again.
func ready(d canyu.Delivery, now time.Time) bool {
	return d.State != canyu.Retrying || !now.Before(d.At.Add(backoff(d.Attempts)))
}

// backoff doubles from a minute to an hour.
func backoff(attempts int) time.Duration {
	return min(time.Hour, time.Minute<<max(0, min(attempts-1, 6)))
}
