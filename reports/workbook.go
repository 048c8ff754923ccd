package reports

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/canyu/canyu"
	"github.com/xuri/excelize/v2"
)

// Workbook writes the report as an Excel workbook for the bureau's files: sheets
// for the summary, the schools, the classes, the days and the day's messages.
// Numbers are numbers, what people wrote is text whatever it begins with, and the
// same report gives the same bytes.
func (r *Report) Workbook(w io.Writer, lang string) error {
	f := excelize.NewFile().SetZipWriter(newOrderedZip)
	defer f.Close()
	b := &workbook{File: f, r: r, s: r.speaker(lang)}
	steps := []func() error{b.begin, b.summary, b.schools, b.classes, b.days, b.messages}
	if r.school { // its classes are all there is, and a report has no days of one school
		steps = []func() error{b.begin, b.summary, b.classes, b.messages}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("cannot make the workbook: %w", err)
		}
	}
	return f.Write(w)
}

type workbook struct {
	*excelize.File
	r                                *Report
	s                                speaker
	head, text, count, percent, date int // styles
}

func (b *workbook) begin() error {
	stamp := b.r.AsOf.UTC().Format(time.RFC3339)
	if err := b.SetDocProps(&excelize.DocProperties{
		Creator: "canyu", LastModifiedBy: "canyu", Created: stamp, Modified: stamp,
		Title: b.r.Subject(b.s.tag()), Language: b.s.tag(),
	}); err != nil {
		return err
	}
	if err := b.styles(); err != nil {
		return err
	}
	if err := b.SetSheetName("Sheet1", b.s.say("summary")); err != nil {
		return err
	}
	sheets := []string{"schools", "classes", "days", "messages"}
	if b.r.school {
		sheets = []string{"classes", "messages"}
	}
	for _, sheet := range sheets {
		if _, err := b.NewSheet(b.s.say(sheet)); err != nil {
			return err
		}
	}
	return b.layout()
}

func (b *workbook) styles() error {
	thousands, cut := "#,##0", "0.00%"
	for _, style := range []struct {
		id *int
		as excelize.Style
	}{
		{&b.head, excelize.Style{Font: &excelize.Font{Bold: true}, NumFmt: 49,
			Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E5E7EB"}},
			Alignment: &excelize.Alignment{Horizontal: "center", Vertical: "center", WrapText: true}}},
		{&b.text, excelize.Style{NumFmt: 49}}, // @: stays text also when it is edited
		{&b.count, excelize.Style{CustomNumFmt: &thousands}},
		{&b.percent, excelize.Style{CustomNumFmt: &cut}},
		{&b.date, excelize.Style{NumFmt: 14, CustomNumFmt: new("yyyy-mm-dd")}},
	} {
		id, err := b.NewStyle(&style.as)
		if err != nil {
			return err
		}
		*style.id = id
	}
	return nil
}

// layout is how the sheets are printed: on A4, each as long as it takes.
func (b *workbook) layout() error {
	for _, sheet := range b.GetSheetList() {
		if err := b.SetSheetProps(sheet, &excelize.SheetPropsOptions{FitToPage: new(true)}); err != nil {
			return err
		}
		if err := b.SetPageLayout(sheet, &excelize.PageLayoutOptions{
			Size: new(9), Orientation: new("landscape"), FitToWidth: new(1), FitToHeight: new(0),
		}); err != nil {
			return err
		}
	}
	return nil
}

// cell gives a value the style that goes with its type.
func (b *workbook) cell(v any) excelize.Cell {
	switch v := v.(type) {
	case string:
		return excelize.Cell{StyleID: b.text, Value: v}
	case int:
		return excelize.Cell{StyleID: b.count, Value: v}
	case *float64:
		if v == nil {
			return excelize.Cell{StyleID: b.percent}
		}
		return excelize.Cell{StyleID: b.percent, Value: cut(*v)}
	case canyu.Day:
		y, m, d := v.Date()
		return excelize.Cell{StyleID: b.date, Value: time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
	}
	return excelize.Cell{Value: v}
}

// summary is written cell by cell: its rows differ in shape.
func (b *workbook) summary() error {
	r, s, sheet := b.r, b.s, b.s.say("summary")
	working := s.say("unknown")
	if r.WorkingDay != nil {
		working = s.say(map[bool]string{true: "yes", false: "no"}[*r.WorkingDay])
	}
	t := &r.Total
	name, code := r.place()
	about := "region"
	if r.school {
		about = "school"
	}
	rows := [][]any{
		{s.say("activity"), r.activity.Title.In(s.tag()) + " (" + r.Activity + ")"},
		{s.say(about), name + " " + code},
		{s.say("day"), r.Day, s.say("working"), working},
		{s.say("as_of", s.moment(r.AsOf)), s.say("zone", s.zone(r.AsOf)), s.say("revision", r.Revision)},
		{},
		{s.say("required.enrolled"), t.Required.Enrolled},
		{s.say("required.count"), t.Required.Count},
		{s.say("required.rate"), t.Required.Rate},
		{s.say("enrolled"), t.Enrolled},
		{s.say("rate.all"), t.Rate},
		{},
		{s.say("role"), s.say("today"), s.say("since"), s.say("total")},
	}
	heads := map[int]bool{len(rows): true}
	for _, role := range r.activity.Roles {
		c := t.role(role)
		rows = append(rows, []any{s.role(role), c.Today, c.Since, c.Total})
	}
	rows = append(rows, []any{s.say("submissions"), t.Submissions.Today, nil, t.Submissions.Total}, nil)
	if len(r.Regions) > 0 {
		rows = append(rows, anys(append([]string{s.say("region"), s.say("code")}, b.heads()...)))
		heads[len(rows)] = true
		for i := range r.Regions {
			p := &r.Regions[i]
			rows = append(rows, append([]any{p.Region.Name(), p.Region.String()}, b.numbers(&p.Numbers)...))
		}
		rows = append(rows, nil)
	}
	if r.Quality != nil {
		rows = append(rows, []any{s.say("notes"), s.say("today"), s.say("total")})
		heads[len(rows)] = true
		rows = append(append(rows, r.Quality.rows(s)...), nil)
	}
	v := newView(r, s)
	for _, note := range append(append([]string{v.Sample, v.Late, v.Correct}, v.Changes...), v.Notes...) {
		if note != "" {
			rows = append(rows, []any{note})
		}
	}
	for i, row := range rows {
		for j, value := range row {
			if err := b.set(sheet, j+1, i+1, value, heads[i+1]); err != nil {
				return err
			}
		}
	}
	return b.SetColWidth(sheet, "A", "D", 26)
}

func (b *workbook) set(sheet string, column, row int, value any, head bool) error {
	at, err := excelize.CoordinatesToCellName(column, row)
	if err != nil || value == nil {
		return err
	}
	c := b.cell(value)
	if head {
		c.StyleID = b.head
	}
	if text, ok := c.Value.(string); ok {
		err = b.SetCellStr(sheet, at, text)
	} else {
		err = b.SetCellValue(sheet, at, c.Value)
	}
	if err != nil {
		return err
	}
	return b.SetCellStyle(sheet, at, at, c.StyleID)
}

// heads and numbers are the columns that schools and parts of a region share.
func (b *workbook) heads() []string {
	s := b.s
	hs := []string{s.say("enrolled"), s.say("required.enrolled"), s.say("required.count"), s.say("required.rate"), s.say("rate.all")}
	for _, role := range b.r.activity.Roles {
		for _, what := range []string{"today", "since", "total"} {
			hs = append(hs, s.role(role)+" "+s.say(what))
		}
	}
	return append(hs, s.say("submissions.today"), s.say("submissions.total"))
}

func (b *workbook) numbers(n *Numbers) []any {
	row := []any{n.Enrolled, n.Required.Enrolled, n.Required.Count, n.Required.Rate, n.Rate}
	for _, role := range b.r.activity.Roles {
		c := n.role(role)
		row = append(row, c.Today, c.Since, c.Total)
	}
	return append(row, n.Submissions.Today, n.Submissions.Total)
}

func (b *workbook) schools() error {
	heads := append([]string{b.s.say("region"), b.s.say("code"), b.s.say("school")}, b.heads()...)
	heads = append(heads, b.s.say("odd_hours.heads"), b.s.say("refused.heads"))
	odd, refused := b.r.Quality.bySchool()
	widths := []float64{14, 13, 30}
	return b.stream("schools", heads, widths, func(row func(...any) error) error {
		for _, s := range b.r.listed() {
			lead := []any{b.region(s).Name(), s.School.String(), s.Name}
			if err := row(append(append(lead, b.numbers(&s.Numbers)...), odd[s.School], refused[s.School])...); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *workbook) region(s *School) canyu.Region {
	if s.Region != 0 {
		return s.Region
	}
	return b.r.Region
}

func (b *workbook) classes() error {
	s := b.s
	heads := []string{s.say("region"), s.say("code"), s.say("school"), s.say("grade"), s.say("class"), s.say("enrolled"), s.say("total"), s.say("rate")}
	return b.stream("classes", heads, []float64{14, 13, 30}, func(row func(...any) error) error {
		for i := range b.r.Schools {
			school := &b.r.Schools[i]
			for _, c := range school.Classes {
				if err := row(b.region(school).Name(), school.School.String(), school.Name,
					int(c.Grade), int(c.Class), c.Enrolled, c.Student, rate(c.Student, c.Enrolled)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (b *workbook) messages() error {
	names := make(map[canyu.SchoolCode]string, len(b.r.Schools))
	for i := range b.r.Schools {
		names[b.r.Schools[i].School] = b.r.Schools[i].Name
	}
	s := b.s
	heads := []string{s.say("time"), s.say("code"), s.say("school"), s.say("grade"), s.say("class"), s.say("role"), s.say("message")}
	screened := b.r.activity.Wall != nil
	if screened {
		heads = append(heads, s.page("held"))
	}
	return b.stream("messages", heads, []float64{10, 13, 30, 10, 10, 10, 80, 30}, func(row func(...any) error) error {
		for _, m := range b.r.messages {
			cells := []any{m.At.In(b.r.activity.Zone).Format("15:04:05"), m.Class.School.String(), names[m.Class.School],
				int(m.Class.Grade), int(m.Class.Number), s.role(m.Role), strings.ToValidUTF8(m.Text, "�")}
			if screened {
				cells = append(cells, s.held(b.r.activity.Wall.Reason(m.Text)))
			}
			if err := row(cells...); err != nil {
				return err
			}
		}
		return nil
	})
}

// stream writes a sheet with a frozen heading and a filter, row by row.
func (b *workbook) stream(sheet string, heads []string, widths []float64, rows func(row func(...any) error) error) error {
	return b.streamTo(b.s.say(sheet), sheet, heads, widths, rows)
}

// streamTo is stream for a sheet of any name; table is the name of its table.
func (b *workbook) streamTo(sheet, table string, heads []string, widths []float64, rows func(row func(...any) error) error) error {
	out, err := b.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	for i := range heads {
		width := max(13, 2.2*float64(utf8.RuneCountInString(heads[i]))+2) // with room for the filter's arrow
		if i < len(widths) {
			width = widths[i]
		}
		if err := out.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	n := 0
	write := func(style int, values ...any) error {
		n++
		cells := make([]any, len(values))
		for i, v := range values {
			c := b.cell(v)
			if style != 0 {
				c.StyleID = style
			}
			cells[i] = c
		}
		at, err := excelize.CoordinatesToCellName(1, n)
		if err != nil {
			return err
		}
		return out.SetRow(at, cells)
	}
	if err := write(b.head, anys(heads)...); err != nil {
		return err
	}
	if err := rows(func(values ...any) error { return write(0, values...) }); err != nil {
		return err
	}
	if n > 1 { // a table without rows is a damaged file to Excel
		corner, err := excelize.CoordinatesToCellName(len(heads), n)
		if err != nil {
			return err
		}
		if err := out.AddTable(&excelize.Table{Range: "A1:" + corner, Name: table, StyleName: "TableStyleLight1"}); err != nil {
			return err
		}
	}
	return out.Flush()
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
