package embeddedledger

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/canyu/canyu"
)

// setKey names the set of one class and role, packed into a number: ten digits are 34
// bits, and a map of all classes is looked through in a third of the time that it takes
// with a struct for its key. They are in the order of the table.
type setKey uint64

func keyOf(c canyu.Class, r canyu.Role) setKey {
	return setKey(c.School)<<28 | setKey(c.Grade)<<20 | setKey(c.Number)<<4 | setKey(r)
}

func (k setKey) class() canyu.Class {
	return canyu.Class{School: canyu.SchoolCode(k >> 28), Grade: uint8(k >> 20), Number: uint16(k >> 4)}
}

func (k setKey) role() canyu.Role { return canyu.Role(k & 15) }

// set is who took part, ascending. A class has some fifty members: inserting in
// the middle costs less than hashing, and eight bytes each is all it weighs.
type set struct {
	members []canyu.Participant
	joining []canyu.Participant // the new ones of the batch that is being decided
	dirty   bool
}

func (s *set) has(p canyu.Participant) bool {
	_, found := slices.BinarySearch(s.members, p)
	return found
}

func (s *set) add(p canyu.Participant) {
	if i, found := slices.BinarySearch(s.members, p); !found {
		s.members = slices.Insert(s.members, i, p)
	}
}

func (s *set) bytes() []byte {
	b := make([]byte, 0, 8*len(s.members))
	for _, p := range s.members {
		b = binary.BigEndian.AppendUint64(b, uint64(p))
	}
	return b
}

func parseSet(b []byte) ([]canyu.Participant, error) {
	if len(b)%8 != 0 {
		return nil, fmt.Errorf("a set of %d bytes is damaged", len(b))
	}
	members := make([]canyu.Participant, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		members = append(members, canyu.Participant(binary.BigEndian.Uint64(b)))
	}
	return members, nil
}

// set is that of a class and role, made where there is none.
func (a *activity) set(k setKey) *set {
	s := a.sets[k]
	if s == nil {
		s = &set{}
		a.sets[k] = s
	}
	return s
}

// add joins a participant to its set and remembers that the file must follow.
func (a *activity) add(k setKey, p canyu.Participant) { a.join(k, a.set(k), p) }

// join is add where the set is at hand.
func (a *activity) join(k setKey, s *set, p canyu.Participant) {
	s.add(p)
	if !s.dirty {
		s.dirty = true
		a.dirty = append(a.dirty, k)
	}
}
