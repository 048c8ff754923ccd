package loadtest_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/loadtest"
)

var steps = []string{"bow", "flower", "message"}

func newSource(t testing.TB, r *canyu.Roster, o loadtest.SourceOptions) *loadtest.Source {
	t.Helper()
	if o.Activity == "" {
		o.Activity = "qingming-2017"
	}
	o.Steps = steps
	s, err := loadtest.NewSource(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRoster(t testing.TB, s loadtest.Synthetic) *canyu.Roster {
	t.Helper()
	r, err := s.Roster()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unevenRoster has classes of every size, one of them empty.
func unevenRoster(t testing.TB) *canyu.Roster {
	t.Helper()
	var entries []canyu.RosterEntry
	for c := range 40 {
		entries = append(entries, canyu.RosterEntry{
			Region: 341802, School: canyu.SchoolCode(3418020001 + c/20), Name: []string{"一小", "二小"}[c/20],
			Grade: uint8(c%12 + 1), Class: uint16(c + 1), Enrolled: c * 7 % 61,
		})
	}
	r, err := canyu.NewRoster(entries)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type body struct {
	Activity string   `json:"activity"`
	School   string   `json:"school"`
	Grade    int      `json:"grade"`
	Class    int      `json:"class"`
	Role     string   `json:"role"`
	Seat     int      `json:"seat"`
	Steps    []string `json:"steps"`
	Message  string   `json:"message"`
	ID       string   `json:"id"`
}

func decode(t testing.TB, s *loadtest.Source, n int64) (body, canyu.Class) {
	t.Helper()
	text, who, ok := s.Append(nil, n)
	if !ok {
		t.Fatalf("there is no request %d", n)
	}
	var b body
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatalf("request %d: %v: %s", n, err, text)
	}
	return b, s.Class(s.ClassOf(s.PupilOf(who, 0)))
}

func TestSourceHasEveryPupilOnce(t *testing.T) {
	t.Parallel()
	r := unevenRoster(t)
	activity := &canyu.Activity{ID: "qingming-2017", Zone: time.UTC, LastDay: 1 << 20, Steps: steps,
		Roles: []canyu.Role{canyu.Student}, Identify: canyu.BySeat}
	s := newSource(t, r, loadtest.SourceOptions{Seed: 7})
	pupils, ids := make(map[[4]any]bool), make(map[string]bool)
	inRow := 0
	var last canyu.Class
	for n := range s.Requests() {
		b, class := decode(t, s, n)
		sub := canyu.Submission{Activity: b.Activity, School: b.School, Grade: b.Grade, Class: b.Class, Role: b.Role,
			Seat: b.Seat, HasSeat: true, Steps: b.Steps, Message: b.Message, ID: b.ID}
		if c, _, err := sub.Validate(activity, r, time.Now()); err != nil || c != class {
			t.Fatalf("request %d is of %v, not %v: %v", n, c, class, err)
		}
		pupils[[4]any{b.School, b.Grade, b.Class, b.Seat}] = true
		ids[b.ID] = true
		if class == last {
			inRow++
		}
		last = class
	}
	total := 0
	for _, e := range r.Entries() {
		total += e.Enrolled
	}
	if len(pupils) != total || len(ids) != total || s.Requests() != int64(total) || s.Pupils() != int64(total) {
		t.Errorf("%d pupils and %d ids in %d requests; want %d each", len(pupils), len(ids), s.Requests(), total)
	}
	if inRow > total/10 {
		t.Errorf("%d of %d requests follow one of the same class: that is no bell", inRow, total)
	}
	if _, _, ok := s.Append(nil, s.Requests()); ok {
		t.Error("there is one request too many")
	}
	if _, _, ok := s.Append(nil, -1); ok {
		t.Error("there is a request -1")
	}
}

func TestSourceIsDeterministic(t *testing.T) {
	t.Parallel()
	r := newRoster(t, loadtest.Synthetic{Schools: 3, Grades: 6, Classes: 4, Enrolled: 45})
	o := loadtest.SourceOptions{Seed: 42, Repeats: 0.2}
	a, again, other := newSource(t, r, o), newSource(t, r, o), newSource(t, r, loadtest.SourceOptions{Seed: 43, Repeats: 0.2})
	same := 0
	for n := range a.Requests() {
		x, _, _ := a.Append(nil, n)
		y, _, _ := again.Append(nil, n)
		z, _, _ := other.Append(nil, n)
		if string(x) != string(y) {
			t.Fatalf("request %d differs with the same seed:\n%s\n%s", n, x, y)
		}
		if string(x) == string(z) {
			same++
		}
	}
	if same > 3 {
		t.Errorf("%d requests are the same with another seed", same)
	}
}

func TestSourceRepeats(t *testing.T) {
	t.Parallel()
	r := newRoster(t, loadtest.Synthetic{Schools: 1, Grades: 12, Classes: 3, Enrolled: 50})
	for _, share := range []float64{0, 0.1, 0.5, 0.9} {
		s := newSource(t, r, loadtest.SourceOptions{Repeats: share})
		seen, ids := make(map[[4]any]bool), make(map[string]bool)
		repeats, resent := 0, 0
		for n := range s.Requests() {
			b, _ := decode(t, s, n)
			pupil := [4]any{b.School, b.Grade, b.Class, b.Seat}
			if seen[pupil] {
				repeats++
				if ids[b.ID] {
					resent++
				}
			} else if ids[b.ID] {
				t.Fatalf("request %d has the id of another pupil", n)
			}
			seen[pupil], ids[b.ID] = true, true
		}
		if int64(len(seen)) != s.Pupils() {
			t.Errorf("share %g: %d of %d pupils", share, len(seen), s.Pupils())
		}
		if got := float64(repeats) / float64(s.Requests()); math.Abs(got-share) > 0.001 {
			t.Errorf("share %g: %g are repeats", share, got)
		}
		if share > 0 && math.Abs(float64(resent)/float64(repeats)-0.5) > 0.1 {
			t.Errorf("share %g: %d of %d repeats resend the same submission; want half", share, resent, repeats)
		}
	}
	for _, share := range []float64{-0.1, 1, math.NaN()} {
		if _, err := loadtest.NewSource(r, loadtest.SourceOptions{Repeats: share}); err == nil {
			t.Errorf("share %g is taken", share)
		}
	}
}

func TestSourceBodyIsCheap(t *testing.T) {
	s := newSource(t, newRoster(t, loadtest.Synthetic{Schools: 1000, Grades: 12, Classes: 5, Enrolled: 50}), loadtest.SourceOptions{})
	if s.Pupils() != 3_000_000 {
		t.Fatalf("%d pupils; want 3 million", s.Pupils())
	}
	dst := make([]byte, 0, 512)
	n := int64(0)
	length := 0
	if allocs := testing.AllocsPerRun(1000, func() {
		b, _, _ := s.Append(dst[:0], n)
		length += len(b)
		n++
	}); allocs > 0 {
		t.Errorf("a body costs %g allocations", allocs)
	}
	if mean := length / int(n); mean < 180 || mean > 230 {
		t.Errorf("a body has %d bytes; want about 200", mean)
	}
}

func BenchmarkSourceAppend(b *testing.B) {
	s := newSource(b, newRoster(b, loadtest.Synthetic{Schools: 1000, Grades: 12, Classes: 5, Enrolled: 50}), loadtest.SourceOptions{})
	var dst []byte
	n := int64(0)
	for b.Loop() {
		dst, _, _ = s.Append(dst[:0], n%s.Requests())
		n++
	}
}
