package main

import (
	"strings"
	"testing"
)

// A file with one class of a school that has more would take the others away, with
// everything that pupils of theirs send from then on: it is refused unless that is meant.
func TestRosterImportDropsNothingUnasked(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		const head = "区划代码,学校标识码,学校名称,年级,班级,人数\n"
		const first = "341802,3418020001,第一小学,三年级,1班,2\n"
		whole := s.file("whole.csv", []byte(head+first+"341802,3418020001,第一小学,三年级,2班,3\n341802,3418020002,第二小学,三年级,1班,4\n"))
		late := s.file("late.csv", []byte(head+"341802,3418020001,第一小学,三年级,9班,5\n"))
		if out := s.must("roster", "import", whole, "--dry-run"); !strings.Contains(out, "2 schools, 3 classes, 9 pupils: fine") {
			t.Errorf("the first, dry: %s", out)
		}
		s.must("roster", "import", whole)
		s.must("roster", "import", whole) // again: nothing goes
		v := s.serve()
		if status, body := v.post("application/json", s.submission(map[string]any{"class": 1, "seat": 1})); status != 201 {
			t.Fatalf("%d %s", status, body)
		}
		v.stop() // it is in the archive

		for _, dry := range [][]string{{"--dry-run"}, nil} {
			out, err := s.canyu(append([]string{"roster", "import", late}, dry...)...)
			if err == nil || !strings.Contains(err.Error(), "2 classes would go") || !strings.Contains(err.Error(), "--drop-classes") {
				t.Errorf("%v: %v", dry, err)
			}
			for _, want := range []string{"gone: 3418020001 第一小学 3(1), 2 pupils, 1 have taken part\n", "gone: 3418020001 第一小学 3(2), 3 pupils, 0 have taken part\n",
				"2 schools, 3 classes, 9 pupils → 2 schools, 2 classes, 9 pupils"} {
				if !strings.Contains(out, want) {
					t.Errorf("%v: %q is not in\n%s", dry, want, out)
				}
			}
		}
		if classes := len(s.classes(t).Entries()); classes != 3 {
			t.Errorf("%d classes are left of 3", classes)
		}
		s.must("roster", "import", s.file("third.csv", []byte(head+"341802,3418020003,第三小学,三年级,1班,6\n"))) // other schools stay
		if out := s.must("roster", "import", late, "--drop-classes"); !strings.Contains(out, "3 schools, 4 classes, 15 pupils → 3 schools, 3 classes, 15 pupils") {
			t.Errorf("asked for: %s", out)
		}
		if out := s.must("audit"); !strings.Contains(out, "3 schools, 4 classes, 15 pupils → 3 schools, 3 classes, 15 pupils") {
			t.Errorf("the audit log says\n%s", out)
		}
	})
}

// A school with a mistyped code can be taken out again; one in which somebody has taken
// part only where that is meant.
func TestRosterRemove(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", s.file("roster.csv", []byte("region,school,name,grade,class,enrolled\n"+
			"341802,3418020001,A,3,1,2\n341802,3418020002,B,3,1,3\n341802,3418020003,C,3,1,4\n")))
		v := s.serve()
		if status, body := v.post("application/json", s.submission(map[string]any{"class": 1, "seat": 1})); status != 201 {
			t.Fatalf("%d %s", status, body)
		}
		v.stop()
		for args, want := range map[string]string{
			"3418020003 3418029999": "school 3418029999 is not in the roster",
			"341802000":             "want the ten digits",
			"3418020003 3418020001": "somebody has taken part",
		} {
			if _, err := s.canyu(append([]string{"roster", "remove"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", args, err, want)
			}
		}
		if schools := len(s.classes(t).Schools(0)); schools != 3 {
			t.Errorf("%d schools are left of 3", schools)
		}
		s.must("roster", "remove", "3418020003")
		if out := s.must("roster", "remove", "--counted", "3418020001"); !strings.Contains(out, "2 schools, 2 classes, 5 pupils → 1 schools, 1 classes, 3 pupils") {
			t.Errorf("it says %s", out)
		}
		if left := s.classes(t).Schools(0); len(left) != 1 || left[0].Code != 3418020002 {
			t.Errorf("left are %v", left)
		}
		if out := s.must("audit"); !strings.Contains(out, "roster.remove") || !strings.Contains(out, "3418020003") {
			t.Errorf("the audit log says\n%s", out)
		}
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
	})
}
