package reports

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// Languages that reports are written in; the first is the default.
var Languages = []string{"zh-Hans", "zh-Hant", "en"}

// words.txt holds every word of a report: a key, then one line for each language.
//
//go:embed words.txt
var wordsText string

var dictionary = parseWords(wordsText)

func parseWords(text string) map[string][]string {
	d := make(map[string][]string)
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(block, "\n")
		d[lines[0]] = lines[1:]
	}
	return d
}

// speaker says things in one language.
type speaker struct {
	lang      int  // index into Languages
	voluntary bool // nobody must: keys that have such words end in it
}

// language is the one asked for, else the first that the activity has a title in.
func language(asked string, a *canyu.Activity) speaker {
	for i, l := range Languages {
		if l == asked {
			return speaker{lang: i}
		}
	}
	for i, l := range Languages {
		if a.Title[l] != "" {
			return speaker{lang: i}
		}
	}
	return speaker{}
}

func (s speaker) tag() string { return Languages[s.lang] }

// words of a key, nil where there are none.
func (s speaker) words(of map[string][]string, key string) []string {
	if s.voluntary {
		if in := of[key+".voluntary"]; in != nil {
			return in
		}
	}
	return of[key]
}

// say is the text of a key with its places filled in.
func (s speaker) say(key string, args ...any) string {
	in := s.words(dictionary, key)
	if s.lang >= len(in) {
		return key
	}
	if len(args) == 0 {
		return in[s.lang]
	}
	return fmt.Sprintf(in[s.lang], args...)
}

// date is 2017年4月1日 星期六, or Saturday 1 April 2017.
func (s speaker) date(d canyu.Day) string {
	y, m, day := d.Date()
	if s.tag() == "en" {
		return fmt.Sprintf("%s %d %s %d", d.Weekday(), day, m, y)
	}
	return fmt.Sprintf("%d年%d月%d日 星期%c", y, m, day, []rune("日一二三四五六")[d.Weekday()])
}

// moment is an instant in the activity's zone; midnight belongs to the day that ends.
func (s speaker) moment(t time.Time) string {
	clock := t.Format("15:04")
	if clock == "00:00" {
		t, clock = t.Add(-time.Hour), "24:00"
	}
	if s.tag() == "en" {
		return t.Format("2 January 2006, ") + clock
	}
	return t.Format("2006年1月2日 ") + clock
}

// zone is Asia/Shanghai (UTC+08:00).
func (s speaker) zone(t time.Time) string {
	return fmt.Sprintf("%s (UTC%s)", t.Location(), t.Format("-07:00"))
}

// number is 12,345.
func number(n int) string {
	digits := fmt.Sprint(max(n, -n))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n < 0 {
		return "−" + digits
	}
	return digits
}

// percent is cut, never rounded up: 100 % is said of nothing less.
func percent(r *float64) string {
	if r == nil {
		return "–"
	}
	tenths := int(*r*1000 + 1e-9)
	if tenths%1000 == 0 {
		return fmt.Sprintf("%d%%", tenths/10)
	}
	return fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
}

func (s speaker) role(r canyu.Role) string { return s.say(r.String()) }
