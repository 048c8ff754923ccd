package reports

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	ahocorasick "github.com/petar-dambovaliev/aho-corasick"
	"golang.org/x/text/unicode/norm"
)

// Screen finds what is to be looked at with care before it is on a wall: words of a
// list, and how to reach somebody, which children write down. It refuses nothing.
type Screen struct {
	words   []string // as they stand in the list
	matcher ahocorasick.AhoCorasick
}

// The reasons to hold a message. HeldWord is followed by a colon and the word.
const (
	HeldWord    = "word"
	HeldPhone   = "phone"
	HeldCard    = "card"    // the number of an identity card
	HeldAccount = "account" // of QQ, WeChat…
	HeldLink    = "link"    // a web or e-mail address
	HeldNumber  = "number"  // a long one
)

// ReadScreen reads a list of words, one a line, in UTF-8; lines that begin with # are
// not words. Every mistake is told.
func ReadScreen(r io.Reader) (*Screen, error) {
	s := &Screen{}
	var folded []string
	var errs []error
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		word := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		switch {
		case !utf8.ValidString(word):
			errs = append(errs, fmt.Errorf("line %d: is no UTF-8", n))
		case word == "" || strings.HasPrefix(word, "#"):
		case fold(word) == "":
			errs = append(errs, fmt.Errorf("line %d: %q has no letter or number", n, word))
		default:
			s.words, folded = append(s.words, word), append(folded, fold(word))
		}
	}
	if err := errors.Join(append(errs, lines.Err())...); err != nil {
		return nil, fmt.Errorf("cannot read the list of words: %w", err)
	}
	s.matcher = newMatcher(folded)
	return s, nil
}

func newMatcher(folded []string) ahocorasick.AhoCorasick {
	b := ahocorasick.NewAhoCorasickBuilder(ahocorasick.Opts{MatchKind: ahocorasick.LeftMostLongestMatch, DFA: true})
	return b.Build(folded)
}

// Hold is the reason to look at a text with care, "" for most.
func (s *Screen) Hold(text string) string {
	if reason := contact(text); reason != "" {
		return reason
	}
	if len(s.words) > 0 {
		if m := s.matcher.Iter(fold(text)).Next(); m != nil {
			return HeldWord + ":" + s.words[m.Pattern()]
		}
	}
	return ""
}

// fold keeps letters and numbers, in one form: 傻　瓜, 傻.瓜 and ｓｂ are what is meant.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return -1
		}
		return simplified(unicode.ToLower(r))
	}, norm.NFKC.String(text))
}

// simplified.txt has pairs of characters.
//
//go:embed simplified.txt
var simplifiedPairs string

var simplifiedOf = sync.OnceValue(func() map[rune]rune {
	m := make(map[rune]rune)
	for line := range strings.Lines(simplifiedPairs) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for pair := range strings.FieldsSeq(line) {
			from, n := utf8.DecodeRuneInString(pair)
			m[from], _ = utf8.DecodeRuneInString(pair[n:])
		}
	}
	return m
})

func simplified(r rune) rune {
	if r < 0x3400 {
		return r
	}
	if s, ok := simplifiedOf()[r]; ok {
		return s
	}
	return r
}

var (
	cardPattern    = regexp.MustCompile(`(^|\D)[1-9]\d{16}[\dx]($|[^\dx])`)
	phonePattern   = regexp.MustCompile(`(^|\D)((86)?1[3-9]\d{9}|0\d{2,3}[2-9]\d{6,7}|400\d{7})($|\D)`)
	numberPattern  = regexp.MustCompile(`\d{9}`)
	linkPattern    = regexp.MustCompile(`https?:/|www\.|[a-z0-9_.+-]+@[a-z0-9-]+\.|[a-z0-9-]\.(com|cn|net|org|top|xyz|cc|tv|io|vip|info|club|site|me)($|[^a-z])`)
	accountPattern = regexp.MustCompile(`(qq|扣扣|企鹅|微信|薇信|威信|v信|vx|weixin|wechat|抖音|快手|小红书)[^a-z0-9]{0,8}[a-z0-9_-]{5,}`)
	befriend       = regexp.MustCompile(`加(我|你|个|一下)?的?(qq|扣扣|微信|薇信|威信|v信|vx|好友)`)
)

const chineseDigits = "零一二三四五六七八九"

// contact is how a text tells to reach somebody, "" for most. Years and dates, of
// which messages are full, are no telephone numbers.
func contact(text string) string {
	digits, dots, latin := 0, false, false
	tight := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		r = simplified(unicode.ToLower(r))
		switch r {
		case '〇':
			r = '0'
		case '幺':
			r = '1'
		case '。', '．': // NFKC leaves the first
			r = '.'
		}
		if i := strings.IndexRune(chineseDigits, r); i >= 0 {
			r = '0' + rune(i/len("零"))
		}
		if '0' <= r && r <= '9' {
			digits++
		}
		dots = dots || r == '.' || r == '@' || r == ':'
		latin = latin || 'a' <= r && r <= 'z'
		return r
	}, norm.NFKC.String(text))
	joined := tight
	if digits >= 10 {
		joined = strings.NewReplacer("-", "", "–", "", "—", "", "(", "", ")", "").Replace(tight)
	}
	switch {
	case digits >= 17 && cardPattern.MatchString(joined):
		return HeldCard
	case digits >= 10 && phonePattern.MatchString(joined):
		return HeldPhone
	case dots && latin && linkPattern.MatchString(tight):
		return HeldLink
	case (latin || digits >= 5) && accountPattern.MatchString(tight), befriend.MatchString(tight):
		return HeldAccount
	case digits >= 9 && numberPattern.MatchString(tight):
		return HeldNumber
	}
	return ""
}
