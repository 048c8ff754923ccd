package reports

import (
	"context"
	"slices"
	"strconv"

	"github.com/canyu/canyu"
)

// dispatch is a report that was frozen, and what became of it.
type dispatch struct {
	Day        string
	Revision   int
	AsOf       string
	Forms      []pageLink
	Deliveries []deliveryRow
	frozen     canyu.Frozen // without its body
	signed     bool
	sent       []canyu.Delivery
}

type deliveryRow struct {
	To, State, Text, Answer, At string
}

// reportForms are the forms that a frozen report can be had in.
var reportForms = []string{"html", "xlsx", "csv", "txt", "json", "json.sig"}

// reports lists what was frozen for the region, the newest first.
func (r *visit) reports(v *bureauView, region canyu.Region) {
	if r.Wall || region == canyu.Nation {
		v.NoReport = region == canyu.Nation
		return
	}
	a := r.activity
	list, at, err := r.p.dispatches.get(r, r.p, place{activity: a.ID, region: region}, keepReports, r.patience(),
		func(ctx context.Context) ([]dispatch, error) { return r.p.readDispatches(ctx, a, region) })
	if err != nil && at.IsZero() {
		v.Later = true
		return
	}
	for _, d := range list { // each visitor has a language of his own
		d.Day, d.Revision, d.AsOf = r.s.date(d.frozen.Day), d.frozen.Revision, r.s.moment(d.frozen.AsOf.In(a.Zone))
		for _, form := range reportForms {
			if form == "json.sig" && !d.signed {
				continue
			}
			d.Forms = append(d.Forms, pageLink{Text: r.Say("form." + form), URL: r.link("/bureau/"+region.String()+"/report."+form,
				"activity", a.ID, "day", d.frozen.Day.String(), "revision", strconv.Itoa(d.frozen.Revision))})
		}
		for _, s := range d.sent {
			d.Deliveries = append(d.Deliveries, deliveryRow{To: s.Recipient, State: string(s.State), Text: r.Say("delivery." + string(s.State)),
				Answer: s.Answer, At: s.At.In(a.Zone).Format("01-02 15:04")})
		}
		if d.signed && len(r.p.Signer.Keys()) > 0 {
			v.Key = "/pages/" + reportKeyFile
		}
		v.Reports = append(v.Reports, d)
	}
	v.NoReport = len(v.Reports) == 0
}

func (p *Pages) readDispatches(ctx context.Context, a *canyu.Activity, region canyu.Region) ([]dispatch, error) {
	frozen, err := p.Archive.Frozen(ctx, a.ID, region)
	if err != nil {
		return nil, err
	}
	deliveries, err := p.Archive.Deliveries(ctx, a.ID, region)
	if err != nil {
		return nil, err
	}
	signatures, err := p.Archive.Signatures(ctx, a.ID, region)
	if err != nil {
		return nil, err
	}
	var list []dispatch
	for _, f := range slices.Backward(frozen) {
		d := dispatch{frozen: f, signed: signatureOf(signatures, &f) != ""}
		d.frozen.Body = nil // a province's weigh megabytes
		for _, s := range deliveries {
			if s.School == 0 && s.Day == f.Day && s.Revision == f.Revision {
				d.sent = append(d.sent, s)
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// quality are the notes on the numbers that are on the page: those that the numbers
// tell themselves, and those on submissions that somebody may want to look into.
func (r *visit) quality(where place, c *census, sum *sums) []string {
	var notes []string
	for _, n := range []Note{{SilentSchools, sum.Silent}, {BelowTarget, sum.Short}, {OverEnrolled, sum.Over}, {AboveEnrolment, sum.above}} {
		if n.Count > 0 {
			notes = append(notes, r.s.say(string(n.Kind), n.Count))
		}
	}
	a := r.activity
	where.day = min(a.DayOf(r.now), a.LastDay)
	q, _, err := r.p.qualities.get(r, r.p, where, keepReports, r.patience(), func(ctx context.Context) (*Quality, error) {
		codes := codesOf(where, c.schools)
		odd, err := r.p.Archive.OddHours(ctx, a.ID, codes, usualHours(a, where.day))
		if err != nil {
			return nil, err
		}
		refusals, err := r.p.Archive.Refusals(ctx, a.ID, codes, where.day)
		if err != nil {
			return nil, err
		}
		return quality(&Report{Day: where.day}, odd, refusals, nil), nil // what is held has a line of its own
	})
	if err != nil {
		return notes // the numbers can be read without
	}
	return append(notes, q.say(r.s)...)
}

// alarmTexts are the alarms of a region and those of everybody: a report that is
// overdue, or a calendar that is missing.
func (r *visit) alarmTexts(region canyu.Region) []string {
	var texts []string
	if r.p.Calendar != nil {
		if err := r.p.Calendar.Refresh(); err != nil {
			r.p.log().Warn("the pages keep the calendar that they have", "error", err)
		}
		if year := blindYear(r.activity, r.p.Calendar, r.activity.DayOf(r.now)); year != 0 {
			texts = append(texts, r.Say("alarm.calendar", year))
		}
	}
	if r.p.Alarms == nil {
		return texts
	}
	lines, _, err := r.p.alarms.get(r, r.p, struct{}{}, keepReports, r.patience(), func(ctx context.Context) ([]Line, error) {
		return r.p.Alarms(ctx, r.p.now())
	})
	if err != nil {
		return texts
	}
	for _, l := range lines {
		if l.Standing == Blind || l.Activity != r.activity.ID || region != canyu.Nation && !region.Contains(l.Region) {
			continue
		}
		if l.Standing == Unplaced {
			texts = append(texts, r.Say("alarm.unplaced", l.School))
			continue
		}
		texts = append(texts, r.Say("alarm."+string(l.Standing), r.s.region(l.Region), r.s.shortDay(l.Day)))
	}
	return texts
}
