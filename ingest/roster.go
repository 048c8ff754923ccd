package ingest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/canyu/canyu"
)

// RowError is one mistake in a roster file. Row is the number that the
// spreadsheet shows: the headings are row 1.
type RowError struct {
	Row    int
	Field  string // region, school, name, grade, class or enrolled; "" for the row as a whole
	Reason string
}

func (e RowError) String() string {
	if e.Field == "" {
		return fmt.Sprintf("row %d: %s", e.Row, e.Reason)
	}
	return fmt.Sprintf("row %d: %s: %s", e.Row, e.Field, e.Reason)
}

// RosterError lists every mistake of a roster file, by row.
type RosterError []RowError

func (e RosterError) Error() string {
	lines := make([]string, len(e))
	for i, r := range e {
		lines[i] = r.String()
	}
	return strings.Join(lines, "\n")
}

// maxRosterErrors ends the reading of a file in which every row is wrong.
const maxRosterErrors = 10_000

// ReadRoster reads a roster from a .csv file (UTF-8, UTF-16 or GB 18030, between
// commas, tabs or semicolons) or an .xlsx workbook; which of them it is, its
// content tells. The name of the file only stands in errors. It is all or
// nothing: any mistake in the table is a [RosterError] that lists all of them.
func ReadRoster(r io.Reader, name string) (*canyu.Roster, error) {
	rows, err := readTable(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read roster %s: %w", name, err)
	}
	t := rosterTable{classes: make(map[canyu.Class]int), schools: make(map[canyu.SchoolCode]schoolRow)}
	for row, err := range rows {
		if err != nil {
			return nil, fmt.Errorf("cannot read roster %s: %w", name, err)
		}
		if !t.add(row) {
			break
		}
	}
	if len(t.errs) == 0 && len(t.entries) == 0 {
		t.refuse(1, "", "the file has no classes: want a row of headings (%s) and a row for each class", RosterHeadings())
	}
	if len(t.errs) > 0 {
		return nil, t.errs
	}
	roster, err := canyu.NewRoster(t.entries)
	if err != nil {
		return nil, fmt.Errorf("cannot read roster %s: %w", name, err)
	}
	return roster, nil
}

// rosterColumns are the headings that are understood, in simplified characters,
// the usual one first; see [plain].
var rosterColumns = []struct {
	field    string
	headings []string
}{
	{"region", []string{"区划代码", "行政区划代码", "区划", "region"}},
	{"school", []string{"学校标识码", "标识码", "学校代码", "school"}},
	{"name", []string{"学校名称", "学校", "name"}},
	{"grade", []string{"年级", "grade"}},
	{"class", []string{"班级", "班", "class"}},
	{"enrolled", []string{"人数", "应参与", "应参与人数", "学生人数", "enrolled", "enrolment"}},
}

// RosterHeadings are the usual headings of a roster file.
func RosterHeadings() string {
	var hs []string
	for _, c := range rosterColumns {
		hs = append(hs, c.headings[0])
	}
	return strings.Join(hs, ", ")
}

// rosterColumn is the index in rosterColumns of a heading, or -1.
func rosterColumn(heading string) int {
	h := strings.ToLower(plain(heading))
	for i, c := range rosterColumns {
		if slices.Contains(c.headings, h) {
			return i
		}
	}
	return -1
}

// rosterTable turns the rows of a file into entries, and remembers where it saw
// what, so that the second of two rows that contradict each other names the first.
type rosterTable struct {
	columns []int // the index in rosterColumns of each column of the file, -1 for an empty one
	entries []canyu.RosterEntry
	classes map[canyu.Class]int // the row of each class
	schools map[canyu.SchoolCode]schoolRow
	errs    RosterError
}

type schoolRow struct {
	row    int
	region canyu.Region
	name   string
}

func (t *rosterTable) refuse(row int, field, format string, args ...any) {
	t.errs = append(t.errs, RowError{row, field, fmt.Sprintf(format, args...)})
}

// add takes the next row that is not empty and reports whether to go on.
func (t *rosterTable) add(r tableRow) bool {
	switch {
	case r.broken != "":
		t.refuse(r.number, "", "%s", r.broken)
		if t.columns == nil {
			return false
		}
	case t.columns == nil:
		return t.head(r)
	default:
		t.entry(r)
	}
	if len(t.errs) >= maxRosterErrors {
		t.refuse(r.number, "", "that is %d mistakes: the rows below were not looked at", len(t.errs))
		return false
	}
	return true
}

// head finds the columns. Without them there is nothing to say about the rows.
func (t *rosterTable) head(r tableRow) bool {
	seen := make(map[int]bool)
	for _, cell := range r.cells {
		c := rosterColumn(cell)
		switch {
		case strings.TrimSpace(cell) == "":
		case c < 0:
			t.refuse(r.number, "", "column %s is unknown: want %s", quoteCell(cell), RosterHeadings())
		case seen[c]:
			t.refuse(r.number, rosterColumns[c].field, "column %s: there is more than one", quoteCell(cell))
		}
		seen[c] = true
		t.columns = append(t.columns, c)
	}
	for i, c := range rosterColumns {
		if !seen[i] {
			t.refuse(r.number, c.field, "column %s is missing", c.headings[0])
		}
	}
	return len(t.errs) == 0
}

func (t *rosterTable) entry(r tableRow) {
	var cells [6]string // in the order of rosterColumns
	for i, cell := range r.cells {
		switch {
		case i < len(t.columns) && t.columns[i] >= 0:
			cells[t.columns[i]] = cell
		case strings.TrimSpace(cell) != "":
			t.refuse(r.number, "", "%s stands in a column without a heading", quoteCell(cell))
			return
		}
	}
	var e canyu.RosterEntry
	before := len(t.errs)
	value := func(column int, err error) {
		if strings.TrimSpace(cells[column]) == "" {
			err = errMissing
		}
		if err != nil {
			t.refuse(r.number, rosterColumns[column].field, "%v", err)
		}
	}
	var err error
	e.Region, err = regionCell(cells[0])
	value(0, err)
	e.School, err = schoolCell(cells[1])
	value(1, err)
	e.Name, err = nameCell(cells[2])
	value(2, err)
	e.Grade, err = gradeCell(cells[3])
	value(3, err)
	e.Class, err = classCell(cells[4], e.Grade)
	value(4, err)
	e.Enrolled, err = enrolledCell(cells[5])
	value(5, err)
	if len(t.errs) > before {
		return
	}
	t.consistent(r.number, e)
	t.entries = append(t.entries, e)
}

// consistent compares the row with those above it.
func (t *rosterTable) consistent(row int, e canyu.RosterEntry) {
	s, ok := t.schools[e.School]
	if !ok {
		t.schools[e.School] = schoolRow{row, e.Region, e.Name}
	}
	if ok && s.region != e.Region {
		t.refuse(row, "region", "school %s is in %s here, but in %s in row %d", e.School, e.Region, s.region, s.row)
	}
	if ok && s.name != e.Name {
		t.refuse(row, "name", "school %s is %s here, but %s in row %d", e.School, quoteCell(e.Name), quoteCell(s.name), s.row)
	}
	class := canyu.Class{School: e.School, Grade: e.Grade, Number: e.Class}
	if first, twice := t.classes[class]; twice {
		t.refuse(row, "class", "class %d of grade %d of school %s is in row %d already", e.Class, e.Grade, e.School, first)
		return
	}
	t.classes[class] = row
}

// quoteCell shows what stands in a cell, shortened, on one line.
func quoteCell(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
	if utf8.RuneCountInString(s) > 30 {
		s = string([]rune(s)[:30]) + "…"
	}
	return "“" + s + "”"
}
