package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

// identity turns what somebody sent into a participant and a receipt. It is all
// that ever sees a name.
//
// One HMAC-SHA256 under the activity's own key, over school, grade, class, role
// and what tells the person apart (DESIGN §2), gives both: its first 63 bits are
// the participant, the next 40 the receipt. So a receipt is stored nowhere, can be
// computed again by whoever has the key and knows the seat, and says nothing about
// the participant as stored.
type identity struct {
	identify canyu.Identify
	key      []byte
	salt     []byte    // empty for one begun before there were salts
	macs     sync.Pool // of *mac
}

type mac struct {
	hash.Hash
	message []byte
	sum     [sha256.Size]byte
}

// newIdentity derives the activity's key from the secret and the activity's salt, so
// that the same pupil is somebody else in the next activity, and nobody any more once
// the salt is destroyed. An activity that was begun before there were salts has none.
func newIdentity(secret, salt []byte, a *canyu.Activity) *identity {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("canyu participant key\x00" + a.ID))
	key := h.Sum(nil)
	if len(salt) > 0 {
		h = hmac.New(sha256.New, key)
		h.Write([]byte("salt\x00"))
		h.Write(salt)
		key = h.Sum(nil)
	}
	id := &identity{identify: a.Identify, key: key, salt: salt}
	id.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, id.key)} }
	return id
}

// fingerprint names the key without telling it (see canyu.Ledger.Begin).
func (id *identity) fingerprint() string {
	h := hmac.New(sha256.New, id.key)
	h.Write([]byte("fingerprint"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// receipt is eight characters in two groups of Crockford's base 32, which has no
// I, L, O or U to misread.
type receipt [9]byte

func (r receipt) String() string { return string(r[:]) }

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// participant of a submission that Validate has passed.
func (id *identity) participant(s *canyu.Submission, c canyu.Class, r canyu.Role) (canyu.Participant, receipt) {
	m := id.macs.Get().(*mac)
	defer id.macs.Put(m)
	b := binary.BigEndian.AppendUint64(m.message[:0], uint64(c.School))
	b = append(b, c.Grade, byte(r))
	b = binary.BigEndian.AppendUint16(b, c.Number)
	// A seat has a fixed length and stands first; a name runs to the end.
	if id.identify.BySeat(r) {
		b = binary.BigEndian.AppendUint16(append(b, 's'), uint16(s.Seat))
	}
	if id.identify.ByName(r) {
		b = appendName(append(b, 'n'), s.Name)
	}
	m.message = b
	m.Reset()
	m.Write(b)
	sum := m.Sum(m.sum[:0])
	clear(m.message) // a name is not kept, not even here

	var rc receipt
	bits := binary.BigEndian.Uint64(sum[8:]) >> 24
	for i := len(rc) - 1; i >= 0; i-- {
		if i == 4 {
			rc[i] = '-'
			continue
		}
		rc[i] = crockford[bits&31]
		bits >>= 5
	}
	return canyu.Participant(binary.BigEndian.Uint64(sum) >> 1), rc
}

// appendName appends a name as names are compared: NFKC, without white space and
// invisible characters, lower-cased. 张　伟 = 张伟, Ｌｉ = li.
func appendName(dst []byte, name string) []byte {
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(name))
	// Lower-casing may leave what NFKC would compose differently.
	return norm.NFKC.AppendString(dst, name)
}

// submissionID is the client's id as 64 bits (FNV-1a): it only has to tell apart
// the few submissions of one participant. Without one, a submission is like no
// other.
func submissionID(client string) uint64 {
	if client == "" {
		return rand.Uint64()
	}
	h := uint64(14695981039346656037)
	for i := range len(client) {
		h = (h ^ uint64(client[i])) * 1099511628211
	}
	return h
}
