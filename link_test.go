package canyu_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

var (
	linkSecret = bytes.Repeat([]byte{7}, 32)
	linkNow    = time.Unix(1491004800, 0)
	classLink  = canyu.Scope{Kind: canyu.ClassScope, Activity: "qingming-2017", Region: 341802, School: 3418020001, Grade: 3, Class: 2}
	schoolLink = canyu.Scope{Kind: canyu.SchoolScope, Region: 341802, School: 3418020001}
	countyLink = canyu.Scope{Kind: canyu.RegionScope, Region: 341802}
	cityLink   = canyu.Scope{Kind: canyu.RegionScope, Region: 341800}
	nationLink = canyu.Scope{Kind: canyu.RegionScope, Region: canyu.Nation}
	adminLink  = canyu.Scope{Kind: canyu.AdminScope}
)

func sign(t testing.TB, k *canyu.Keyring, s canyu.Scope) string {
	t.Helper()
	token, err := k.Sign(s, linkNow.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestLinkRoundTrip(t *testing.T) {
	t.Parallel()
	k := canyu.NewKeyring(linkSecret, "a")
	extreme := canyu.Scope{Kind: canyu.ClassScope, Activity: "a123456789012345678901234567890123456789", Region: 999999, School: 9999999999, Grade: canyu.MaxGrade, Class: canyu.MaxClass}
	for _, s := range []canyu.Scope{classLink, schoolLink, countyLink, cityLink, nationLink, adminLink, extreme} {
		if got, err := k.Open(sign(t, k, s), linkNow); err != nil || got != s {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	}
	if n := len(sign(t, k, classLink)); n > 63 {
		t.Errorf("a class's link has %d characters: its QR code grows", n)
	}
}

func TestLinkFlippedIsRefused(t *testing.T) {
	t.Parallel()
	k := canyu.NewKeyring(linkSecret, "a", "ab")
	token := sign(t, k, classLink)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(raw) {
		flipped := slices.Clone(raw)
		flipped[i/8] ^= 1 << (i % 8)
		if s, err := k.Open(base64.RawURLEncoding.EncodeToString(flipped), linkNow); !errors.Is(err, canyu.ErrLink) || s != (canyu.Scope{}) {
			t.Errorf("bit %d flipped: %+v, %v", i, s, err)
		}
	}
	// Every other spelling of the same bytes, too.
	for _, other := range []string{token + "=", token + "\n", token[:10] + "\r\n" + token[10:], token[:len(token)-1], token + "A", " " + token, ""} {
		if _, err := k.Open(other, linkNow); !errors.Is(err, canyu.ErrLink) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestLinkExpiresAndIsRevoked(t *testing.T) {
	t.Parallel()
	both, newer := canyu.NewKeyring(linkSecret, "a", "b"), canyu.NewKeyring(linkSecret, "b")
	byA, byB := sign(t, both, schoolLink), sign(t, newer, schoolLink)
	for _, c := range []struct {
		name  string
		ring  *canyu.Keyring
		token string
		at    time.Time
		want  error
	}{
		{"the first key signs", both, byA, linkNow, nil},
		{"an older key still opens", canyu.NewKeyring(linkSecret, "b", "a"), byA, linkNow, nil},
		{"revoked", newer, byA, linkNow, canyu.ErrLinkRevoked},
		{"all revoked", canyu.NewKeyring(linkSecret), byB, linkNow, canyu.ErrLinkRevoked},
		{"its last second", both, byB, linkNow.Add(time.Hour - time.Second), nil},
		{"expired", both, byB, linkNow.Add(time.Hour), canyu.ErrLinkExpired},
		{"another site", canyu.NewKeyring([]byte("another"), "a", "b"), byA, linkNow, canyu.ErrLink},
	} {
		s, err := c.ring.Open(c.token, c.at)
		if !errors.Is(err, c.want) || (c.want != canyu.ErrLink) != (s == schoolLink) { //nolint:errorlint // which of two
			t.Errorf("%s: %+v, %v", c.name, s, err)
		}
	}
	if _, err := canyu.NewKeyring(linkSecret).Sign(schoolLink, linkNow); err == nil {
		t.Error("signed without a key")
	}
	for _, bad := range []canyu.Scope{
		{}, {Kind: 9}, {Kind: canyu.RegionScope}, {Kind: canyu.SchoolScope}, {Kind: canyu.AdminScope, Activity: "No!"},
		{Kind: canyu.ClassScope, School: 1, Grade: 13, Class: 1}, {Kind: canyu.ClassScope, School: 1, Grade: 1, Class: 1000},
		{Kind: canyu.SchoolScope, School: 10000000000}, {Kind: canyu.RegionScope, Region: 1 << 24},
	} {
		if _, err := both.Sign(bad, linkNow); err == nil {
			t.Errorf("signed %+v", bad)
		}
	}
}

func TestScopeCovers(t *testing.T) {
	t.Parallel()
	with := func(s canyu.Scope, change func(*canyu.Scope)) canyu.Scope { change(&s); return s }
	wants := []struct {
		name string
		canyu.Scope
		by string // class, school, county, city, other county, nation, admin
	}{
		{"its class", classLink, "YYYY.YY"},
		{"another class", with(classLink, func(s *canyu.Scope) { s.Class = 3 }), ".YYY.YY"},
		{"another grade", with(classLink, func(s *canyu.Scope) { s.Grade = 4 }), ".YYY.YY"},
		{"its school", schoolLink, ".YYY.YY"},
		{"a school of the county", canyu.Scope{Kind: canyu.SchoolScope, Region: 341802, School: 3418020002}, "..YY.YY"},
		{"a school of the next county", canyu.Scope{Kind: canyu.SchoolScope, Region: 341821, School: 3418210001}, "...YYYY"},
		{"a class of the next county", canyu.Scope{Kind: canyu.ClassScope, Region: 341821, School: 3418210001, Grade: 3, Class: 2}, "...YYYY"},
		{"a school whose region nobody knows", canyu.Scope{Kind: canyu.SchoolScope, School: 5}, "......Y"},
		{"the county", countyLink, "..YY.YY"},
		{"the city", cityLink, "...Y.YY"},
		{"the province", canyu.Scope{Kind: canyu.RegionScope, Region: 340000}, ".....YY"},
		{"the nation", nationLink, ".....YY"},
		{"administration", adminLink, "......Y"},
		{"nothing", canyu.Scope{}, "......."},
	}
	class := with(classLink, func(s *canyu.Scope) { s.Activity = "" })
	other := canyu.Scope{Kind: canyu.RegionScope, Region: 341821}
	for _, want := range wants {
		for i, by := range []canyu.Scope{class, schoolLink, countyLink, cityLink, other, nationLink, adminLink} {
			if got := by.Covers(want.Scope); got != (want.by[i] == 'Y') {
				t.Errorf("%s %+v covers %s: %v", by.Kind, by, want.name, got)
			}
			if (canyu.Access{by}).Covers(want.Scope) != by.Covers(want.Scope) {
				t.Errorf("access differs for %s", want.name)
			}
			by.Activity = "another"
			if by.Covers(want.Scope) {
				t.Errorf("%s of another activity covers %s", by.Kind, want.name)
			}
		}
	}
}

func TestCheckTellsWhy(t *testing.T) {
	t.Parallel()
	old, k := canyu.NewKeyring(linkSecret, "old"), canyu.NewKeyring(linkSecret, "new")
	past := func(s canyu.Scope) string {
		token, err := k.Sign(s, linkNow.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	elsewhere := canyu.Scope{Kind: canyu.SchoolScope, Region: 341821, School: 3418210001}
	for _, c := range []struct {
		name    string
		cookies map[string]string
		want    error
	}{
		{"nothing", nil, canyu.ErrNoLink},
		{"the school", map[string]string{"canyu_school": sign(t, k, schoolLink)}, nil},
		{"its class and its county", map[string]string{"canyu_class": sign(t, k, classLink), "canyu_region": sign(t, k, countyLink)}, nil},
		{"its class", map[string]string{"canyu_class": sign(t, k, classLink)}, canyu.ErrScope},
		{"garbage", map[string]string{"canyu_school": "garbage"}, canyu.ErrLink},
		{"expired", map[string]string{"canyu_school": past(schoolLink), "canyu_class": sign(t, k, classLink)}, canyu.ErrLinkExpired},
		{"expired for another", map[string]string{"canyu_school": past(elsewhere)}, canyu.ErrScope},
		{"revoked", map[string]string{"canyu_school": sign(t, old, schoolLink), "canyu_class": "garbage"}, canyu.ErrLinkRevoked},
		{"revoked for another", map[string]string{"canyu_school": sign(t, old, elsewhere)}, canyu.ErrScope},
	} {
		cookie := func(name string) string { return c.cookies[name] }
		if err := k.Check(cookie, schoolLink, linkNow); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if covers := k.Access(cookie, linkNow).Covers(schoolLink); covers != (c.want == nil) {
			t.Errorf("%s: access covers it: %v", c.name, covers)
		}
	}
}

func FuzzLink(f *testing.F) {
	k := canyu.NewKeyring(linkSecret, "a", "b")
	signed := make(map[string]bool)
	for _, s := range []canyu.Scope{classLink, schoolLink, countyLink, adminLink} {
		token := sign(f, k, s)
		signed[token] = true
		f.Add(token)
	}
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		s, err := k.Open(token, linkNow)
		if err == nil && !signed[token] {
			t.Fatalf("%q opens %+v, and nobody signed it", token, s)
		}
		if err == nil && sign(t, k, s) != token {
			t.Fatalf("%q has another spelling", token)
		}
		if err != nil && s != (canyu.Scope{}) {
			t.Fatalf("%q: %v, with %+v", token, err, s)
		}
	})
}
