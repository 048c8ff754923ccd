package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

func readRosterFile(t testing.TB, name string) *canyu.Roster {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ingest.ReadRoster(f, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readRosterText(s string) (*canyu.Roster, error) {
	return ingest.ReadRoster(strings.NewReader(s), "test.csv")
}

// workbook makes an .xlsx of one or more sheets.
func workbook(t testing.TB, sheets ...[][]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, rows := range sheets {
		name := fmt.Sprintf("Sheet%d", i+1)
		if _, err := f.NewSheet(name); err != nil {
			t.Fatal(err)
		}
		for j, row := range rows {
			if err := f.SetSheetRow(name, fmt.Sprintf("A%d", j+1), &row); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRosterOfXuancheng(t *testing.T) {
	t.Parallel()
	r := readRosterFile(t, "roster.csv")
	if got := len(r.Entries()); got != 1089 {
		t.Errorf("%d classes, want 1089", got)
	}
	s := r.School(3418020001)
	if s == nil || s.Name != "宣州区第一小学" || s.Region != 341802 {
		t.Fatalf("school 3418020001 is %+v", s)
	}
	if n, _ := s.Enrolled(1, 2); n != 39 {
		t.Errorf("class 1(2) has %d pupils, want 39", n)
	}
	if gb := readRosterFile(t, "roster-gb18030.csv"); !reflect.DeepEqual(gb.Entries(), r.Entries()) {
		t.Error("the GB 18030 file is another roster than the UTF-8 one")
	}

	// The same as a workbook that took the codes for numbers.
	rows := [][]any{{"人数", "班级", "年级", "学校名称", "学校标识码", "区划代码"}}
	for _, e := range r.Entries() {
		rows = append(rows, []any{e.Enrolled, e.Class, e.Grade, e.Name, uint64(e.School), uint32(e.Region)})
	}
	x, err := ingest.ReadRoster(bytes.NewReader(workbook(t, rows, nil)), "roster.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(x.Entries(), r.Entries()) {
		t.Error("the workbook is another roster than the CSV file")
	}
}

const rosterHead = "区划代码,学校标识码,学校名称,年级,班级,人数\n"

func TestRosterForms(t *testing.T) {
	t.Parallel()
	want := canyu.RosterEntry{Region: 341802, School: 3418020001, Name: "宣州区第一小学", Grade: 7, Class: 2, Enrolled: 46}
	for name, file := range map[string]string{
		"plain":                rosterHead + "341802,3418020001,宣州区第一小学,7,2,46\n",
		"no end of line":       rosterHead + "341802,3418020001,宣州区第一小学,7,2,46",
		"crlf":                 "区划代码,学校标识码,学校名称,年级,班级,人数\r\n341802,3418020001,宣州区第一小学,7,2,46\r\n",
		"cr":                   "区划代码,学校标识码,学校名称,年级,班级,人数\r341802,3418020001,宣州区第一小学,7,2,46\r",
		"bom":                  "\ufeff" + rosterHead + "341802,3418020001,宣州区第一小学,7,2,46\n",
		"bom and quotes":       "\ufeff\"区划代码\",学校标识码,学校名称,年级,班级,人数\n341802,3418020001,\"宣州区第一小学\",7,2,46\n",
		"tabs":                 strings.ReplaceAll(rosterHead+"341802,3418020001,宣州区第一小学,7,2,46\n", ",", "\t"),
		"semicolons":           strings.ReplaceAll(rosterHead+"341802,3418020001,宣州区第一小学,7,2,46\n", ",", ";"),
		"traditional headings": "區劃代碼,學校標識碼,學校名稱,年級,班級,人數\n341802,3418020001,宣州区第一小学,七年級,2班,46\n",
		"english, any order":   "Enrolled,Class,Grade,Name,School,Region\n46,2,7,宣州区第一小学,3418020001,341802\n",
		"spaces":               " 区划代码 ,学校 标识码,学校名称,年级,班级,人数\n 341802 , 3418020001 ,　宣州区第一小学 ,7, 2 ,46 \n",
		"full width":           rosterHead + "３４１８０２,３４１８０２０００１,宣州区第一小学,７,２,４６\n",
		"empty rows, columns":  "区划代码,学校标识码,学校名称,年级,班级,人数,,\n,,,,,,,\n\n341802,3418020001,宣州区第一小学,7,2,46,,\n",
		"made numbers":         rosterHead + "341802.0,3418020001.0,宣州区第一小学,7.0,2.0,46.0\n",
		"scientific, whole":    rosterHead + "3.41802E+05,3.418020001E9,宣州区第一小学,7,2,46\n",
		"marked as text":       rosterHead + "'341802,'3418020001,宣州区第一小学,7,2,46\n",
		"七年级 2班":               rosterHead + "341802,3418020001,宣州区第一小学,七年级,2班,46人\n",
		"7年级 (2)班":             rosterHead + "341802,3418020001,宣州区第一小学,7年级,(2)班,46\n",
		"初一 （二）班":              rosterHead + "341802,3418020001,宣州区第一小学,初一,（二）班,46\n",
		"初中一年级 ㈡班":             rosterHead + "341802,3418020001,宣州区第一小学,初中一年级,㈡班,46\n",
		"七 七(2)班":              rosterHead + "341802,3418020001,宣州区第一小学,七,七(2)班,46\n",
		"七 七2班":                rosterHead + "341802,3418020001,宣州区第一小学,七,七2班,46\n",
		"7 7年级2班":              rosterHead + "341802,3418020001,宣州区第一小学,7,7年级2班,46\n",
		"7 初一(2)班":             rosterHead + "341802,3418020001,宣州区第一小学,7,初一(2)班,46\n",
	} {
		r, err := readRosterText(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := r.Entries(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for cell, want := range map[string]uint8{"1": 1, "十": 10, "十二年级": 12, "小学六年级": 6, "初三": 9, "高一": 10, "高三年级": 12, "高中二年级": 11} {
		r, err := readRosterText(rosterHead + "341802,3418020001,学校,十二,12班,46\n341802,3418020001,学校," + cell + ",21,46\n")
		if err != nil {
			t.Errorf("grade %s: %v", cell, err)
		} else if _, ok := r.School(3418020001).Enrolled(want, 21); !ok {
			t.Errorf("grade %s is not read as %d", cell, want)
		}
	}
	for cell, want := range map[string]uint16{"十二班": 12, "二十班": 20, "三十一班": 31, "121": 121} {
		r, err := readRosterText(rosterHead + "341802,3418020001,学校,3," + cell + ",46\n")
		if err != nil {
			t.Errorf("class %s: %v", cell, err)
		} else if _, ok := r.School(3418020001).Enrolled(3, want); !ok {
			t.Errorf("class %s is not read as %d", cell, want)
		}
	}
}

// Utf16 is what Excel calls Unicode text.
func TestRosterUTF16(t *testing.T) {
	t.Parallel()
	b := []byte{0xff, 0xfe}
	for _, r := range strings.ReplaceAll(rosterHead+"341802,3418020001,宣州区第一小学,7,2,46\r\n", ",", "\t") {
		b = append(b, byte(r), byte(r>>8))
	}
	r, err := ingest.ReadRoster(bytes.NewReader(b), "roster.txt")
	if err != nil {
		t.Fatal(err)
	}
	if r.School(3418020001).Name != "宣州区第一小学" {
		t.Error("the name is garbled")
	}
}

// GB 18030 that happens to be valid UTF-8.
func TestRosterGBThatLooksLikeUTF8(t *testing.T) {
	t.Parallel()
	r, err := readRosterText("region,school,name,grade,class,enrolled\n341802,3418020001,\xd0\xa1\xd1\xa7,7,2,46\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.School(3418020001).Name; got != "小学" {
		t.Errorf("the name is %s, want 小学", got)
	}
}

func TestRosterMistakes(t *testing.T) {
	t.Parallel()
	const good = "341802,3418020001,宣州区第一小学,3,1,46\n"
	row := func(s string) string { return rosterHead + good + s + "\n" }
	for name, c := range map[string]struct {
		file string
		want []string // beginning and a part of each mistake, in order, around a *
	}{
		"empty":              {"", []string{"row 1: *no classes"}},
		"headings only":      {rosterHead, []string{"row 1: *no classes"}},
		"no headings":        {good, []string{"row 1: *“341802” is unknown", "row 1: *", "row 1: *", "row 1: *", "row 1: *", "row 1: *", "row 1: region: *missing", "row 1: *", "row 1: *", "row 1: *", "row 1: *", "row 1: *"}},
		"missing column":     {"区划代码,学校标识码,学校名称,年级,班级\n", []string{"row 1: enrolled: *column 人数 is missing"}},
		"column twice":       {"区划代码,学校标识码,学校名称,年级,班级,人数,人數\n", []string{"row 1: enrolled: *“人數”: there is more than one"}},
		"unknown column":     {"区划代码,学校标识码,学校名称,年级,班级,人数,备注\n", []string{"row 1: *“备注” is unknown"}},
		"all at once":        {rosterHead + "34180,x,,13,0,1000\n" + good + ",,,,,1\n", []string{"row 2: region: *5 digits", "row 2: school: *“x”: want 10 digits", "row 2: name: *missing", "row 2: grade: *1–12", "row 2: class: *1–999", "row 2: enrolled: *at most 999", "row 4: region: *missing", "row 4: school: *missing", "row 4: name: *", "row 4: grade: *missing", "row 4: class: *"}},
		"lost zero":          {row("341802,418020001,学校,3,1,46"), []string{"row 3: school: *dropped a leading 0"}},
		"shortened":          {row("341802,3.41802E+09,学校,3,1,46"), []string{"row 3: school: *shortened"}},
		"broken code":        {row("341802,3418020001.5,学校,3,1,46"), []string{"row 3: school: *want 10 digits"}},
		"signed":             {row("+34180,-418020001,学校,3,1,46"), []string{"row 3: region: *", "row 3: school: *"}},
		"region too small":   {row("099999,3418020002,学校,3,1,46"), []string{"row 3: region: *GB/T 2260"}},
		"school of zeros":    {row("341802,0000000000,学校,3,1,46"), []string{"row 3: school: *"}},
		"class twice":        {row("341802,3418020001,宣州区第一小学,三年级,1班,40"), []string{"row 3: class: *in row 2 already"}},
		"two names":          {row("341802,3418020001,宣州区第二小学,3,2,46"), []string{"row 3: name: *“宣州区第一小学” in row 2"}},
		"two regions":        {row("341821,3418020001,宣州区第一小学,3,2,46"), []string{"row 3: region: *341802 in row 2"}},
		"number as name":     {row("341802,3418020002,3418020002,3,1,46"), []string{"row 3: name: *no name"}},
		"line break in name": {row("341802,3418020002,\"第二\n小学\",3,1,46"), []string{"row 3: name: *line break"}},
		"long name":          {row("341802,3418020002," + strings.Repeat("校", 101) + ",3,1,46"), []string{"row 3: name: *101 characters"}},
		"after a line break": {rosterHead + "341802,3418020001,\"第一\n小学\",3,1,46\n\n\n341802,3418020002,第二小学,3,1,x\n", []string{"row 2: name: *", "row 5: enrolled: *"}},
		"grade 0":            {row("341802,3418020001,宣州区第一小学,0,2,46"), []string{"row 3: grade: *"}},
		"grade words":        {row("341802,3418020001,宣州区第一小学,大班,2,46"), []string{"row 3: grade: *“大班”"}},
		"初四":                 {row("341802,3418020001,宣州区第一小学,初四,2,46"), []string{"row 3: grade: *初1–3"}},
		"other grade":        {row("341802,3418020001,宣州区第一小学,3,四(2)班,46"), []string{"row 3: class: *grade 4, but the row says grade 3"}},
		"class of a year":    {row("341802,3418020001,宣州区第一小学,3,2015级2班,46"), []string{"row 3: class: *"}},
		"class words":        {row("341802,3418020001,宣州区第一小学,3,实验班,46"), []string{"row 3: class: *“实验班”"}},
		"class 2.5":          {row("341802,3418020001,宣州区第一小学,3,2.5,46"), []string{"row 3: class: *"}},
		"pupils":             {row("341802,3418020001,宣州区第一小学,3,2,-1"), []string{"row 3: enrolled: *“-1”"}},
		"formula error":      {row("341802,3418020001,宣州区第一小学,3,2,#REF!"), []string{"row 3: enrolled: *"}},
		"sum":                {row("合计,,,,,46"), []string{"row 3: region: *", "row 3: school: *missing", "row 3: name: *", "row 3: grade: *", "row 3: class: *"}},
		"too many cells":     {row("341802,3418020001,宣州区第一小学,3,2,46,note"), []string{"row 3: *“note” stands in a column without a heading"}},
		"quotes":             {row("341802,3418020001,宣州区\"第一\"小学,3,2,46") + good, []string{"row 3: *quotation mark", "row 4: class: *row 2 already"}},
	} {
		_, err := readRosterText(c.file)
		var mistakes ingest.RosterError
		if !errors.As(err, &mistakes) {
			t.Errorf("%s: %v, want a RosterError", name, err)
			continue
		}
		ok := slices.EqualFunc(mistakes, c.want, func(m ingest.RowError, want string) bool {
			begin, part, _ := strings.Cut(want, "*")
			return strings.HasPrefix(m.String(), begin) && strings.Contains(m.String(), part)
		})
		if !ok {
			t.Errorf("%s:\n%v\nwant\n%s", name, err, strings.Join(c.want, "\n"))
		}
	}
}

func TestRosterFilesThatAreNone(t *testing.T) {
	t.Parallel()
	head := [][]any{{"区划代码", "学校标识码", "学校名称", "年级", "班级", "人数"}, {341802, 3418020001, "学校", 3, 1, 46}}
	wide := make([]any, 100)
	wide[99] = "x"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"two sheets":    {workbook(t, head, head), "“Sheet1”, “Sheet2” all have something"},
		"wide sheet":    {workbook(t, [][]any{wide}), "100 columns"},
		"broken zip":    {workbook(t, head)[:900], "cannot be opened"},
		"xls":           {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "save it as .xlsx"},
		"binary":        {[]byte("\xff\xd8\xff\xe0\x00\x10JFIF"), "neither UTF-8 nor GB 18030"},
		"false mark":    {[]byte("\ufeffregion,\xd0\xa1\xff"), "marked as UTF-8"},
		"too large":     {bytes.Repeat([]byte("a,b\n"), 9<<20), "larger than 32 MiB"},
		"zip of zeroes": {zipBomb(t), "unzip size"},
	} {
		_, err := ingest.ReadRoster(bytes.NewReader(c.file), "upload")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
	}
	_, err := readRosterText(rosterHead + strings.Repeat("x,x,x,x,x,x\n", 5000))
	var mistakes ingest.RosterError
	if !errors.As(err, &mistakes) || len(mistakes) > 10_010 {
		t.Errorf("%d mistakes, want them to end at about 10,000", len(mistakes))
	}
}
