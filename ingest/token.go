package ingest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/fnv"
	"sync"
	"time"
)

// A page from which something is submitted carries a token, and sends it along: in the
// field "page" of its form, or in this header. It says that the page was one of ours,
// for this activity and not long ago, and it tells one browser from another behind the
// same address. Nobody needs one: who has none shares what is remembered of his address.
const pageHeader = "Canyu-Page"

// pageLasts is how long: a school day, on which a page may stay open.
const pageLasts = 12 * time.Hour

// pageToken is what a token says. It is
//
//	base64url( session 6 · activity 4 · minutes since 1970 4 · signature 10 )
//
// where the signature is the first bytes of an HMAC-SHA256 under a key of the site.
type pageToken struct {
	session uint64 // 0: there is none
	of      uint32 // see pageActivity
}

const (
	pageSigned = 6 + 4 + 4
	pageSize   = pageSigned + 10
)

var pageEncoding = base64.RawURLEncoding.Strict()

// pageActivity stands for an activity in tokens.
func pageActivity(id string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()
}

// pageTokens makes and reads tokens; every node of the site reads those of the others.
type pageTokens struct{ macs sync.Pool }

type pageMAC struct {
	hash.Hash
	text [40]byte
	sum  [sha256.Size]byte
}

func newPageTokens(secret []byte) *pageTokens {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("canyu page token"))
	key := h.Sum(nil)
	return &pageTokens{macs: sync.Pool{New: func() any { return &pageMAC{Hash: hmac.New(sha256.New, key)} }}}
}

// fresh is the token of a page that is drawn for one visitor.
func (t *pageTokens) fresh(a *activity, now time.Time) string {
	var b [pageSize]byte
	_, _ = rand.Read(b[:6]) // never fails
	return t.sign(&b, a, now)
}

// shared is one that is the same for an hour, for a page that browsers keep: of names
// who has it in common.
func (t *pageTokens) shared(a *activity, of string, now time.Time) string {
	now = now.Truncate(time.Hour)
	sum := sha256.Sum256([]byte(a.ID + "\x00" + of + "\x00" + now.UTC().Format(time.RFC3339)))
	var b [pageSize]byte
	copy(b[:6], sum[:])
	return t.sign(&b, a, now)
}

func (t *pageTokens) sign(b *[pageSize]byte, a *activity, now time.Time) string {
	binary.BigEndian.PutUint32(b[6:], a.pages)
	binary.BigEndian.PutUint32(b[10:], uint32(now.Unix()/60))
	m := t.macs.Get().(*pageMAC)
	defer t.macs.Put(m)
	copy(b[pageSigned:], m.signature(b[:pageSigned]))
	return pageEncoding.EncodeToString(b[:])
}

func (m *pageMAC) signature(signed []byte) []byte {
	m.Reset()
	m.Write(signed)
	return m.Sum(m.sum[:0])[:pageSize-pageSigned]
}

// read is what a token says, the zero token for one that is not ours or too old.
func (t *pageTokens) read(text []byte, now time.Time) (p pageToken) {
	if len(text) != pageEncoding.EncodedLen(pageSize) {
		return p
	}
	m := t.macs.Get().(*pageMAC)
	defer t.macs.Put(m)
	n, err := pageEncoding.Decode(m.text[:], text)
	b := m.text[:]
	if err != nil || n != pageSize || !hmac.Equal(b[pageSigned:pageSize], m.signature(b[:pageSigned])) {
		return p
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint32(b[10:]))*60, 0))
	if age < -pageLasts || age > pageLasts+time.Hour { // a node's clock may be behind
		return p
	}
	p.session = mix(uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint16(b[4:]))) | 1
	p.of = binary.BigEndian.Uint32(b[6:])
	return p
}

// signs makes the token of the page that is drawn for a request, screen by screen: one
// for each form, one an hour for a class at one screen, none for what is only read.
func (s *Server) signs(p *pageRequest) func(screen string) string {
	a := s.activities[p.a.ID]
	if s.watch == nil || a == nil {
		return nil
	}
	return func(screen string) string {
		switch screen {
		case "form":
			return s.watch.tokens.fresh(a, s.now())
		case "class":
			return s.watch.tokens.shared(a, p.at.school+"/"+p.at.grade+"/"+p.at.class, s.now())
		}
		return ""
	}
}
