package reports

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/canyu/canyu"
)

// CSV writes the classes as CSV for programs that read nothing else: UTF-8 with
// the mark that Excel needs to see that it is.
func (r *Report) CSV(w io.Writer, lang string) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	s := r.speaker(lang)
	out := csv.NewWriter(w)
	out.UseCRLF = true
	head := []string{s.say("code"), s.say("school"), s.say("grade"), s.say("class"), s.say("enrolled"), s.role(canyu.Student), s.say("rate")}
	if err := out.Write(head); err != nil {
		return err
	}
	for i := range r.Schools {
		school := &r.Schools[i]
		for _, c := range school.Classes {
			ratio := ""
			if q := rate(c.Student, c.Enrolled); q != nil {
				ratio = decimal(*q)
			}
			if err := out.Write([]string{school.School.String(), harmless(school.Name), strconv.Itoa(int(c.Grade)), strconv.Itoa(int(c.Class)),
				strconv.Itoa(c.Enrolled), strconv.Itoa(c.Student), ratio}); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// harmless keeps a text from being read as a formula.
func harmless(text string) string {
	if strings.IndexAny(text, "=+-@\t\r") == 0 {
		return "'" + text
	}
	return text
}

// decimal is a rate with four decimals.
func decimal(rate float64) string { return strconv.FormatFloat(cut(rate), 'f', 4, 64) }
