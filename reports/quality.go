package reports

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// Submissions before 06:00 and from 22:00 on are pointed out: no school has begun
// by then, and evening study of boarding seniors is over. A family may still be up;
// a class is not, and a script may be.
const oddFrom, oddTo = 22, 6

// Quality is about submissions that somebody may want to look into.
type Quality struct {
	OddHours *OddHours   `json:"odd_hours,omitempty"`
	Refused  []RefusedBy `json:"refused,omitempty"` // the most frequent reason first
	Held     *HeldApart  `json:"held,omitempty"`
}

// OddHours are accepted submissions at hours at which a school is not at work.
type OddHours struct {
	From string `json:"from"` // 22:00
	To   string `json:"to"`   // 06:00, of the activity's zone
	Submissions
	Schools []SchoolSubmissions `json:"schools"` // by code; those with any
}

// RefusedBy are submissions that were not accepted, for one reason.
type RefusedBy struct {
	Reason string `json:"reason"` // closed, not_open, or the first field that was wrong: seat, class…
	Submissions
	// Schools by code; what named no school of the roster is in the sum alone, and
	// only in the report of a region that has all of the roster.
	Schools []SchoolSubmissions `json:"schools"`
}

// SchoolSubmissions are a school's part.
type SchoolSubmissions struct {
	School canyu.SchoolCode `json:"school"`
	Submissions
}

// addQuality reads what the archive knows of submissions to look into.
func (b *builder) addQuality(ctx context.Context, r *Report) error {
	schools := b.schoolCodes()
	odd, err := b.archive.OddHours(ctx, b.activity.ID, schools, usualHours(b.activity, b.day))
	if err != nil {
		return err
	}
	refusals, err := b.archive.Refusals(ctx, b.activity.ID, schools, b.day)
	if err != nil {
		return err
	}
	held, err := canyu.HeldGroups(ctx, b.archive, b.activity.ID, schools)
	if err != nil {
		return err
	}
	r.Quality = quality(r, odd, refusals, held)
	return nil
}

func quality(r *Report, odd []canyu.OddHours, refusals []canyu.Refusal, held []canyu.HeldGroup) *Quality {
	q := Quality{Held: heldApart(r, held)}
	sums := make(map[string]*tally)
	add := func(reason string, school canyu.SchoolCode, day canyu.Day, n int) {
		t := sums[reason]
		if t == nil {
			t = &tally{schools: make(map[canyu.SchoolCode]*Submissions)}
			sums[reason] = t
		}
		t.add(school, n, day == r.Day)
	}
	for _, o := range odd {
		add("", o.School, o.Day, o.Submissions)
	}
	if t := sums[""]; t != nil {
		clock := func(hour int) string { return time.Time{}.Add(time.Duration(hour) * time.Hour).Format("15:04") }
		q.OddHours = &OddHours{From: clock(oddFrom), To: clock(oddTo), Submissions: t.Submissions, Schools: t.list(r)}
		delete(sums, "")
	}
	for _, f := range refusals {
		add(f.Reason, f.School, f.Day, f.Count)
	}
	for _, reason := range slices.Sorted(maps.Keys(sums)) {
		q.Refused = append(q.Refused, RefusedBy{Reason: reason, Submissions: sums[reason].Submissions, Schools: sums[reason].list(r)})
	}
	slices.SortStableFunc(q.Refused, func(a, b RefusedBy) int { return cmp.Compare(b.Total, a.Total) })
	return q.orNil()
}

func (q Quality) orNil() *Quality {
	if q.OddHours == nil && q.Refused == nil && q.Held == nil {
		return nil
	}
	return &q
}

// tally sums over a region and over each of its schools.
type tally struct {
	Submissions
	schools map[canyu.SchoolCode]*Submissions
}

func (t *tally) add(school canyu.SchoolCode, n int, today bool) {
	of := t.schools[school]
	if of == nil {
		of = new(Submissions)
		t.schools[school] = of
	}
	for _, s := range []*Submissions{&t.Submissions, of} {
		s.Total += n
		if today {
			s.Today += n
		}
	}
}

func (t *tally) list(r *Report) []SchoolSubmissions {
	list := []SchoolSubmissions{}
	for i := range r.Schools {
		if of := t.schools[r.Schools[i].School]; of != nil {
			list = append(list, SchoolSubmissions{r.Schools[i].School, *of})
		}
	}
	return list
}

// of is a school's own part.
func (q *Quality) of(code canyu.SchoolCode) *Quality {
	if q == nil {
		return nil
	}
	var own Quality
	part := func(schools []SchoolSubmissions) []SchoolSubmissions {
		i := slices.IndexFunc(schools, func(s SchoolSubmissions) bool { return s.School == code })
		if i < 0 {
			return nil
		}
		return schools[i : i+1]
	}
	if o := q.OddHours; o != nil {
		if p := part(o.Schools); p != nil {
			own.OddHours = &OddHours{From: o.From, To: o.To, Submissions: p[0].Submissions, Schools: p}
		}
	}
	if h := q.Held; h != nil {
		if p := part(h.Schools); p != nil {
			own.Held = &HeldApart{Submissions: p[0].Submissions, Schools: p}
		}
	}
	for _, f := range q.Refused {
		if p := part(f.Schools); p != nil {
			own.Refused = append(own.Refused, RefusedBy{Reason: f.Reason, Submissions: p[0].Submissions, Schools: p})
		}
	}
	slices.SortStableFunc(own.Refused, func(a, b RefusedBy) int { return cmp.Compare(b.Total, a.Total) })
	return own.orNil()
}

// bySchool are the odd and the refused submissions of each school to date.
func (q *Quality) bySchool() (odd, refused map[canyu.SchoolCode]int) {
	odd, refused = make(map[canyu.SchoolCode]int), make(map[canyu.SchoolCode]int)
	if q == nil {
		return odd, refused
	}
	if q.OddHours != nil {
		for _, s := range q.OddHours.Schools {
			odd[s.School] = s.Total
		}
	}
	for _, f := range q.Refused {
		for _, s := range f.Schools {
			refused[s.School] += s.Total
		}
	}
	return odd, refused
}

// say puts it into sentences.
func (q *Quality) say(s speaker) (sentences []string) {
	if q == nil {
		return nil
	}
	if h := q.Held; h != nil {
		sentences = append(sentences, s.say("held_apart", number(h.Total), number(h.Today)))
	}
	if o := q.OddHours; o != nil {
		sentences = append(sentences, s.say("odd_hours", number(o.Total), o.From, o.To, number(o.Today)))
	}
	if len(q.Refused) > 0 {
		var sum Submissions
		reasons := ""
		for i, f := range q.Refused {
			sum.Today, sum.Total = sum.Today+f.Today, sum.Total+f.Total
			if i > 0 {
				reasons += s.say("refused.and")
			}
			reasons += s.say("count.is", s.reason(f.Reason), number(f.Total))
		}
		sentences = append(sentences, s.say("refused", number(sum.Total), number(sum.Today), reasons))
	}
	return sentences
}

// rows are the same for the workbook: what it is, today and to date.
func (q *Quality) rows(s speaker) (rows [][]any) {
	if h := q.Held; h != nil {
		rows = append(rows, []any{s.say("held_apart.heads"), h.Today, h.Total})
	}
	if o := q.OddHours; o != nil {
		rows = append(rows, []any{s.say("odd_hours.heads") + " " + o.From + "–" + o.To, o.Today, o.Total})
	}
	for _, f := range q.Refused {
		rows = append(rows, []any{s.say("count.is", s.say("refused.heads"), s.reason(f.Reason)), f.Today, f.Total})
	}
	return rows
}

// reason is a reason in words, or the code of one that this program does not know.
func (s speaker) reason(code string) string {
	if key := "refused." + code; dictionary[key] != nil {
		return s.say(key)
	}
	return code
}

// usualHours of an activity up to a day. Days that lie alike in UTC are told together:
// all of them, unless clocks are changed meanwhile.
func usualHours(a *canyu.Activity, to canyu.Day) []canyu.Hours {
	var hours []canyu.Hours
	for d := a.FirstDay; d <= min(to, a.LastDay); d++ {
		y, m, day := d.Date()
		midnight := time.Date(y, m, day, 0, 0, 0, 0, time.UTC)
		opens := time.Date(y, m, day, oddTo, 0, 0, 0, a.Zone).Sub(midnight)
		closes := time.Date(y, m, day, oddFrom, 0, 0, 0, a.Zone).Sub(midnight)
		if n := len(hours); n > 0 && hours[n-1].Opens == opens && hours[n-1].Closes == closes {
			hours[n-1].Last = d
			continue
		}
		hours = append(hours, canyu.Hours{First: d, Last: d, Opens: opens, Closes: closes})
	}
	return hours
}
