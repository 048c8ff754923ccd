package reports

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/xuri/excelize/v2"

	"github.com/canyu/canyu"
)

// takeaway is a table of a page as a file: the numbers are numbers, what people
// named is text whatever it begins with.
type takeaway struct {
	name  string // of the sheet, and of the file
	heads []string
	rows  [][]any
}

// workbookOf puts tables into one workbook, a sheet each.
func workbookOf(s speaker, tables ...takeaway) ([]byte, error) {
	f := excelize.NewFile().SetZipWriter(newOrderedZip)
	defer f.Close()
	b := &workbook{File: f, s: s}
	if err := b.styles(); err != nil {
		return nil, fmt.Errorf("cannot make the workbook: %w", err)
	}
	for i, t := range tables {
		var err error
		if i == 0 {
			err = f.SetSheetName("Sheet1", t.name)
		} else {
			_, err = f.NewSheet(t.name)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot make the workbook: %w", err)
		}
	}
	if err := b.layout(); err != nil { // before the rows: a sheet that is streamed is done
		return nil, fmt.Errorf("cannot make the workbook: %w", err)
	}
	for i, t := range tables {
		err := b.streamTo(t.name, "table"+strconv.Itoa(i+1), t.heads, t.widths(), func(row func(...any) error) error {
			for _, r := range t.rows {
				if err := row(r...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot make the workbook: %w", err)
		}
	}
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		return nil, fmt.Errorf("cannot make the workbook: %w", err)
	}
	return out.Bytes(), nil
}

// widths leave room for the longest text of each column.
func (t *takeaway) widths() []float64 {
	wide := func(text string) (w float64) {
		for _, c := range text {
			if w++; c > 0x2e7f {
				w++
			}
		}
		return w
	}
	widths := make([]float64, len(t.heads))
	for i, h := range t.heads {
		widths[i] = wide(h) + 5 // with the filter's arrow
		for _, r := range t.rows {
			if text, ok := r[i].(string); ok {
				widths[i] = min(60, max(widths[i], wide(text)+2))
			}
		}
	}
	return widths
}

// csvOf is a table for programs that read nothing else, with the mark by which
// Excel sees that it is UTF-8.
func csvOf(t takeaway) ([]byte, error) {
	b := bytes.NewBufferString("\ufeff")
	out := csv.NewWriter(b)
	out.UseCRLF = true
	line := make([]string, len(t.heads))
	if err := out.Write(t.heads); err != nil {
		return nil, err
	}
	for _, r := range t.rows {
		for i, v := range r {
			switch v := v.(type) {
			case *float64:
				if line[i] = ""; v != nil {
					line[i] = decimal(*v)
				}
			case string:
				line[i] = harmless(v)
			default:
				line[i] = fmt.Sprint(v)
			}
		}
		if err := out.Write(line); err != nil {
			return nil, err
		}
	}
	out.Flush()
	return b.Bytes(), out.Error()
}

// file answers with something to keep; name "" is shown instead.
func (r *visit) file(kind, name string, content []byte) {
	r.headers()
	if name != "" {
		r.ctx.Response.Header.Set("Content-Disposition", "attachment; filename*=UTF-8''"+strings.ReplaceAll(template.URLQueryEscaper(fileSafe.Replace(name)), "+", "%20"))
	}
	r.ctx.SetContentType(kind)
	r.ctx.SetStatusCode(fasthttp.StatusOK)
	r.ctx.SetBody(content)
}

const (
	csvKind  = "text/csv; charset=utf-8"
	xlsxKind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// take answers with tables as the form that the address asks for.
func (r *visit) take(form, name string, tables ...takeaway) error {
	var content []byte
	var err error
	kind := csvKind
	switch form {
	case "csv":
		content, err = csvOf(tables[0])
	case "xlsx":
		kind = xlsxKind
		content, err = workbookOf(r.s, tables...)
	default:
		return errNoPage
	}
	if err != nil {
		return err
	}
	r.file(kind, name+"."+form, content)
	return nil
}

// stamp is when the numbers of a file were true, for its name.
func (r *visit) stamp(c *census) string { return c.at.Format("2006-01-02_1504") }

// exportSchool is the class board as a table.
func (r *visit) exportSchool(school *canyu.School, c *census, form string) error {
	s, a := r.s, r.activity
	t := takeaway{name: s.say("classes"), heads: []string{s.say("code"), s.say("school"), s.say("grade"), s.say("class"), s.say("enrolled"), s.role(canyu.Student), s.say("rate")}}
	for _, role := range a.Roles {
		if role != canyu.Student {
			t.heads = append(t.heads, s.role(role))
		}
	}
	for i, k := range school.Classes {
		n := c.tallies[i][canyu.Student]
		row := []any{school.Code.String(), school.Name, int(k.Grade), int(k.Number), k.Enrolled, n, rate(n, k.Enrolled)}
		for _, role := range a.Roles {
			if role != canyu.Student {
				row = append(row, c.tallies[i][role])
			}
		}
		t.rows = append(t.rows, row)
	}
	return r.take(form, school.Name+"_"+t.name+"_"+r.stamp(c), t)
}

// exportNotYet lists who has not taken part: seats of the class that the address
// names, or of every class.
func (r *visit) exportNotYet(school *canyu.School, c *census, form string) error {
	s := r.s
	if r.policy.NoNotYet {
		return errNoPage
	}
	one, number := r.askedClass(school)
	t := takeaway{name: s.page("notyet"), heads: []string{s.say("grade"), s.say("class"), s.say("enrolled"), s.role(canyu.Student), s.page("column.left"), s.page("notyet.seats")}}
	if one != 0 {
		t.heads = []string{s.say("grade"), s.say("class"), s.page("seat")}
	}
	name := school.Name
	v := &schoolView{Code: school.Code.String()}
	for _, k := range school.Classes {
		if one != 0 && (k.Grade != one || k.Number != number) || one == 0 && !r.activity.Required(k.Grade) && len(r.activity.RequiredGrades) > 0 {
			continue
		}
		seats, open, known, err := r.seatsOf(school.Class(k), k.Enrolled)
		if err != nil {
			return err
		}
		if !known {
			return errNoPage
		}
		done := k.Enrolled - len(open)
		if one == 0 {
			t.rows = append(t.rows, []any{int(k.Grade), int(k.Number), k.Enrolled, done, len(open), s.seats(open)})
		} else {
			name += s.class(k.Grade, k.Number)
			for _, seat := range open {
				t.rows = append(t.rows, []any{int(k.Grade), int(k.Number), seat})
			}
		}
		v.sheets = append(v.sheets, classDetail{Name: s.class(k.Grade, k.Number), Count: done, Of: k.Enrolled, Left: len(open), Seats: seats, Open: s.seats(open)})
	}
	if form == "html" {
		r.Kind, r.Heading, r.School = "sheet", school.Name, v
		r.Total.AsOf = s.moment(c.at)
		r.write(fasthttp.StatusOK, "sheet")
		return nil
	}
	return r.take(form, name+"_"+t.name+"_"+r.stamp(c), t)
}

// exportBureau is the table as it is filtered and may be sorted, all of its pages.
func (r *visit) exportBureau(region canyu.Region, c *census, form string) error {
	s, bySchool := r.s, r.bySchool(region)
	sum, items := r.items(region, c)
	what := s.say("region")
	if bySchool {
		what = s.say("school")
	}
	t := takeaway{name: s.page("rows.regions"), heads: []string{s.say("code"), what, s.page("column.of"), s.page("column.count"), s.say("rate"), s.page("column.left")}}
	if bySchool {
		t.name = s.say("schools")
	} else {
		t.heads = append(t.heads, s.say("schools"), s.page("column.silent"))
	}
	t.heads = append(t.heads, s.page("column.short"), s.say("enrolled"))
	for _, role := range r.activity.Roles {
		t.heads = append(t.heads, s.role(role))
	}
	row := func(code, name string, u *sums) []any {
		count, of, left := u.headline()
		cells := []any{code, name, of, count, rate(count, of), left}
		if !bySchool {
			cells = append(cells, u.Schools, u.Silent)
		}
		cells = append(cells, u.Short, u.Enrolled)
		for _, role := range r.activity.Roles {
			cells = append(cells, u.Tally[role])
		}
		return cells
	}
	shown := r.filter(items)
	for _, i := range shown {
		t.rows = append(t.rows, row(i.Code, i.Name, i.sums))
	}
	if len(shown) == len(items) {
		t.rows = append(t.rows, row(region.String(), s.region(region), sum))
	}
	return r.take(form, s.region(region)+"_"+t.name+"_"+r.stamp(c), t)
}

// exportReport is a report that was frozen, in one of its forms.
func (r *visit) exportReport(region canyu.Region, form string) error {
	day, err := canyu.ParseDay(r.arg("day"))
	if err != nil {
		return errNoPage
	}
	revision, err := strconv.Atoi(r.arg("revision"))
	if err != nil {
		return errNoPage
	}
	report, err := r.p.frozen(r, r.activity, region, day, revision)
	if err != nil {
		return err
	}
	kinds := map[string]string{"html": "text/html; charset=utf-8", "xlsx": xlsxKind, "csv": csvKind, "txt": "text/plain; charset=utf-8", "json": "application/json",
		"json.sig": "text/plain; charset=utf-8"}
	var b bytes.Buffer
	lang := r.arg("lang") // else the activity's own, as it was mailed
	switch form {
	case "html":
		err = report.HTML(&b, lang)
	case "xlsx":
		err = report.Workbook(&b, lang)
	case "csv":
		err = report.CSV(&b, lang)
	case "txt":
		err = report.Text(&b, lang)
	case "json":
		err = report.JSON(&b)
	case "json.sig":
		if !report.Signed() {
			return errNoPage
		}
		err = report.Signature(&b)
	default:
		return errNoPage
	}
	if err != nil {
		return err
	}
	name := ""
	if form != "html" {
		name = strings.TrimSuffix(report.FileName(lang), ".xlsx") + "." + form
	}
	r.file(kinds[form], name, b.Bytes())
	if form == "html" {
		r.itself()
	}
	return nil
}

// itself is for a page that carries its own styles and pictures, and nothing to run.
func (r *visit) itself() {
	r.ctx.Response.Header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'; sandbox allow-modals")
}

func (p *Pages) frozen(ctx context.Context, a *canyu.Activity, region canyu.Region, day canyu.Day, revision int) (*Report, error) {
	list, err := p.Archive.Frozen(ctx, a.ID, region)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if f.Day == day && f.Revision == revision && f.Region == region {
			return thawSigned(ctx, p.Archive, a, f)
		}
	}
	return nil, errNoPage
}
