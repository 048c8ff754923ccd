package canyu

import "fmt"

// Role is in what capacity somebody takes part. Roles are counted apart and never
// summed silently. The numbers are stored: they keep their meaning for ever.
type Role uint8

// The roles.
const (
	Student Role = 1 + iota
	Parent
	Teacher
	Public
)

// Roles lists all of them, in the order of their numbers.
var Roles = [...]Role{Student, Parent, Teacher, Public}

var roleNames = [...]string{Student: "student", Parent: "parent", Teacher: "teacher", Public: "public"}

// ParseRole reads "student", "parent", "teacher" or "public".
func ParseRole(s string) (Role, error) {
	for _, r := range Roles {
		if roleNames[r] == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role %q: want student, parent, teacher or public", s)
}

func (r Role) String() string {
	if r < Student || r > Public {
		return fmt.Sprintf("role(%d)", uint8(r))
	}
	return roleNames[r]
}

// MarshalText uses the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRole.
func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRole(string(b))
	return err
}

// Tally is a number of participants for each role, indexed by Role.
type Tally [Public + 1]int

// Add adds o, role by role.
func (t *Tally) Add(o Tally) {
	for i, n := range o {
		t[i] += n
	}
}
