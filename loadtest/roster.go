package loadtest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/canyu/canyu"
)

// Synthetic is a made-up roster: every school has the same grades, every grade
// the same classes, every class the same enrolment.
type Synthetic struct {
	Schools  int `help:"Schools of the made-up roster." default:"20"`
	Grades   int `help:"Grades of each school, from grade 1." default:"12"`
	Classes  int `help:"Classes of each grade." default:"5"`
	Enrolled int `help:"Pupils of each class." default:"50"`
}

// firstCounty is where made-up schools begin: a county with up to 9,999 schools,
// then the next.
const firstCounty, maxSchools = 341802, 98 * 9999

// Pupils is how many the roster has.
func (s Synthetic) Pupils() int64 {
	return int64(s.Schools) * int64(s.Grades) * int64(s.Classes) * int64(s.Enrolled)
}

// Roster makes it.
func (s Synthetic) Roster() (*canyu.Roster, error) {
	if s.Schools < 1 || s.Schools > maxSchools {
		return nil, fmt.Errorf("schools %d: want 1–%d", s.Schools, maxSchools)
	}
	entries := make([]canyu.RosterEntry, 0, s.Schools*max(s.Grades, 0)*max(s.Classes, 0))
	for i := range s.Schools {
		region := firstCounty + i/9999
		code := canyu.SchoolCode(region*10000 + i%9999 + 1)
		name := fmt.Sprintf("压测第%d学校", i+1)
		for g := range s.Grades {
			for c := range s.Classes {
				entries = append(entries, canyu.RosterEntry{
					Region: canyu.Region(region), School: code, Name: name,
					Grade: uint8(min(g+1, 255)), Class: uint16(min(c+1, 65535)), Enrolled: s.Enrolled,
				})
			}
		}
	}
	return canyu.NewRoster(entries)
}

// rosterColumns are the six columns of a roster file, by either heading.
var rosterColumns = [...][2]string{
	{"区划代码", "region"}, {"学校标识码", "school"}, {"学校名称", "name"},
	{"年级", "grade"}, {"班级", "class"}, {"人数", "enrolled"},
}

// WriteRoster writes the roster as the CSV that canyu roster import reads.
func WriteRoster(w io.Writer, r *canyu.Roster) error {
	out := csv.NewWriter(w)
	row := make([]string, len(rosterColumns))
	for i, c := range rosterColumns {
		row[i] = c[0]
	}
	out.Write(row) // csv.Writer keeps its first error for Error
	for _, e := range r.Entries() {
		row[0], row[1], row[2] = e.Region.String(), e.School.String(), e.Name
		row[3], row[4], row[5] = strconv.Itoa(int(e.Grade)), strconv.Itoa(int(e.Class)), strconv.Itoa(e.Enrolled)
		out.Write(row)
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("cannot write the roster: %w", err)
	}
	return nil
}

// ReadRoster reads such a CSV in UTF-8, with plain numbers. It is for files that
// canyu roster import has accepted: what is wrong in them is told there, and better.
func ReadRoster(r io.Reader) (*canyu.Roster, error) {
	in := csv.NewReader(r)
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("cannot read the roster: %w", err)
	}
	var at [len(rosterColumns)]int
	for i, names := range rosterColumns {
		at[i] = -1
		for j, h := range head {
			if j == 0 && len(h) > 3 && h[:3] == "\ufeff" {
				h = h[3:]
			}
			if h == names[0] || h == names[1] {
				at[i] = j
			}
		}
		if at[i] < 0 {
			return nil, fmt.Errorf("cannot read the roster: no column %s (%s)", names[0], names[1])
		}
	}
	var entries []canyu.RosterEntry
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return canyu.NewRoster(entries)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the roster: %w", err)
		}
		region, err1 := canyu.ParseRegion(row[at[0]])
		school, err2 := canyu.ParseSchoolCode(row[at[1]])
		grade, err3 := strconv.ParseUint(row[at[3]], 10, 8)
		class, err4 := strconv.ParseUint(row[at[4]], 10, 16)
		enrolled, err5 := strconv.Atoi(row[at[5]])
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("cannot read line %d of the roster: %w", line, err)
		}
		entries = append(entries, canyu.RosterEntry{
			Region: region, School: school, Name: row[at[2]],
			Grade: uint8(grade), Class: uint16(class), Enrolled: enrolled,
		})
	}
}
