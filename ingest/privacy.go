package ingest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Notice is what an activity tells pupils and their guardians about their data before
// anything is sent. What it leaves out is made from the activity as it is; the zero
// Notice says nothing that is not so.
type Notice struct {
	By       canyu.Text // who collects
	Contact  string     // whom to ask
	Required bool       // the form has a box that is to be ticked
	Short    canyu.Text // instead of what stands beside the form
	Full     canyu.Text // instead of the page; an empty line begins a new paragraph
}

// notice is never nil.
func (s *Server) notice(a *canyu.Activity) *Notice {
	if n := s.Notices[a.ID]; n != nil {
		return n
	}
	return new(Notice)
}

var privacyTexts = func() (all map[string]texts) {
	b, err := pageFiles.ReadFile("page/privacy.json")
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		panic("BUG: page/privacy.json: " + err.Error())
	}
	return all
}()

// toldView is the short of it, beside the form.
type toldView struct{ Text string }

// toldAbout is a part of the whole.
type toldAbout struct {
	Head string
	Text []string
}

func (p *pageRequest) privacyURL(lang string) string {
	if lang == "" {
		return "/a/" + p.a.ID + "/privacy"
	}
	return "/a/" + p.a.ID + "/privacy?lang=" + lang
}

// policy is that of the school that was chosen, or else the strictest.
func (p *pageRequest) policy(r *canyu.Roster) canyu.Policy {
	if code, err := canyu.ParseSchoolCode(p.at.school); err == nil {
		if sc := r.School(code); sc != nil {
			return p.a.Policy(sc.Region)
		}
	}
	return p.a.Policy(canyu.Nation)
}

// tell puts the short notice beside a form for this role.
func (p *pageRequest) tell(role canyu.Role, policy canyu.Policy, messages bool) {
	if text := p.told.Short.In(p.Lang); text != "" {
		p.Told = &toldView{text}
		return
	}
	t := privacyTexts[p.Lang]
	by := p.told.By.In(p.Lang)
	if by == "" {
		by = t["organiser"]
	}
	var say []string
	if policy.Voluntary {
		say = append(say, t["voluntary"])
	}
	say = append(say, t.Say("short", by, p.dataOf(role)))
	switch {
	case messages && !policy.NoWall:
		say = append(say, t["short.message.wall"])
	case messages:
		say = append(say, t["short.message"])
	}
	if role == canyu.Student {
		say = append(say, t["short.guardian"])
	}
	p.Told = &toldView{p.sentences(say)}
}

// sentences joins them as the language does.
func (p *pageRequest) sentences(list []string) string {
	if p.Lang == "en" {
		return strings.Join(list, " ")
	}
	return strings.Join(list, "")
}

// dataOf is what is collected of a role.
func (p *pageRequest) dataOf(role canyu.Role) string {
	key := "data." + role.String()
	if role == canyu.Student {
		key += "." + string(p.a.Identify)
	}
	return privacyTexts[p.Lang][key]
}

// privacy is GET /a/{activity}/privacy: the whole notice, also before and after the
// activity.
func (s *Server) privacy(ctx *fasthttp.RequestCtx, id string) {
	a := s.activity(id)
	if a == nil {
		s.page(ctx, id) // which says that it does not know it
		return
	}
	p := s.newPage(ctx, a)
	p.Languages = p.languages(p.privacyURL)
	p.Back = p.url(choice{})
	if full := p.told.Full.In(p.Lang); full != "" {
		p.Sections = []toldAbout{{Text: slices.DeleteFunc(strings.Split(strings.TrimSpace(full), "\n\n"), func(s string) bool { return s == "" })}}
	} else {
		p.Sections = p.sections(p.policy(s.roster()))
	}
	p.write(fasthttp.StatusOK, "privacy")
}

// sections are the whole notice, as the activity is.
func (p *pageRequest) sections(policy canyu.Policy) []toldAbout {
	t := privacyTexts[p.Lang]
	messages := slices.Contains(p.a.Steps, messageStep)
	either := func(is bool, yes, no string) string {
		if is {
			return t[yes]
		}
		return t[no]
	}
	who := []string{t["who.organiser"], t["who.ask"]}
	if by := p.told.By.In(p.Lang); by != "" {
		who[0] = t.Say("who.by", by)
	}
	if p.told.Contact != "" {
		who[1] = t.Say("who.contact", p.told.Contact)
	}
	var what []string
	for _, role := range p.a.Roles {
		what = append(what, t.Say("what.line", p.T.Say("role."+role.String()), p.dataOf(role)))
	}
	what = append(what, either(messages, "what.steps", "what.steps.only"), t["what.not"])
	why := []string{t["why.count"], either(p.a.Identify == canyu.BySeat, "why.seat", "why.name")}
	if policy.Voluntary {
		why = append(why, t["voluntary"])
	}
	see := []string{t["see.all"]}
	if counts := policy.Public.Counts; counts != "" {
		see[0] = t["see."+string(counts)]
	}
	if policy.Public.AtLeast > 0 && policy.Public.Counts != canyu.NoCounts {
		see = append(see, t.Say("see.least", policy.Public.AtLeast))
	}
	if p.a.Identify == canyu.BySeat && !policy.NoNotYet {
		see = append(see, t["see.seats"])
	}
	if messages {
		see = append(see, either(policy.NoWall, "see.message", "see.wall"))
	}
	see = append(see, either(messages, "see.mail", "see.mail.plain"))
	kept := p.a.Retention.Days()
	keep := []string{t.Say("keep.days", kept.Participants)}
	if messages {
		keep = append([]string{t.Say("keep.messages", kept.Messages)}, keep...)
	}
	return []toldAbout{
		{t["who"], who}, {t["what"], what}, {t["why"], why}, {t["see"], see},
		{t["keep"], keep},
		{t["child"], []string{t["child.text"]}},
		{t["impact"], []string{t["impact.text"]}},
		{t["rights"], []string{t["rights.text"]}},
		{t["law"], []string{t["law.text"]}},
	}
}
