package reports

import (
	_ "embed"
	"fmt"
	"strings"

	xlanguage "golang.org/x/text/language"
)

// page/words.txt holds the words that only the pages use, in the form of words.txt.
//
//go:embed page/words.txt
var pageWords string

var pageDictionary = parseWords(pageWords + "\n" + reviewWords + "\n" + heldWords)

// page is the text of a key of the pages, or else of the reports.
func (s speaker) page(key string, args ...any) string {
	in := s.words(pageDictionary, key)
	if s.lang >= len(in) {
		return s.say(key, args...)
	}
	if len(args) == 0 {
		return in[s.lang]
	}
	return fmt.Sprintf(in[s.lang], args...)
}

var languageMatcher = xlanguage.NewMatcher([]xlanguage.Tag{
	xlanguage.MustParse("zh-Hans"), xlanguage.MustParse("zh-Hant"), xlanguage.English,
})

// visitorLanguage is the one asked for, else the one that the browser prefers.
func visitorLanguage(asked, accept string) speaker {
	for i, l := range Languages {
		if l == asked {
			return speaker{lang: i}
		}
	}
	tags, _, err := xlanguage.ParseAcceptLanguage(accept[:min(len(accept), 200)])
	if err != nil || len(tags) == 0 {
		return speaker{}
	}
	_, i, _ := languageMatcher.Match(tags...)
	return speaker{lang: i}
}

// grade is 三年级.
func (s speaker) grade(g uint8) string {
	names := strings.Fields(s.page("grades"))
	if g < 1 || int(g) > len(names) {
		return fmt.Sprint(g)
	}
	return strings.ReplaceAll(names[g-1], "_", " ")
}

// class is 三年级2班.
func (s speaker) class(grade uint8, number uint16) string {
	g, c := s.grade(grade), s.page("class.n", number)
	if s.tag() == "en" {
		return g + ", " + c
	}
	return g + c
}

// seats is a list of seats: 3、7、12.
func (s speaker) seats(list []int) string {
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = fmt.Sprint(n)
	}
	return strings.Join(text, s.page("comma"))
}
