package reports

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/canyu/canyu"
)

// explain.txt has the words of explanations, in the form of words.txt.
//
//go:embed explain.txt
var explainText string

var explainDictionary = parseWords(explainText)

func (s speaker) explain(key string, args ...any) string {
	in := explainDictionary[key]
	if s.lang >= len(in) {
		return key
	}
	if len(args) == 0 {
		return in[s.lang]
	}
	return fmt.Sprintf(in[s.lang], args...)
}

// Explanation tells how numbers of a report come about: from the report to rollups,
// facts and ledger, in each line what lies between two of them; and what is in none of
// them, and why.
type Explanation struct {
	canyu.Trace
	Report   *Report
	Activity *canyu.Activity
	Frozen   bool   // else the numbers are those of this moment
	Key      string // that the report is signed with; "" for none
	Unsigned error  // why its signature is none

	Name  string      // of the school or region
	Code  string      // its code
	Class canyu.Class // the zero Class: all of the school or region

	Told            canyu.Tally // by the report
	ToldSubmissions int         // −1 where it does not tell
	ToldEnrolled    int
	Enrolled        int // as the roster is now

	Refused []canyu.Refusal // of the school or region
	Held    []canyu.HeldGroup
	Erased  int    // how many participants were erased since the report, by the audit log
	Letters int    // participants who wait in dead letters of this machine
	Purged  string // when the participants were destroyed
}

// step is a line of the table.
type step struct {
	sign string // + − or =
	text string
	n    canyu.Tally
	keep bool // also where it is zero
}

// late are those who came before the report's moment and are not in it; what is less
// than nothing is in the report alone. Who came while it was being frozen may be in it,
// though the moment stands before them.
func (e *Explanation) late() (late, after canyu.Tally) {
	after = e.After
	for _, r := range e.roles() {
		late[r] = e.Until[r] - after[r] - e.Told[r]
		if n := -late[r]; n > 0 && n <= e.Around[r] {
			after[r], late[r] = after[r]-n, 0
		}
	}
	return late, after
}

// steps lead from the report to the ledger, and faults say where they do not.
func (e *Explanation) steps(s speaker) (steps []step, faults []string) {
	fault := func(key string, args ...any) { faults = append(faults, s.explain("fault."+key, args...)) }
	late, after := e.late()
	gone := canyu.Tally{}
	lost := 0
	for r, n := range late {
		if n < 0 {
			gone[r], late[r] = n, 0
			lost -= n
		}
	}
	told := s.explain("told.now")
	if e.Frozen {
		told = s.explain("told", e.Report.Revision, s.moment(e.Report.AsOf))
	}
	steps = []step{{"", told, e.Told, true}, {"+", s.explain("late"), late, false}, {"−", s.explain("gone"), gone, false},
		{"+", s.explain("after"), after, false}, {"+", s.explain("later"), e.Later, false},
		{"=", s.explain("rollups"), e.Rollups(), true}}
	if lost > e.Erased {
		fault("told", number(lost), number(e.Erased))
	}
	if e.Purged != "" {
		return steps, faults
	}
	admitted := canyu.Tally{}
	for r, n := range e.Admitted {
		admitted[r] = -n
	}
	steps = append(steps, step{"−", s.explain("admitted"), admitted, false}, step{"=", s.explain("facts"), e.Facts, true},
		step{"+", s.explain("pending"), e.Pending, false}, step{"=", s.explain("ledger"), e.Ledger, true})
	if !e.RollupsAgree() {
		fault("rollups")
	}
	if !e.LedgerAgrees() {
		fault("ledger")
	}
	if e.Letters > 0 {
		fault("letters", number(e.Letters))
	}
	return steps, faults
}

// Write prints the explanation, and reports whether the sums add up.
func (e *Explanation) Write(w io.Writer, lang string) (bool, error) {
	s := language(lang, e.Activity)
	steps, faults := e.steps(s)
	switch {
	case e.Unsigned != nil:
		faults = append(faults, s.explain("fault.signature"))
	case e.Frozen && e.Key == "":
		faults = append(faults, s.explain("fault.unsigned"))
	}
	var b strings.Builder
	place := e.Name + " " + e.Code
	if e.Class != (canyu.Class{}) {
		place += " " + s.class(e.Class.Grade, e.Class.Number)
	}
	fmt.Fprintf(&b, "%s · %s · %s\n\n", e.Activity.Title.In(s.tag()), place, s.date(e.Report.Day))
	e.table(&b, s, steps)
	b.WriteString("\n")
	for _, line := range e.notes(s) {
		fmt.Fprintln(&b, line)
	}
	b.WriteString("\n")
	for _, f := range faults {
		fmt.Fprintln(&b, "✗ "+f)
	}
	if len(faults) == 0 {
		fmt.Fprintln(&b, "✓ "+s.explain("adds.up"))
	}
	_, err := io.WriteString(w, b.String())
	return len(faults) == 0, err
}

// roles are those that the report tells of: of a class only its students.
func (e *Explanation) roles() []canyu.Role {
	if e.Class != (canyu.Class{}) {
		return []canyu.Role{canyu.Student}
	}
	return e.Activity.Roles
}

func (e *Explanation) table(b *strings.Builder, s speaker, steps []step) {
	roles, wide := e.roles(), 0
	steps = slices.DeleteFunc(steps, func(l step) bool {
		return !l.keep && !slices.ContainsFunc(roles, func(r canyu.Role) bool { return l.n[r] != 0 })
	})
	for _, l := range steps {
		wide = max(wide, width(l.text)+2)
	}
	line := func(head string, cells []string) {
		b.WriteString(head + strings.Repeat(" ", wide-width(head)))
		for _, c := range cells {
			b.WriteString(strings.Repeat(" ", max(2, 12-width(c))) + c)
		}
		b.WriteString("\n")
	}
	heads := make([]string, len(roles))
	for i, r := range roles {
		heads[i] = s.role(r)
	}
	line("", heads)
	for _, l := range steps {
		cells := make([]string, len(roles))
		for i, r := range roles {
			n := l.n[r]
			if l.sign == "−" {
				n = -n
			}
			cells[i] = number(n)
		}
		sign := l.sign
		if sign == "" {
			sign = " "
		}
		line(sign+" "+l.text, cells)
	}
}

// width is how many columns of a terminal a text takes.
func width(text string) int {
	n := utf8.RuneCountInString(text)
	for _, c := range text {
		if c > 0x2e7f {
			n++
		}
	}
	return n
}

// notes are what else belongs to the numbers, and what is in none of them.
func (e *Explanation) notes(s speaker) (lines []string) {
	note := func(key string, args ...any) { lines = append(lines, "· "+s.explain(key, args...)) }
	note("enrolled", number(e.Told[canyu.Student]), number(e.ToldEnrolled), percent(rate(e.Told[canyu.Student], e.ToldEnrolled)))
	if e.Enrolled != e.ToldEnrolled {
		note("enrolled.now", number(e.Enrolled))
	}
	if e.ToldSubmissions >= 0 {
		note("submissions", number(e.ToldSubmissions), number(e.SubmissionsUntil), number(e.Submissions))
	}
	people := 0
	for _, n := range e.Rollups() {
		people += n
	}
	note("repeats", number(e.Submissions-people))
	if len(e.roles()) > 1 {
		note("roles")
	}
	waiting, left := 0, 0
	for _, g := range e.Held {
		waiting += g.Waiting
		if g.Decision.State == canyu.LeftOut {
			left += g.Submissions - g.Waiting
		}
	}
	if waiting+left > 0 {
		note("held", number(waiting), number(left))
	}
	refused := make(map[string]int)
	for _, r := range e.Refused {
		refused[r.Reason] += r.Count
	}
	if len(refused) > 0 {
		var reasons []string
		for _, reason := range sortedByCount(refused) {
			reasons = append(reasons, s.say("count.is", s.reason(reason), number(refused[reason])))
		}
		key := "refused"
		if e.Class != (canyu.Class{}) {
			key = "refused.school"
		}
		note(key, strings.Join(reasons, s.say("refused.and")))
	}
	if e.Erased > 0 {
		note("erased", number(e.Erased))
	}
	if e.Purged != "" {
		note("purged", e.Purged)
	}
	if e.Key != "" && e.Unsigned == nil {
		note("signed", e.Key)
	}
	return lines
}

func sortedByCount(counts map[string]int) []string {
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if n := counts[b] - counts[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return keys
}
