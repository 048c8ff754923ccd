package reports

import (
	"context"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// curveView is one day by minute: a bar for each minute's new students, the bursts
// at the lesson bells, and a line for all of them so far.
type curveView struct {
	Title   string
	Caption string
	Later   bool // still being counted
	Bars    template.HTMLAttr
	Line    template.HTMLAttr
	Width   int // minutes
	Hours   []curveHour
	Most    string // students in the busiest minute
	All     string
	Table   pageTable // the same by hour
}

type curveHour struct {
	X    string // percent
	Text string
	Left string // on which screens it is left out: odd, the narrow ones, or dense, all
}

const barHeight = 1000

// curve is today's, or of the day of the activity that is nearest to today.
func (r *visit) curve(where place, schools []*canyu.School) {
	a, s := r.activity, r.s
	where.day = max(a.FirstDay, min(a.LastDay, a.DayOf(r.now)))
	v := &curveView{Title: s.page("curve", s.shortDay(where.day))}
	if where.day == a.DayOf(r.now) {
		v.Title = s.page("curve.today")
	}
	r.Curve = v
	minutes, at, err := r.p.minutes.get(r, r.p, where, keepArchive, r.patience(), func(ctx context.Context) ([]canyu.Minute, error) {
		return r.p.Archive.Minutes(ctx, a.ID, codesOf(where, schools), where.day)
	})
	if err != nil && at.IsZero() {
		v.Later, v.Caption = true, s.page("later")
		return
	}
	v.draw(s, minutes, where.day, a.Zone)
	if v.Caption == "" {
		v.Caption = s.page("curve.none")
	}
	v.Caption += s.page("stop") + s.page("as.of", at.In(a.Zone).Format("15:04:05"))
}

func (v *curveView) draw(s speaker, minutes []canyu.Minute, day canyu.Day, zone *time.Location) {
	start := day.Start(zone)
	long := int(day.End(zone).Sub(start) / time.Minute)
	counts := make([]int, long)
	first, last := min(7*60, long-1), min(18*60, long-1)
	for _, m := range minutes {
		i := int(m.At.Sub(start) / time.Minute)
		if m.Role != canyu.Student || i < 0 || i >= long {
			continue
		}
		counts[i] += m.Participants
		first, last = min(first, i), max(last, i)
	}
	from, to := first/60*60, min(long, last/60*60+60)
	counts = counts[from:to]
	v.Width = len(counts)
	most, sum := 0, 0
	busiest := 0
	for i, n := range counts {
		if n > most {
			most, busiest = n, i
		}
		sum += n
	}
	var bars, line strings.Builder
	so := 0
	for i, n := range counts {
		if n == 0 {
			continue
		}
		fmt.Fprintf(&bars, "M%d %dv-%dh1v%dz", i, barHeight, max(8, n*barHeight/most), max(8, n*barHeight/most))
		fmt.Fprintf(&line, "L%d %d", i, barHeight-so*barHeight/sum)
		so += n
		fmt.Fprintf(&line, "L%d %d", i+1, barHeight-so*barHeight/sum)
	}
	if sum > 0 {
		v.Bars = template.HTMLAttr(`d="` + bars.String() + `"`)
		v.Line = template.HTMLAttr(fmt.Sprintf(`d="M0 %d%s"`, barHeight, line.String()))
		clock := start.Add(time.Duration(from+busiest) * time.Minute).In(zone).Format("15:04")
		v.Caption = s.page("curve.caption", number(sum), clock, number(most))
		v.Most, v.All = number(most), number(sum)
	}
	v.Table.Head = []string{s.page("hour"), s.say("chart.new")}
	for m := 0; m <= len(counts); m += 60 {
		hour := start.Add(time.Duration(from+m) * time.Minute).In(zone)
		text := hour.Format("15:04")
		if m == len(counts) && text == "00:00" {
			text = "24:00"
		}
		h := curveHour{X: fmt.Sprintf("%.2f%%", 100*float64(m)/float64(len(counts))), Text: strings.TrimPrefix(text, "0")}
		switch at, long := m/60, len(counts) > 13*60; {
		case long && at%2 != 0:
			h.Left = "dense"
		case long && at%4 != 0 || !long && at%3 != 0:
			h.Left = "odd"
		}
		v.Hours = append(v.Hours, h)
		if n := sumOf(counts[m:min(len(counts), m+60)]); n > 0 {
			v.Table.Rows = append(v.Table.Rows, []string{text, number(n)})
		}
	}
}

func sumOf(list []int) (sum int) {
	for _, n := range list {
		sum += n
	}
	return sum
}

// dayTable is what each day brought, with the total of the students so far.
func (r *visit) dayTable(where place, schools []*canyu.School) {
	a, s := r.activity, r.s
	days, at, err := r.p.days.get(r, r.p, where, keepArchive, r.patience(), func(ctx context.Context) ([]canyu.DaySum, error) {
		return r.p.Archive.Days(ctx, a.ID, codesOf(where, schools), a.FirstDay, a.LastDay)
	})
	if err != nil && at.IsZero() {
		return
	}
	today := a.DayOf(r.now)
	t := pageTable{Head: []string{s.say("day"), s.say("chart.new"), s.say("chart.total")}}
	for _, role := range a.Roles {
		if role != canyu.Student {
			t.Head = append(t.Head, s.role(role))
		}
	}
	t.Head = append(t.Head, s.say("submissions"))
	total, submissions := 0, 0
	for day := a.FirstDay; day <= min(today, a.LastDay); day++ {
		var of canyu.Tally
		sent := 0
		for _, d := range days {
			if d.Day == day {
				of[d.Role] += d.Participants
				sent += d.Submissions
			}
		}
		total += of[canyu.Student]
		submissions += sent
		row := []string{s.shortDay(day) + " " + s.weekday(day), number(of[canyu.Student]), number(total)}
		for _, role := range a.Roles {
			if role != canyu.Student {
				row = append(row, number(of[role]))
			}
		}
		t.Rows = append(t.Rows, append(row, number(sent)))
		if day == today {
			fact := pageFact{"today", s.page("fact.today"), number(of[canyu.Student]), s.page("fact.submissions", number(sent))}
			r.Total.Facts = slices.Insert(r.Total.Facts, 0, fact)
		}
	}
	slices.Reverse(t.Rows) // today is what is looked for
	r.Total.Submissions = s.page("submissions.so.far", number(submissions))
	r.Days = &t
}

func (s speaker) weekday(d canyu.Day) string {
	if s.tag() == "en" {
		return d.Weekday().String()[:3]
	}
	return s.page("week") + string([]rune("日一二三四五六")[d.Weekday()])
}
