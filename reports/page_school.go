package reports

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

type schoolView struct {
	Code    string
	Grades  []gradeRow
	Class   *classDetail // the one that was clicked
	Receipt *receiptForm
	sheets  []classDetail
}

// Sheets are what is printed, a class each.
func (v *schoolView) Sheets() []classDetail { return v.sheets }

// gradeRow is a row of the class board.
type gradeRow struct {
	Name     string
	Note     string // whether the grade must take part
	Required bool
	Tiles    []tile
}

// tile is one class, school or region of a board. Its rate is told by number, by
// how far its ring is closed, and by colour last.
type tile struct {
	Key       string // 3.2, or a code
	URL       string
	Full      string // the name by itself
	Name      string
	Count, Of int
	Ring      float64 // 0…100
	Rate      string
	Level     int
	Current   bool
}

func newTile(count, of, left int) tile {
	q := rate(count, of)
	t := tile{Count: count, Of: of, Rate: percent(q), Level: level(q, left)}
	if q != nil {
		t.Ring = bar(*q)
	}
	return t
}

// classDetail is the seats of a class: numbers, never names.
type classDetail struct {
	Key     string
	Name    string
	Count   int
	Of      int
	Known   bool
	Why     string // seats are not known
	Seats   []seat
	Open    string // the seats that have not taken part
	Left    int
	Latest  string
	Exports []pageLink
	Close   string
}

type seat struct {
	Number int
	Done   bool
}

type receiptForm struct {
	Action  string
	Classes []pageLink // their keys in Lang
	Value   string
	Answer  string
	Good    bool
}

// school is everything below /school/{code}.
func (r *visit) school(text, file string) error {
	roster, err := r.roster()
	if err != nil {
		return err
	}
	code, err := canyu.ParseSchoolCode(text)
	if err != nil {
		return errNoPage
	}
	want := canyu.Scope{Kind: canyu.SchoolScope, School: code}
	school := roster.School(code)
	if school != nil {
		want.Region = school.Region
	}
	if err := r.choose(func(activity string) canyu.Scope { want.Activity = activity; return want }); err != nil {
		return err
	}
	if school == nil {
		return errNoPage
	}
	if err := r.exports(file); err != nil {
		return err
	}
	if file == "held" {
		r.Heading = school.Name
		return r.held(want, []*canyu.School{school})
	}
	if file == "messages" {
		r.Heading = school.Name
		return r.review(want, []*canyu.School{school})
	}
	where := place{activity: r.activity.ID, school: code}
	c, err := r.census(where, []*canyu.School{school})
	if err != nil {
		return err
	}
	school = c.schools[0] // as the numbers know it: a roster may have come in between
	switch {
	case file == "":
		return r.drawSchool(where, school, c)
	case strings.HasPrefix(file, "classes."):
		return r.exportSchool(school, c, strings.TrimPrefix(file, "classes."))
	case strings.HasPrefix(file, "not-yet."):
		return r.exportNotYet(school, c, strings.TrimPrefix(file, "not-yet."))
	case file == "links" && r.p.ClassLinks != nil:
		page, err := r.p.ClassLinks(r, r.activity, school, r.Lang)
		if err != nil {
			return err
		}
		r.file("text/html; charset=utf-8", "", page)
		r.itself()
		return nil
	}
	return errNoPage
}

func (r *visit) drawSchool(where place, school *canyu.School, c *census) error {
	s := r.s
	r.Kind, r.Heading = "school", school.Name
	v := &schoolView{Code: school.Code.String()}
	r.School = v
	args := url.Values{"school": {school.Code.String()}}
	r.Live = "/v1/activities/" + r.activity.ID + "/live?" + args.Encode()
	var sum sums
	c.each(r.activity, func(_ *canyu.School, of *sums, _ []canyu.Tally) { sum = *of })
	r.total(c, &sum)
	schools := []*canyu.School{school}
	r.curve(where, schools)
	r.dayTable(where, schools)
	r.Crumbs = r.crumbs(school.Region)
	grade, class := r.askedClass(school)
	for i, k := range school.Classes {
		if n := len(v.Grades); n == 0 || v.Grades[n-1].Name != s.grade(k.Grade) {
			row := gradeRow{Name: s.grade(k.Grade), Required: r.activity.Required(k.Grade)}
			if row.Note = s.page("grade.free"); row.Required || len(r.activity.RequiredGrades) == 0 {
				row.Note = s.page("grade.required")
			}
			v.Grades = append(v.Grades, row)
		}
		t := newTile(c.tallies[i][canyu.Student], k.Enrolled, max(0, k.Enrolled-c.tallies[i][canyu.Student]))
		t.Key, t.Full, t.Name = classKey(k), s.class(k.Grade, k.Number), s.page("class.n", k.Number)
		t.Current = k.Grade == grade && k.Number == class
		t.URL = r.address("grade", strconv.Itoa(int(k.Grade)), "class", strconv.Itoa(int(k.Number))) + "#seats"
		row := &v.Grades[len(v.Grades)-1]
		row.Tiles = append(row.Tiles, t)
		if t.Current {
			if err := r.detail(v, where, school, k, t.Count); err != nil {
				return err
			}
		}
	}
	r.receipt(v, school)
	base := "/school/" + v.Code
	r.Exports = []pageLink{
		{URL: r.link(base + "/classes.xlsx"), Text: s.page("export.classes.xlsx")},
		{URL: r.link(base + "/classes.csv"), Text: s.page("export.classes.csv")},
	}
	if r.p.Seats != nil && r.activity.Identify == canyu.BySeat && !r.policy.NoNotYet {
		r.Exports = append(r.Exports,
			pageLink{URL: r.link(base + "/not-yet.xlsx"), Text: s.page("export.notyet.xlsx")},
			pageLink{URL: r.link(base + "/not-yet.html"), Text: s.page("export.notyet.print")})
	}
	if r.p.ClassLinks != nil {
		r.Exports = append(r.Exports, pageLink{URL: r.link(base + "/links"), Text: s.page("export.links")})
	}
	r.reviewLink(where, base, schools)
	r.heldLink(where, base, schools)
	r.write(fasthttp.StatusOK, r.part())
	return nil
}

// part is which piece of the page the script asks for, else all of it.
func (r *visit) part() string {
	switch part := r.arg("part"); part {
	case "archive", "seats", "rows":
		return part
	}
	return "page"
}

func classKey(k canyu.SchoolClass) string {
	return strconv.Itoa(int(k.Grade)) + "." + strconv.Itoa(int(k.Number))
}

// askedClass is the class in the address, if the school has it.
func (r *visit) askedClass(school *canyu.School) (grade uint8, class uint16) {
	g, err1 := strconv.ParseUint(r.arg("grade"), 10, 8)
	n, err2 := strconv.ParseUint(r.arg("class"), 10, 16)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	if _, ok := school.Enrolled(uint8(g), uint16(n)); !ok {
		return 0, 0
	}
	return uint8(g), uint16(n)
}

// crumbs are the regions above, where the visitor may see them.
func (r *visit) crumbs(region canyu.Region) []pageLink {
	cookie := func(name string) string { return string(r.ctx.Request.Header.Cookie(name)) }
	var up []canyu.Region
	for at := region; ; at = at.Parent() {
		up = append(up, at)
		if at%10000 == 0 {
			break
		}
	}
	if region != canyu.Nation {
		up = append(up, canyu.Nation)
	}
	var crumbs []pageLink
	for i := len(up) - 1; i >= 0; i-- {
		if r.p.Links.Check(cookie, regionScope(up[i], r.activity.ID), r.now) == nil {
			crumbs = append(crumbs, pageLink{URL: r.link("/bureau/" + up[i].String()), Text: r.s.region(up[i])})
		}
	}
	return crumbs
}

// seatsOf are the seats that took part; known is false where there are none.
func (r *visit) seatsOf(class canyu.Class, enrolled int) (seats []seat, open []int, known bool, err error) {
	if r.p.Seats == nil || r.activity.Identify != canyu.BySeat {
		return nil, nil, false, nil
	}
	done, err := r.p.Seats(r, r.activity, class, enrolled)
	if errors.Is(err, canyu.ErrPurged) {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	took := make(map[int]bool, len(done))
	for _, n := range done {
		took[n] = true
	}
	for n := 1; n <= enrolled; n++ {
		seats = append(seats, seat{n, took[n]})
		if !took[n] {
			open = append(open, n)
		}
	}
	return seats, open, true, nil
}

func (r *visit) detail(v *schoolView, where place, school *canyu.School, k canyu.SchoolClass, count int) error {
	s := r.s
	d := &classDetail{Key: classKey(k), Name: s.class(k.Grade, k.Number), Count: count, Of: k.Enrolled, Left: max(0, k.Enrolled-count),
		Close: r.address("grade", "", "class", "") + "#board"}
	v.Class = d
	var open []int
	var err error
	if !r.policy.NoNotYet {
		d.Seats, open, d.Known, err = r.seatsOf(school.Class(k), k.Enrolled)
	}
	switch {
	case r.policy.NoNotYet:
		d.Why = s.page("seats.policy")
	case err != nil:
		r.p.log().Error("cannot read the seats of a class", "activity", r.activity.ID, "error", err)
		d.Why = s.page("seats.away")
	case !d.Known:
		d.Why = s.page("seats.unknown")
	default:
		d.Count, d.Left, d.Open = len(d.Seats)-len(open), len(open), s.seats(open)
		grade, class := strconv.Itoa(int(k.Grade)), strconv.Itoa(int(k.Number))
		for _, kind := range []string{"xlsx", "csv", "html"} {
			d.Exports = append(d.Exports, pageLink{
				URL: r.link("/school/"+v.Code+"/not-yet."+kind, "grade", grade, "class", class), Text: s.page("notyet." + kind)})
		}
	}
	latest, _, err := r.p.latests.get(r, r.p, where, keepArchive, r.patience(), func(ctx context.Context) ([]canyu.Latest, error) {
		return r.p.Archive.Latest(ctx, where.activity, where.school)
	})
	if err != nil {
		return nil // the page can do without
	}
	for _, l := range latest {
		if l.Class == school.Class(k) && l.Role == canyu.Student {
			at := l.At.In(r.activity.Zone)
			d.Latest = s.page("seats.latest", s.shortDay(r.activity.DayOf(at)), at.Format("15:04"))
		}
	}
	return nil
}

// receipt is the form, and the answer to it.
func (r *visit) receipt(v *schoolView, school *canyu.School) {
	if r.p.Receipt == nil || r.activity.Identify != canyu.BySeat {
		return
	}
	f := &receiptForm{Action: r.address() + "#receipt"}
	v.Receipt = f
	args := r.ctx.PostArgs()
	asked := string(args.Peek("of"))
	if asked == "" {
		if g, n := r.askedClass(school); g != 0 {
			asked = classKey(canyu.SchoolClass{Grade: g, Number: n})
		}
	}
	var class canyu.Class
	for _, k := range school.Classes {
		key := classKey(k)
		f.Classes = append(f.Classes, pageLink{Lang: key, Text: r.s.class(k.Grade, k.Number), Current: key == asked})
		if key == asked {
			class = school.Class(k)
		}
	}
	if !r.ctx.IsPost() {
		return
	}
	f.Value = strings.ToValidUTF8(string(args.Peek("receipt")), "")
	if class.School == 0 || strings.TrimSpace(f.Value) == "" || len(f.Value) > 64 {
		f.Answer = r.Say("receipt.incomplete")
		return
	}
	enrolled, _ := school.Enrolled(class.Grade, class.Number)
	name := r.s.class(class.Grade, class.Number)
	whose, err := r.p.Receipt(r, r.activity, class, enrolled, f.Value)
	if err != nil {
		r.p.log().Warn("cannot tell whose receipt it is", "activity", r.activity.ID, "error", err)
	}
	if whose == 0 {
		f.Answer = r.Say("receipt.none", name)
		return
	}
	f.Good, f.Answer = true, r.Say("receipt.seat", name, whose)
	seats, _, known, err := r.seatsOf(class, enrolled)
	if err != nil || known && !seats[whose-1].Done {
		f.Good, f.Answer = err == nil, r.Say("receipt.waiting", name, whose)
	}
}
