package canyu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one submission, in characters (ID: bytes).
const (
	MaxName    = 64
	MaxMessage = 500
	MaxID      = 64
)

// Submission is what somebody sent, before anything about it is known to be
// true. Its strings may borrow from the request: they are valid until the
// request is answered.
type Submission struct {
	Activity string
	School   string
	Grade    int // 0 where it was not sent, like every number here
	Class    int
	Role     string
	Seat     int
	HasSeat  bool // a seat was sent: 0 is then a wrong seat, not a missing one
	Name     string
	Steps    []string
	Message  string
	ID       string // made by the client, the same when it retries; may be empty
}

// Participation is one accepted submission, ready to be recorded.
type Participation struct {
	Class       Class
	Role        Role
	Held        Suspicion // why it is held apart (see HeldArchive): not counted
	Participant Participant
	ID          uint64    // of the submission, within its participant
	At          time.Time // when it was accepted, whole milliseconds
	Day         Day       // the activity's day of At
	Message     string    // "" where none was left
}

// Participant stands for one person in one role: the first 63 bits of an
// HMAC-SHA256, keyed by the activity's secret, over what identifies the person
// (see ingest.Identity). It is unique within (activity, class, role): among the
// 50 pupils of a class two meet once in 10¹⁵ classes. 63 bits, because that is
// what a Redis intset holds in 8 bytes.
type Participant uint64

// Why a submission is refused as a whole. Every layer hands them on by errors.Is.
var (
	ErrUnknownActivity = errors.New("unknown activity")
	ErrNotOpen         = errors.New("the activity has not begun yet")
	ErrClosed          = errors.New("the activity is over")
)

// FieldError is one field of a submission and what is wrong with it.
type FieldError struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// InvalidError lists every bad field of a submission.
type InvalidError []FieldError

func (e InvalidError) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Field + ": " + f.Reason
	}
	return strings.Join(parts, "; ")
}

// Validate checks a submission that arrived at instant at against the activity
// and the roster. It returns the class and role it is about, or ErrNotOpen,
// ErrClosed or an InvalidError that names each bad field.
func (s *Submission) Validate(a *Activity, r *Roster, at time.Time) (Class, Role, error) {
	if err := a.Open(at); err != nil {
		return Class{}, 0, err
	}
	var bad InvalidError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, FieldError{field, fmt.Sprintf(format, args...)})
	}
	role, err := ParseRole(s.Role)
	if err != nil || !slices.Contains(a.Roles, role) {
		refuse("role", "want one of %s", rolesText(a.Roles))
		role = 0
	}
	class, enrolled := s.class(r, refuse)
	if class != (Class{}) && role != 0 {
		s.person(a, role, enrolled, refuse)
	}
	for i, step := range s.Steps {
		switch {
		case !slices.Contains(a.Steps, step):
			refuse("steps", "%s is no step of this activity: want %s", quote(step), strings.Join(a.Steps, ", "))
		case slices.Contains(s.Steps[:i], step):
			refuse("steps", "%s is listed twice", step)
		}
		if len(bad) > 8 {
			break
		}
	}
	if n := utf8.RuneCountInString(s.Message); n > MaxMessage {
		refuse("message", "is %d characters long: want at most %d", n, MaxMessage)
	}
	if len(s.ID) > MaxID {
		refuse("id", "is %d bytes long: want at most %d", len(s.ID), MaxID)
	}
	if len(bad) > 0 {
		return Class{}, 0, bad
	}
	return class, role, nil
}

// class finds the class in the roster, and how many pupils it has.
func (s *Submission) class(r *Roster, refuse func(field, format string, args ...any)) (Class, int) {
	code, err := ParseSchoolCode(s.School)
	if err != nil {
		refuse("school", "want the ten digits of a school code")
		return Class{}, 0
	}
	school := r.School(code)
	if school == nil {
		refuse("school", "%s is not in the roster", s.School)
		return Class{}, 0
	}
	if s.Grade < 1 || s.Grade > MaxGrade {
		refuse("grade", "want a whole number, 1–%d", MaxGrade)
		return Class{}, 0
	}
	if s.Class < 1 || s.Class > MaxClass {
		refuse("class", "want a whole number, 1–%d", MaxClass)
		return Class{}, 0
	}
	class := Class{School: code, Grade: uint8(s.Grade), Number: uint16(s.Class)}
	enrolled, ok := school.Enrolled(class.Grade, class.Number)
	if !ok {
		refuse("class", "%s has no class %d in grade %d", school.Name, s.Class, s.Grade)
		return Class{}, 0
	}
	return class, enrolled
}

// person checks what tells the participant from the others of the class.
func (s *Submission) person(a *Activity, role Role, enrolled int, refuse func(field, format string, args ...any)) {
	bySeat, byName := a.Identify.BySeat(role), a.Identify.ByName(role)
	switch {
	case bySeat && !s.HasSeat:
		refuse("seat", "missing")
	case bySeat && (s.Seat < 1 || s.Seat > enrolled):
		refuse("seat", "want 1–%d: the class has %d pupils", enrolled, enrolled)
	}
	switch {
	case utf8.RuneCountInString(s.Name) > MaxName:
		refuse("name", "want at most %d characters", MaxName)
	case byName && strings.TrimSpace(s.Name) == "":
		refuse("name", "missing")
	}
}

func rolesText(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.String()
	}
	return strings.Join(names, ", ")
}

// quote shortens what a stranger sent before it is shown back.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%q", s)
}
