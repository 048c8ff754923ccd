package ingest

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/canyu/canyu"
)

func TestNamesCompare(t *testing.T) {
	t.Parallel()
	same := [][]string{
		{"张伟", "张　伟", " 张 伟\t", "张\u200b伟", "张\u00a0伟"},
		{"li", "Ｌｉ", "LI", " l i "},
		{"é", "e\u0301", "É"},
		{"12", "１２", "①②"},
	}
	for i, names := range same {
		want := string(appendName(nil, names[0]))
		for _, n := range names {
			if got := string(appendName(nil, n)); got != want {
				t.Errorf("%q became %q, want %q like %q", n, got, want, names[0])
			}
		}
		for j, others := range same {
			if i != j && string(appendName(nil, others[0])) == want {
				t.Errorf("%q is the same as %q", others[0], names[0])
			}
		}
	}
}

func identityOf(identify canyu.Identify) *identity {
	return newIdentity([]byte("a secret of the test"), nil, &canyu.Activity{ID: "a", Identify: identify})
}

func TestParticipants(t *testing.T) {
	t.Parallel()
	class := canyu.Class{School: 3418020001, Grade: 3, Number: 2}
	id := identityOf(canyu.BySeat)
	seen := make(map[canyu.Participant]string)
	differs := func(what string, id *identity, s canyu.Submission, c canyu.Class, r canyu.Role) {
		t.Helper()
		p, _ := id.participant(&s, c, r)
		if other, ok := seen[p]; ok {
			t.Errorf("%s is the same participant as %s", what, other)
		}
		if p>>63 != 0 {
			t.Errorf("%s has 64 bits", what)
		}
		seen[p] = what
	}
	other := class
	other.Number = 3
	differs("seat 1", id, canyu.Submission{Seat: 1}, class, canyu.Student)
	differs("seat 2", id, canyu.Submission{Seat: 2}, class, canyu.Student)
	differs("seat 1 of another class", id, canyu.Submission{Seat: 1}, other, canyu.Student)
	differs("a parent of seat 1", id, canyu.Submission{Seat: 1, Name: "张伟"}, class, canyu.Parent)
	differs("the other parent", id, canyu.Submission{Seat: 1, Name: "李娜"}, class, canyu.Parent)
	differs("a teacher", id, canyu.Submission{Name: "张伟"}, class, canyu.Teacher)
	differs("the public", id, canyu.Submission{Name: "张伟"}, class, canyu.Public)
	differs("another activity", newIdentity([]byte("a secret of the test"), nil, &canyu.Activity{ID: "b", Identify: canyu.BySeat}),
		canyu.Submission{Seat: 1}, class, canyu.Student)
	differs("another secret", newIdentity([]byte("another secret"), nil, &canyu.Activity{ID: "a", Identify: canyu.BySeat}),
		canyu.Submission{Seat: 1}, class, canyu.Student)
	differs("with a salt", newIdentity([]byte("a secret of the test"), []byte("salt"), &canyu.Activity{ID: "a", Identify: canyu.BySeat}),
		canyu.Submission{Seat: 1}, class, canyu.Student)
	differs("with another salt", newIdentity([]byte("a secret of the test"), []byte("another"), &canyu.Activity{ID: "a", Identify: canyu.BySeat}),
		canyu.Submission{Seat: 1}, class, canyu.Student)
	differs("by name", identityOf(canyu.ByName), canyu.Submission{Name: "张伟"}, class, canyu.Student)

	same := func(what string, id *identity, a, b canyu.Submission, r canyu.Role) {
		t.Helper()
		p, rp := id.participant(&a, class, r)
		q, rq := id.participant(&b, class, r)
		if p != q || rp != rq {
			t.Errorf("%s: two participants or two receipts", what)
		}
	}
	same("a student with and without name", id, canyu.Submission{Seat: 1}, canyu.Submission{Seat: 1, Name: "张伟"}, canyu.Student)
	same("a name with a space", id, canyu.Submission{Seat: 1, Name: "张　伟"}, canyu.Submission{Seat: 1, Name: "张伟"}, canyu.Parent)
	same("by name, whatever the seat", identityOf(canyu.ByName), canyu.Submission{Seat: 1, Name: "Li"}, canyu.Submission{Seat: 2, Name: "ｌｉ"}, canyu.Student)
}

// What was begun before there were salts is derived as it was: these are from then.
func TestBegunBeforeSalts(t *testing.T) {
	t.Parallel()
	id := identityOf(canyu.BySeat)
	p, rc := id.participant(&canyu.Submission{Seat: 17}, canyu.Class{School: 3418020001, Grade: 3, Number: 2}, canyu.Student)
	if got, want := fmt.Sprint(id.fingerprint(), " ", uint64(p), " ", rc), "80104f00d9af2e38 9134647469983752252 QF3G-ZXMW"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	id := identityOf(canyu.BySeat)
	form := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`)
	seen := make(map[receipt]bool)
	for seat := range 999 {
		_, rc := id.participant(&canyu.Submission{Seat: seat + 1}, canyu.Class{School: 3418020001, Grade: 3, Number: 2}, canyu.Student)
		if !form.Match(rc[:]) || seen[rc] {
			t.Fatalf("receipt %s of seat %d", rc[:], seat+1)
		}
		seen[rc] = true
	}
}

func TestSubmissionID(t *testing.T) {
	t.Parallel()
	if submissionID("w2017-00038518") != submissionID("w2017-00038518") {
		t.Error("an id is not the same twice")
	}
	if submissionID("a") == submissionID("b") || submissionID("") == submissionID("") {
		t.Error("two submissions are the same")
	}
}
