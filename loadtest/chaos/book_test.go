package chaos

import (
	"slices"
	"strings"
	"testing"
)

// What clients are told is enough to know some broken promises.
func TestBook(t *testing.T) {
	t.Parallel()
	const a, b = "AAAA-0001", "BBBB-0002"
	first := func(ordinal uint64, receipt string) answer {
		return answer{status: 201, counted: true, ordinal: ordinal, receipt: receipt}
	}
	repeat := func(receipt string) answer { return answer{status: 200, receipt: receipt} }
	accepted := func(receipt string) answer { return answer{status: 202, receipt: receipt} }
	refused, silent := answer{status: 503}, answer{}
	type said struct {
		person int32
		answer
	}
	for _, c := range []struct {
		name  string
		said  []said
		kinds string
	}{
		{"a first and a repeat", []said{{0, first(1, a)}, {0, repeat(a)}, {1, first(2, b)}}, ""},
		{"counted twice", []said{{0, first(1, a)}, {0, first(2, a)}}, "twice"},
		{"never counted", []said{{0, repeat(a)}, {0, repeat(a)}}, "never"},
		{"perhaps counted, without an answer", []said{{0, silent}, {0, repeat(a)}}, ""},
		{"perhaps counted, though refused", []said{{0, refused}, {0, repeat(a)}}, ""},
		{"counted from the spool", []said{{0, accepted(a)}, {0, repeat(a)}}, ""},
		{"counted from the spool and again", []said{{0, accepted(a)}, {0, first(1, a)}, {0, first(2, a)}}, "twice"},
		{"another receipt", []said{{0, first(1, a)}, {0, repeat(b)}}, "receipt"},
		{"no receipt", []said{{0, first(1, a)}, {0, accepted("")}}, "receipt"},
		{"one number for two", []said{{0, first(1, a)}, {1, first(1, b)}}, "ordinal"},
		{"no number", []said{{0, first(0, a)}}, "ordinal"},
		{"refused for good", []said{{0, answer{status: 422}}}, "refused"},
		{"a status that says otherwise", []said{{0, answer{status: 200, counted: true, receipt: a}}}, "never refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			classes := makeClasses(1)
			book := newBook(classes, makePeople(classes))
			for _, s := range c.said {
				book.write(book.send(s.person, false), s.answer)
			}
			book.examine()
			var kinds []string
			for kind := range book.found {
				kinds = append(kinds, kind)
			}
			slices.Sort(kinds)
			if got := strings.Join(kinds, " "); got != c.kinds {
				t.Errorf("found %q, want %q: %v", got, c.kinds, book.differences)
			}
		})
	}
}

// What is not known stays open until it is.
func TestBookOpen(t *testing.T) {
	t.Parallel()
	classes := makeClasses(1)
	b := newBook(classes, makePeople(classes))
	known, unknown := b.send(3, false), b.send(4, false)
	b.write(known, answer{status: 201, counted: true, ordinal: 1, receipt: "AAAA-0001"})
	b.write(unknown, answer{})
	if open := b.unsettled(); len(open) != 1 || open[0] != unknown {
		t.Errorf("open: %v", open)
	}
	groups, submissions := b.groups()
	if g := groups[group{0, 1}]; g != (numbers{acknowledged: 1, sent: 2}) || submissions[0] != 2 {
		t.Errorf("%+v, %v", g, submissions)
	}
	if again := b.send(4, true); again != unknown {
		t.Errorf("a retry is %s, was %s", again, unknown)
	}
	if other := b.send(4, false); other == unknown {
		t.Error("a new submission has the old id")
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	classes := makeClasses(3000)
	people := makePeople(classes)
	s := newSource(1, people, len(classes))
	seen := make([]int, len(people))
	var alone, together, double, again int
	for s.next < len(s.order) {
		task := s.take()
		for _, who := range task.people {
			seen[who]++
		}
		switch len(task.people) {
		case 1:
			alone++
		case seats:
			together++
		default:
			t.Fatalf("%d people in a task", len(task.people))
		}
		if task.double {
			double++
		}
		if task.again {
			again++
		}
	}
	twice := 0
	for who, n := range seen {
		if n == 0 {
			t.Fatalf("person %d never comes", who)
		}
		if n > 1 {
			twice++
		}
	}
	if alone == 0 || together == 0 || double == 0 || again == 0 || twice == 0 {
		t.Errorf("%d alone, %d together, %d double clicks, %d retries, %d people more than once", alone, together, double, again, twice)
	}
}
