package ingest

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

// messageStep is done by writing a message; the others are ticked.
const messageStep = "message"

// pageForm is a form as it was sent.
type pageForm struct {
	canyu.Submission
	seat    string // as it was typed
	consent bool
}

// newForm is an empty form for a class. Its id makes sending it twice harmless.
func newForm(c choice, a *canyu.Activity) *pageForm {
	f := &pageForm{Submission: canyu.Submission{Activity: a.ID, School: c.school, Role: c.role, ID: rand.Text()}}
	f.Grade, _ = strconv.Atoi(c.grade)
	f.Class, _ = strconv.Atoi(c.class)
	if r, err := canyu.ParseRole(c.role); err != nil || !slices.Contains(a.Roles, r) {
		f.Role = a.Roles[0].String()
	}
	return f
}

func readForm(args *fasthttp.Args, a *canyu.Activity) *pageForm {
	f := &pageForm{seat: arg(args, "seat"), consent: args.Has("consent"), Submission: canyu.Submission{
		Activity: a.ID,
		School:   arg(args, "school"),
		Role:     arg(args, "role"),
		Name:     arg(args, "name"),
		Message:  strings.TrimSpace(strings.ReplaceAll(arg(args, "message"), "\r\n", "\n")),
		ID:       arg(args, "id"),
	}}
	f.Grade, _ = strconv.Atoi(arg(args, "grade"))
	f.Class, _ = strconv.Atoi(arg(args, "class"))
	if s := strings.TrimSpace(norm.NFKC.String(f.seat)); s != "" {
		f.HasSeat = true
		f.Seat, _ = strconv.Atoi(s)
	}
	for _, step := range args.PeekMulti("steps") {
		f.Steps = append(f.Steps, strings.ToValidUTF8(string(step), string(utf8.RuneError)))
	}
	if f.Message != "" && slices.Contains(a.Steps, messageStep) && !slices.Contains(f.Steps, messageStep) {
		f.Steps = append(f.Steps, messageStep)
	}
	return f
}

// stepsMissing are those still to be done, other than the message.
func (f *pageForm) stepsMissing(a *canyu.Activity) (missing []string) {
	for _, step := range a.Steps {
		if step != messageStep && !slices.Contains(f.Steps, step) {
			missing = append(missing, step)
		}
	}
	return missing
}

// fieldErrors says in the visitor's language what Validate found. The keys are the
// names of fields; "steps." and the id for a step.
func fieldErrors(t texts, invalid canyu.InvalidError, steps []string, f *pageForm, r *canyu.Roster) map[string]string {
	m := make(map[string]string)
	for _, e := range invalid {
		switch e.Field {
		case "seat":
			m["seat"] = t.Say("error.seat")
			if f.HasSeat {
				m["seat"] = t.Say("error.seat.range", f.enrolled(r))
			}
		case "name":
			m["name"] = t.Say("error.name")
			if strings.TrimSpace(f.Name) != "" {
				m["name"] = t.Say("error.name.long", canyu.MaxName)
			}
		case "message":
			m["message"] = t.Say("error.message", canyu.MaxMessage, utf8.RuneCountInString(f.Message))
		default:
			m[e.Field] = t.Say("error." + e.Field)
		}
	}
	for _, step := range steps {
		m["steps."+step] = t.Say("error.steps")
	}
	return m
}

func (f *pageForm) enrolled(r *canyu.Roster) int {
	code, err := canyu.ParseSchoolCode(f.School)
	if err != nil {
		return 0
	}
	n := 0
	if s := r.School(code); s != nil {
		n, _ = s.Enrolled(uint8(f.Grade), uint16(f.Class))
	}
	return n
}

// formView is the form as it is drawn.
type formView struct {
	Action, Activity, School, Role, ID, Mode string
	Grade, Class                             int
	Steps                                    []stepView
	Seat, Name, Message                      *fieldView
	Wrong                                    bool // it comes back with mistakes
	Consent                                  *consentBox
}

// consentBox is to be ticked before anything is sent.
type consentBox struct {
	Error  string
	Ticked bool
}

// stepView as JSON is what the scripts need.
type stepView struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Hint    string `json:"hint"`
	Picture string `json:"picture,omitempty"`
	Error   string `json:"-"`
	Done    bool   `json:"-"`
}

type fieldView struct {
	ID, Label, Hint, Value, Error string
	Max                           int
	Highest                       int // of a number
}

// form shows the form of a class that is in the roster, with what was typed.
func (p *pageRequest) form(r *canyu.Roster, f *pageForm, errs map[string]string, status int) {
	role, err := canyu.ParseRole(f.Role)
	if err != nil || !slices.Contains(p.a.Roles, role) { // an address or a form that was not ours
		role, f.Role = p.a.Roles[0], p.a.Roles[0].String()
	}
	for _, field := range []string{"steps", "id", "role"} { // fields that are not seen
		if errs[field] != "" {
			p.Alert = errs[field]
			f.ID = rand.Text()
		}
	}
	p.Where = p.whereClass(r)
	for _, other := range p.a.Roles {
		to := p.at
		to.role = other.String()
		p.Roles = append(p.Roles, link{URL: p.url(to), Text: p.T.Say("role." + other.String()), Current: other == role})
	}
	v := &formView{
		Action: p.url(choice{}), Activity: p.a.ID, School: f.School, Grade: f.Grade, Class: f.Class,
		Role: f.Role, ID: f.ID, Mode: p.at.mode, Wrong: len(errs) > 0 || p.Alert != "",
		Steps: p.steps(),
	}
	for _, id := range p.a.Steps {
		if id == messageStep {
			v.Message = &fieldView{
				Label: p.T.Say("message"), Hint: p.T.Say("message.hint", canyu.MaxMessage),
				Value: f.Message, Error: errs["message"], Max: canyu.MaxMessage,
			}
		}
	}
	for i := range v.Steps {
		step := &v.Steps[i]
		step.Done, step.Error = slices.Contains(f.Steps, step.ID), errs["steps."+step.ID]
	}
	if p.a.Identify.BySeat(role) {
		v.Seat = &fieldView{
			ID: "seat", Label: p.T.Say("seat"), Value: f.seat, Error: errs["seat"], Max: 8, Highest: f.enrolled(r),
		}
		if n := v.Seat.Highest; n > 0 {
			v.Seat.Hint = p.T.Say("seat.hint", n)
		}
		if seat := p.atSeat(); seat != "" && v.Seat.Value == "" {
			v.Seat.Value = seat
		}
		if role == canyu.Parent {
			v.Seat.Label = p.T.Say("seat.parent")
		}
	}
	if p.a.Identify.ByName(role) {
		v.Name = &fieldView{
			ID: "name", Label: p.T.Say("name." + role.String()), Hint: p.T.Say("name.hint"),
			Value: f.Name, Error: errs["name"], Max: canyu.MaxName,
		}
	}
	policy := p.policy(r)
	p.tell(role, policy, v.Message != nil)
	if p.told.Required {
		v.Consent = &consentBox{Error: errs["consent"], Ticked: f.consent}
	}
	p.Form = v
	p.at.role = f.Role
	if p.oneScreen() {
		p.OneScreen = p.url(p.at.oneScreen())
	}
	p.thanks(role, policy)
	p.write(status, "form")
}

// steps are all but the message.
func (p *pageRequest) steps() []stepView {
	steps := []stepView{}
	for _, id := range p.a.Steps {
		if id != messageStep {
			title, hint := p.T.step(id)
			steps = append(steps, stepView{ID: id, Title: title, Hint: hint, Picture: p.Theme.Picture(id)})
		}
	}
	return steps
}

// wait says that nothing was recorded, because too much came before.
func (p *pageRequest) wait(r *canyu.Roster, f *pageForm, why *problem) {
	p.Alert = p.T.Say("error.often")
	p.ctx.Response.Header.Set("Retry-After", why.retryAfter)
	p.form(r, f, nil, why.Status)
}

// away says that nothing was recorded. What was typed stays in the form.
func (p *pageRequest) away(r *canyu.Roster, f *pageForm) {
	p.Alert = p.T.Say("error.away")
	p.ctx.Response.Header.Set("Retry-After", "5")
	p.form(r, f, nil, fasthttp.StatusServiceUnavailable)
}
