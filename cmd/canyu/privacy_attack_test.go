package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"regexp"
	"strconv"

	"github.com/canyu/canyu"
)

// attacker has read the source, has the secret, and tries every seat of every class with
// every salt that he can find, against everything that could be a participant.
type attacker struct {
	secret   []byte
	activity string
	roster   *canyu.Roster
	salts    [][]byte // nil: those in what he searches
}

var (
	hexRun    = regexp.MustCompile(`[0-9a-f]{64,}`)
	numberRun = regexp.MustCompile(`[0-9]{12,20}`)
)

// saltsIn are all that could be one.
func (a *attacker) saltsIn(where search) (salts [][]byte) {
	seen := make(map[string]bool)
	for _, content := range where {
		for _, run := range hexRun.FindAll(content, -1) {
			for i := 0; i+64 <= len(run); i++ {
				if seen[string(run[i:i+64])] || len(seen) > 2000 {
					continue
				}
				seen[string(run[i:i+64])] = true
				salt, _ := hex.DecodeString(string(run[i : i+64]))
				salts = append(salts, salt)
			}
		}
	}
	return append(salts, nil)
}

// keyed is the key under a salt, worked out from how it is described.
func (a *attacker) keyed(salt []byte) hash.Hash {
	h := hmac.New(sha256.New, a.secret)
	h.Write([]byte("canyu participant key\x00" + a.activity))
	key := h.Sum(nil)
	if salt != nil {
		h = hmac.New(sha256.New, key)
		h.Write(append([]byte("salt\x00"), salt...))
		key = h.Sum(nil)
	}
	return hmac.New(sha256.New, key)
}

// participant of a student.
func participantOf(h hash.Hash, c canyu.Class, seat int) uint64 {
	h.Reset()
	b := binary.BigEndian.AppendUint64(nil, uint64(c.School))
	b = append(b, c.Grade, byte(canyu.Student))
	b = binary.BigEndian.AppendUint16(b, c.Number)
	h.Write(binary.BigEndian.AppendUint16(append(b, 's'), uint16(seat)))
	return binary.BigEndian.Uint64(h.Sum(nil)) >> 1
}

// seats of the first school that he can tell.
func (a *attacker) seats(where search) map[seatOf]bool {
	salts := a.salts
	if salts == nil {
		salts = a.saltsIn(where)
	}
	candidates := make(map[uint64]seatOf)
	school := a.roster.Schools(0)[0]
	for _, salt := range salts {
		key := a.keyed(salt)
		for _, c := range school.Classes {
			for seat := 1; seat <= c.Enrolled; seat++ {
				candidates[participantOf(key, school.Class(c), seat)] = seatOf{int(c.Grade), int(c.Number), seat}
			}
		}
	}
	told := make(map[seatOf]bool)
	try := func(n uint64) {
		if seat, ok := candidates[n]; ok {
			told[seat] = true
		}
	}
	for _, content := range where {
		for i := 0; i+8 <= len(content); i++ {
			try(binary.BigEndian.Uint64(content[i:]))
			try(binary.LittleEndian.Uint64(content[i:]))
		}
		for _, run := range numberRun.FindAll(content, -1) {
			if n, err := strconv.ParseUint(string(run), 10, 64); err == nil {
				try(n)
			}
		}
	}
	return told
}
