package canyu_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

func TestSubmissionValidate(t *testing.T) {
	t.Parallel()
	bySeat := qingming(t)
	byName := qingming(t)
	byName.Identify = canyu.ByName
	r := roster(t, entry(3418020001, 3, 2, 50), entry(3418020001, 12, 999, 999), entry(3418020001, 4, 1, 0))
	at := instant(t, "2017-04-05T07:50:00+08:00")
	type change = func(*canyu.Submission)
	as := func(role, name string, seat int) change {
		return func(s *canyu.Submission) { s.Role, s.Name, s.Seat, s.HasSeat = role, name, seat, seat != 0 }
	}
	for _, c := range []struct {
		name     string
		activity *canyu.Activity
		bad      string // the fields refused, in order
		change   change
	}{
		{"a pupil by seat", bySeat, "", func(*canyu.Submission) {}},
		{"the first seat", bySeat, "", func(s *canyu.Submission) { s.Seat = 1 }},
		{"the last seat", bySeat, "", func(s *canyu.Submission) { s.Seat = 50 }},
		{"a pupil by seat may leave the name", bySeat, "", as("student", "张伟", 17)},
		{"a pupil by name", byName, "", as("student", "张　伟", 0)},
		{"a parent: the child's seat and a name", bySeat, "", as("parent", "李娜", 17)},
		{"a parent where pupils go by name", byName, "", as("parent", "李娜", 17)},
		{"a teacher has no seat", bySeat, "", as("teacher", "王老师", 0)},
		{"the largest of everything", bySeat, "", func(s *canyu.Submission) { s.Grade, s.Class, s.Seat = 12, 999, 999 }},
		{"64 characters of name", bySeat, "", as("teacher", strings.Repeat("张", 64), 0)},
		{"500 characters of message, not bytes", bySeat, "", func(s *canyu.Submission) { s.Message = strings.Repeat("缅", 500) }},
		{"500 flowers outside the first plane", bySeat, "", func(s *canyu.Submission) { s.Message = strings.Repeat("🌸", 500) }},
		{"64 bytes of id", bySeat, "", func(s *canyu.Submission) { s.ID = strings.Repeat("x", 64) }},
		{"no steps", bySeat, "", func(s *canyu.Submission) { s.Steps = nil }},
		{"steps in another order", bySeat, "", func(s *canyu.Submission) { s.Steps = []string{"message", "bow"} }},

		{"no role", bySeat, "role", func(s *canyu.Submission) { s.Role = "" }},
		{"an unknown role", bySeat, "role", func(s *canyu.Submission) { s.Role = "mayor" }},
		{"a role that this activity does not have", bySeat, "role", as("public", "赵", 0)},
		{"no school", bySeat, "school", func(s *canyu.Submission) { s.School = "" }},
		{"a school that is no code", bySeat, "school", func(s *canyu.Submission) { s.School = "实验小学" }},
		{"a school with a sign", bySeat, "school", func(s *canyu.Submission) { s.School = "+341802001" }},
		{"a school that is not in the roster", bySeat, "school", func(s *canyu.Submission) { s.School = "3418029999" }},
		{"no grade", bySeat, "grade", func(s *canyu.Submission) { s.Grade = 0 }},
		{"grade 13", bySeat, "grade", func(s *canyu.Submission) { s.Grade = 13 }},
		{"a grade that a byte would wrap to 3", bySeat, "grade", func(s *canyu.Submission) { s.Grade = 259 }},
		{"a negative grade", bySeat, "grade", func(s *canyu.Submission) { s.Grade = -253 }},
		{"no class", bySeat, "class", func(s *canyu.Submission) { s.Class = 0 }},
		{"class 1000", bySeat, "class", func(s *canyu.Submission) { s.Class = 1000 }},
		{"a class that two bytes would wrap to 2", bySeat, "class", func(s *canyu.Submission) { s.Class = 65538 }},
		{"a class that the school does not have", bySeat, "class", func(s *canyu.Submission) { s.Class = 3 }},
		{"a grade that the school does not have", bySeat, "class", func(s *canyu.Submission) { s.Grade = 5 }},
		{"no seat", bySeat, "seat", as("student", "张伟", 0)},
		{"seat 0", bySeat, "seat", func(s *canyu.Submission) { s.Seat = 0 }},
		{"a negative seat", bySeat, "seat", func(s *canyu.Submission) { s.Seat = -1 }},
		{"one seat too far", bySeat, "seat", func(s *canyu.Submission) { s.Seat = 51 }},
		{"a seat in an empty class", bySeat, "seat", func(s *canyu.Submission) { s.Grade, s.Class, s.Seat = 4, 1, 1 }},
		{"a pupil by name without one", byName, "name", as("student", "", 17)},
		{"a name of white space", byName, "name", as("student", " \u3000\t", 0)},
		{"a parent without a name", bySeat, "name", as("parent", "", 17)},
		{"a parent without the child's seat", byName, "seat", as("parent", "李娜", 0)},
		{"a parent with neither", bySeat, "seat name", as("parent", "", 0)},
		{"a teacher without a name", bySeat, "name", as("teacher", "", 0)},
		{"65 characters of name", bySeat, "name", as("teacher", strings.Repeat("张", 65), 0)},
		{"also where the name is not needed", bySeat, "name", as("student", strings.Repeat("张", 65), 17)},
		{"an unknown step", bySeat, "steps", func(s *canyu.Submission) { s.Steps = []string{"bow", "dance"} }},
		{"a step twice", bySeat, "steps", func(s *canyu.Submission) { s.Steps = []string{"bow", "bow"} }},
		{"501 characters of message", bySeat, "message", func(s *canyu.Submission) { s.Message = strings.Repeat("缅", 501) }},
		{"65 bytes of id", bySeat, "id", func(s *canyu.Submission) { s.ID = strings.Repeat("x", 65) }},
		{"everything at once", bySeat, "role school steps message id", func(s *canyu.Submission) {
			*s = canyu.Submission{Steps: []string{"dance"}, Message: strings.Repeat("x", 501), ID: strings.Repeat("x", 65)}
		}},
	} {
		s := canyu.Submission{
			Activity: c.activity.ID, School: "3418020001", Grade: 3, Class: 2, Role: "student", Seat: 17, HasSeat: true,
			Steps: []string{"bow", "flower", "message"}, Message: "缅怀先烈", ID: "a1",
		}
		c.change(&s)
		class, role, err := s.Validate(c.activity, r, at)
		if c.bad == "" {
			want := canyu.Class{School: 3418020001, Grade: uint8(s.Grade), Number: uint16(s.Class)}
			if err != nil || class != want || role.String() != s.Role {
				t.Errorf("%s: got %s, %s, %v", c.name, class, role, err)
			}
			continue
		}
		var invalid canyu.InvalidError
		if !errors.As(err, &invalid) || class != (canyu.Class{}) || role != 0 {
			t.Errorf("%s: got %s, %s, %v, want %s refused", c.name, class, role, err, c.bad)
			continue
		}
		var fields []string
		for _, f := range invalid {
			fields = append(fields, f.Field)
			if f.Reason == "" || !strings.Contains(err.Error(), f.Field+": "+f.Reason) {
				t.Errorf("%s: %s has no reason, or one that the error does not tell: %v", c.name, f.Field, err)
			}
		}
		if got := strings.Join(fields, " "); got != c.bad {
			t.Errorf("%s: %q refused, want %q: %v", c.name, got, c.bad, err)
		}
	}
}

func TestSubmissionOutOfTime(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	r := roster(t, entry(3418020001, 3, 2, 50))
	for at, want := range map[string]error{
		"2017-03-31T23:59:59.999+08:00": canyu.ErrNotOpen,
		"2017-04-08T00:00:00+08:00":     canyu.ErrClosed,
	} {
		// Also where its fields are bad: what is wrong with them is nobody's business then.
		if _, _, err := (&canyu.Submission{}).Validate(a, r, instant(t, at)); !errors.Is(err, want) {
			t.Errorf("at %s: got %v, want %v", at, err, want)
		}
	}
}

// What strangers send comes back in the reply, short.
func TestRefusalsAreShort(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	r := roster(t, entry(3418020001, 3, 2, 50))
	steps := make([]string, 1000)
	for i := range steps {
		steps[i] = strings.Repeat("<script>", 1000)
	}
	s := canyu.Submission{School: "3418020001", Grade: 3, Class: 2, Role: "student", Seat: 1, HasSeat: true, Steps: steps}
	_, _, err := s.Validate(a, r, instant(t, "2017-04-05T07:50:00+08:00"))
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("a reply of %d bytes", len(err.Error()))
	}
}
