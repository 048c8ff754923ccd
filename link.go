package canyu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Why somebody may not see something. Each is told to the visitor in its own words.
var (
	ErrNoLink      = errors.New("a link is needed to see this")
	ErrLink        = errors.New("the link is not one of this site's")
	ErrLinkExpired = errors.New("the link has expired")
	ErrLinkRevoked = errors.New("the link has been revoked")
	ErrScope       = errors.New("the link is for something else")
)

// ScopeKind is how much a link opens. The numbers stand in links: they keep their
// meaning for ever.
type ScopeKind uint8

// The kinds, from the narrowest.
const (
	ClassScope ScopeKind = 1 + iota
	SchoolScope
	RegionScope
	AdminScope
)

var scopeNames = [...]string{ClassScope: "class", SchoolScope: "school", RegionScope: "region", AdminScope: "admin"}

func (k ScopeKind) String() string {
	if k < ClassScope || k > AdminScope {
		return fmt.Sprintf("scope(%d)", uint8(k))
	}
	return scopeNames[k]
}

// Scope is what a link opens, and what a page or a number belongs to. Fields that
// its kind does not use are zero; Region is also set for a class and a school, to
// where the roster has the school, or no region would cover it.
type Scope struct {
	Kind         ScopeKind
	Activity     string // "": every one
	Region       Region
	School       SchoolCode
	Grade, Class int
}

// Covers reports whether who may see s may see want: admin holds every region, a
// region those within it and their schools, a school its classes.
func (s Scope) Covers(want Scope) bool {
	if want.Kind < ClassScope || want.Kind > s.Kind || s.Activity != "" && s.Activity != want.Activity {
		return false
	}
	switch s.Kind {
	case AdminScope:
		return true
	case RegionScope:
		return s.Region != 0 && want.Region != 0 && s.Region.Contains(want.Region)
	case SchoolScope:
		return s.School != 0 && s.School == want.School
	case ClassScope:
		return s.School != 0 && s.School == want.School && s.Grade == want.Grade && s.Class == want.Class
	}
	return false
}

// Validate reports whether a link can be made of the scope.
func (s Scope) Validate() error {
	school := s.School >= 1 && s.School <= 9999999999
	ok := true
	switch s.Kind {
	case ClassScope:
		ok = school && s.Grade >= 1 && s.Grade <= MaxGrade && s.Class >= 1 && s.Class <= MaxClass
	case SchoolScope:
		ok = school
	case RegionScope:
		ok = s.Region != 0
	case AdminScope:
	default:
		ok = false
	}
	if !ok || s.Region > 999999 || s.Activity != "" && !activityID.MatchString(s.Activity) {
		return fmt.Errorf("a link cannot open %s of activity %q, region %s, school %s, grade %d, class %d",
			s.Kind, s.Activity, s.Region, s.School, s.Grade, s.Class)
	}
	return nil
}

// Keyring makes and opens signed links. A link is a token in an address:
//
//	base64url( kind 1 · region 3 · school 5 · grade 1 · class 2 · expires 4 ·
//	           length of the key id 1 · key id · activity · signature 16 )
//
// numbers big-endian, expires in seconds since 1970, the signature the first 16
// bytes of an HMAC-SHA256 over all that stands before it. A class's link to an
// activity of 13 letters is 63 characters: a small QR code. Nothing of it is
// stored: what is valid is known by the key ids, and taking one out of the list
// revokes every link that it signed.
type Keyring struct {
	secret []byte
	ids    []string // the first signs
}

var keyID = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// ValidKeyID reports whether id may name a key of links: 1–16 of a–z, 0–9 and -.
func ValidKeyID(id string) bool { return keyID.MatchString(id) }

// NewKeyring derives a key from the site's secret for each of the ids. Without ids
// it signs nothing, and every link of before is revoked.
func NewKeyring(secret []byte, ids ...string) *Keyring {
	return &Keyring{secret: slices.Clone(secret), ids: slices.Clone(ids)}
}

const (
	linkFixed     = 1 + 3 + 5 + 1 + 2 + 4 + 1
	linkSignature = 16
	linkLongest   = linkFixed + 16 + 40 + linkSignature
)

var linkEncoding = base64.RawURLEncoding.Strict()

// Sign makes the token of a link that opens scope until expires.
func (k *Keyring) Sign(scope Scope, expires time.Time) (string, error) {
	if err := scope.Validate(); err != nil {
		return "", err
	}
	if len(k.ids) == 0 || !ValidKeyID(k.ids[0]) {
		return "", errors.New("there is no key to sign links with: see links.keys")
	}
	until := expires.Unix()
	if until < 0 || until > 1<<32-1 {
		return "", fmt.Errorf("a link cannot expire at %s", expires)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(scope.Kind)<<24|uint32(scope.Region))
	b = append(b, byte(scope.School>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(scope.School))
	b = append(b, byte(scope.Grade))
	b = binary.BigEndian.AppendUint16(b, uint16(scope.Class))
	b = binary.BigEndian.AppendUint32(b, uint32(until))
	b = append(append(b, byte(len(k.ids[0]))), k.ids[0]...)
	b = append(b, scope.Activity...)
	return linkEncoding.EncodeToString(append(b, k.signature(k.ids[0], b)...)), nil
}

// signature is that of the key named id, which the secret alone gives: so a link of
// a revoked key can be told from one that somebody made up.
func (k *Keyring) signature(id string, signed []byte) []byte {
	key := hmac.New(sha256.New, k.secret)
	key.Write([]byte("link/" + id))
	h := hmac.New(sha256.New, key.Sum(nil))
	h.Write(signed)
	return h.Sum(nil)[:linkSignature]
}

// Open is what the token of a link opens at instant now. With ErrLinkExpired and
// ErrLinkRevoked the scope is what it once opened; with ErrLink there is none. The
// signature is compared in constant time.
func (k *Keyring) Open(token string, now time.Time) (Scope, error) {
	// The decoder passes over line breaks: one link would have many spellings.
	if len(token) > linkEncoding.EncodedLen(linkLongest) || strings.ContainsAny(token, "\r\n") {
		return Scope{}, ErrLink
	}
	b, err := linkEncoding.DecodeString(token)
	if err != nil || len(b) < linkFixed+linkSignature {
		return Scope{}, ErrLink
	}
	signed, signature := b[:len(b)-linkSignature], b[len(b)-linkSignature:]
	rest := signed[linkFixed:]
	n := int(signed[linkFixed-1])
	if n > len(rest) || !keyID.Match(rest[:n]) {
		return Scope{}, ErrLink
	}
	id := string(rest[:n])
	if !hmac.Equal(signature, k.signature(id, signed)) {
		return Scope{}, ErrLink
	}
	s := Scope{
		Kind:     ScopeKind(b[0]),
		Activity: string(rest[n:]),
		Region:   Region(binary.BigEndian.Uint32(b) & 0xffffff),
		School:   SchoolCode(b[4])<<32 | SchoolCode(binary.BigEndian.Uint32(b[5:])),
		Grade:    int(b[9]),
		Class:    int(binary.BigEndian.Uint16(b[10:])),
	}
	if s.Validate() != nil {
		return Scope{}, ErrLink
	}
	switch {
	case !slices.Contains(k.ids, id):
		return s, ErrLinkRevoked
	case now.Unix() >= int64(binary.BigEndian.Uint32(b[12:])):
		return s, ErrLinkExpired
	}
	return s, nil
}

// Cookie is the cookie that keeps the token of a link of this kind: one browser may
// hold one of each.
func (k ScopeKind) Cookie() string { return "canyu_" + k.String() }

// Access is every scope that a visitor holds.
type Access []Scope

// Access opens the visitor's cookies. cookie returns "" for one that was not sent.
func (k *Keyring) Access(cookie func(name string) string, now time.Time) Access {
	var a Access
	for kind := ClassScope; kind <= AdminScope; kind++ {
		if token := cookie(kind.Cookie()); token != "" {
			if s, err := k.Open(token, now); err == nil {
				a = append(a, s)
			}
		}
	}
	return a
}

// Covers reports whether one of the scopes covers want.
func (a Access) Covers(want Scope) bool {
	return slices.ContainsFunc(a, func(s Scope) bool { return s.Covers(want) })
}

// Check is nil where a visitor with these cookies may see want, else why not:
// ErrLinkExpired or ErrLinkRevoked where a link was the right one once, ErrScope
// where there are others, ErrLink where what was sent is no link, ErrNoLink where
// nothing was.
func (k *Keyring) Check(cookie func(name string) string, want Scope, now time.Time) error {
	reasons := []error{ErrNoLink, ErrLink, ErrScope, ErrLinkRevoked, ErrLinkExpired}
	why := 0
	for kind := ClassScope; kind <= AdminScope; kind++ {
		token := cookie(kind.Cookie())
		if token == "" {
			continue
		}
		s, err := k.Open(token, now)
		if err == nil && s.Covers(want) {
			return nil
		}
		if err == nil || err != ErrLink && !s.Covers(want) { //nolint:errorlint // Open's own
			err = ErrScope
		}
		why = max(why, slices.Index(reasons, err))
	}
	return reasons[why]
}
