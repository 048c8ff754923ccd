package reports

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/canyu/canyu"
)

// Sample mails today's numbers to one address, frozen and recorded nowhere: to see
// whether mails arrive and how they look there.
func (s *Sender) Sample(ctx context.Context, a *canyu.Activity, region canyu.Region, to string) (answer string, err error) {
	now := s.now()
	fail := func(err error) (string, error) { return "", fmt.Errorf("cannot send a sample: %w", err) }
	if !strings.Contains(to, "@") {
		return fail(errors.New("to: want an e-mail address"))
	}
	roster, err := s.Archive.Roster(ctx)
	if err != nil {
		return fail(err)
	}
	b := builder{archive: s.Archive, activity: a, calendar: s.Calendar, roster: roster, region: region, day: a.DayOf(now), now: now}
	report, err := b.report(ctx)
	if err != nil {
		return fail(err)
	}
	report.sample = true
	l, err := newLetter(report, s.Language)
	if err != nil {
		return fail(err)
	}
	d := canyu.Delivery{Activity: a.ID, Region: region, Day: report.Day, Recipient: fmt.Sprintf("%s at %d", to, now.UnixNano())}
	m := l.to(d, s.Mailer.Domain(), now)
	m.To = to
	if err := s.Mailer.Wait(ctx); err != nil {
		return fail(err)
	}
	if answer, err = s.Mailer.Mail(ctx, m); err != nil {
		return fail(err)
	}
	return answer, nil
}
