package ingest

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/canyu/canyu"
)

//go:embed page/*.html page/*.css page/*.js page/flower.svg page/*.json
var pageFiles embed.FS

// texts are those of one language, by key; see page/*.json.
type texts map[string]string

// languageOrder begins with the one for browsers that ask for nothing.
var languageOrder = []string{"zh-Hans", "zh-Hant", "en"}

var languages = func() map[string]texts {
	all := make(map[string]texts)
	for _, lang := range languageOrder {
		b, err := pageFiles.ReadFile("page/" + lang + ".json")
		if err != nil {
			panic("BUG: " + err.Error())
		}
		var t texts
		if err := json.Unmarshal(b, &t); err != nil {
			panic("BUG: page/" + lang + ".json: " + err.Error())
		}
		all[lang] = t
	}
	return all
}()

var languageMatcher = language.NewMatcher([]language.Tag{
	language.MustParse("zh-Hans"), language.MustParse("zh-Hant"), language.English,
})

// preferred chooses by the header Accept-Language.
func preferred(header string) string {
	tags, _, err := language.ParseAcceptLanguage(header[:min(len(header), 200)])
	if err != nil {
		return languageOrder[0]
	}
	_, i, _ := languageMatcher.Match(tags...)
	return languageOrder[i]
}

// Say is the text of a key, with what it speaks of.
func (t texts) Say(key string, args ...any) string {
	if len(args) == 0 {
		return t[key]
	}
	return fmt.Sprintf(t[key], args...)
}

// Live are the texts that scripts need.
func (t texts) Live() texts {
	live := make(texts)
	for k, v := range t {
		for _, prefix := range []string{"live.", "class.", "error.seat", "error.name", "error.consent", "thanks.school.", "thanks.repeat.seat"} {
			if strings.HasPrefix(k, prefix) {
				live[k] = v
			}
		}
	}
	return live
}

func (t texts) day(d canyu.Day) string {
	y, m, day := d.Date()
	if !strings.Contains(t["date"], "%[4]") {
		return t.Say("date", y, int(m), day)
	}
	return t.Say("date", y, int(m), day, m.String())
}

func (t texts) grade(g uint8) string {
	names := strings.Fields(t["grades"])
	return strings.ReplaceAll(names[g-1], "_", " ")
}

// classOf is a class as its school calls it: 三年级2班.
func (t texts) classOf(grade uint8, number uint16) string {
	s := t.grade(grade)
	if strings.Contains(s, " ") {
		s += ", "
	}
	return s + t.Say("class", number)
}

// step is the title and hint of a step; one that nobody has written a text for is
// called by its id.
func (t texts) step(id string) (title, hint string) {
	if title = t["step."+id]; title == "" {
		title = id
	}
	return title, t["step."+id+".hint"]
}

// grouped writes 874552 as 874,552.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
