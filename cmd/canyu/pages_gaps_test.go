package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A class that is above its enrolment and one that was closed fill the gap of another
// on no page and in no report, which tell the same numbers.
func TestPagesOfClassesThatMakeUpForNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "", "2017-04-01", "2017-04-07")
	roster := "region,school,name,grade,class,enrolled\n341802,3418020001,宣州区第一小学,3,1,"
	s.must("roster", "import", s.file("roster.csv", []byte(roster+"3\n341802,3418020001,宣州区第一小学,3,2,2\n341802,3418020001,宣州区第一小学,3,3,1\n")))
	var lines []string
	for class, seats := range map[int]int{1: 3, 2: 1, 3: 1} {
		for seat := range seats {
			lines = append(lines, s.at("2017-04-01T09:00:00+08:00", map[string]any{"grade": 3, "class": class, "seat": seat + 1}))
		}
	}
	s.replayed(lines...)
	s.must("roster", "import", "--drop-classes", s.file("roster.csv", []byte(roster+"2\n341802,3418020001,宣州区第一小学,3,2,2\n341802,3418020002,第二小学,1,1,3\n")))

	dir := filepath.Join(s.dir, "report")
	s.must("report", "render", "--activity", s.activity, "--region", "341802", "--date", "2017-04-01", "--out", dir)
	var r struct {
		Total struct {
			Required struct{ Enrolled, Count int }
			Student  struct{ Total int }
		}
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if err := json.Unmarshal([]byte(read("report.json")), &r); err != nil {
		t.Fatal(err)
	}
	if q := r.Total.Required; q.Count != 4 || q.Enrolled != 4 || r.Total.Student.Total != 5 {
		t.Errorf("the report has %+v", r.Total)
	}
	for _, want := range []string{"参与率 100%。学生自愿参加。\n有班级的参与人数超出在校人数；其他班级还有 1 人未参与。", "有 2 名学生超出班级在校人数", "应参与 4/4 · 家长 0 · 教师 0 · 超出 2 人 · 1 个班未全员参与"} {
		if text := read("report.txt"); !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(read("report.html"), `<b class="done"`) {
		t.Error("the report has a school that is short as done")
	}

	v := s.serve()
	admin := newVisitors(t, s)["admin"]
	for _, path := range []string{"/school/3418020001", "/bureau/341802", "/bureau/341802?show=short&view=board"} {
		page := v.page(path, admin)
		if ids := texts(t, page, "id"); ids["count"] != "4" || ids["of"] != "4" || ids["sentence"] != "还有 1 人未参与。学生自愿参加。" {
			t.Errorf("%s: %s of %s: %s", path, ids["count"], ids["of"], ids["sentence"])
		}
		if complete := texts(t, page, "class"); complete["rate l4"] != "" || complete["tile l4"] == "" && strings.HasPrefix(path, "/school") {
			t.Errorf("%s: complete is %q, %q", path, complete["rate l4"], complete["tile l4"])
		}
	}
	table := v.page("/bureau/341802/table.csv", admin)
	for _, want := range []string{"宣州区第一小学,4,4,1.0000,1,1,4,4,", "第二小学,0,0,,0,0,3,0,", "宣州区,4,4,1.0000,1,1,7,4,"} { // the rows add up
		if !strings.Contains(table, want) {
			t.Errorf("the bureau's table lacks %q:\n%s", want, table)
		}
	}
	if table := v.page("/bureau/341802/table.csv?show=short", admin); !strings.Contains(table, "3418020001") || strings.Contains(table, "3418020002") {
		t.Errorf("those who are short: %s", table)
	}
	if _, body, err := v.get("/v1/activities/" + s.activity + "/counts?region=341802"); err != nil || strings.Count(body, `"required":{"enrolled":4,"count":4,"rate":1,"left":1}`) != 2 {
		t.Errorf("counts: %v, %s", err, body)
	}
	v.stop()
}
