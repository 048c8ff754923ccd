package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// The student page is HTML forms and links: region, school and class are chosen by
// links, what was chosen stands in the address, and one form submits. Everything
// works without its scripts, which show the steps one at a time and keep what could
// not be sent yet.

const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

var pageTemplate = template.Must(template.New("").
	Funcs(template.FuncMap{"asset": assetURL, "json": jsonText}).
	ParseFS(pageFiles, "page/*.html"))

// view is what one screen shows.
type view struct {
	Screen    string // index, choose, form, class, thanks, privacy or notice
	Lang      string
	Asked     string // the language of the address
	T         texts
	Theme     *Theme
	Grey      bool
	Heading   string
	Days      string
	Where     *where
	Alert     string
	Titles    []link      // index: of activities
	Search    *searchView // choose
	Lists     []list      // choose
	Roles     []link      // form
	OneScreen string      // form: address of the class at one screen
	Form      *formView   // form
	Class     *gridView   // class
	Thanks    thanksView
	Notice    string // notice
	Detail    string
	Page      string      // its token; "" for those that browsers keep
	Privacy   string      // address of what is told of the data; "" where there is no activity
	Told      *toldView   // form, class: the short of it
	Sections  []toldAbout // privacy: the whole
	Back      string      // privacy
	Languages []link
}

type link struct {
	Note            string // beside it
	URL, Text, Lang string
	Current         bool
}

// where is what has been chosen, and the way back.
type where struct {
	Text, URL, Change string
	Place             string // a class's part of the address, for a browser to remember
}

type thanksView struct {
	Ordinal, Receipt, Again string
	Wall                    string // address of the wall, "" where there is none
	Repeat, Accepted, Held  bool
	School                  string // how many of the school there are by now
	Counts, Role            string // where a script asks for that
	Day                     string
	Seated                  bool   // a pupil who is known by a seat
	Seat, SeatRepeat        string // once it is known: the seat, and that it had taken part before
}

// page is GET and POST of /a/{activity}.
func (s *Server) page(ctx *fasthttp.RequestCtx, activityID string) {
	a := s.activity(activityID)
	if a == nil {
		p := s.newPage(ctx, &canyu.Activity{})
		p.notice(fasthttp.StatusNotFound, "unknown", p.T.Say("unknown.hint"))
		return
	}
	p := s.newPage(ctx, a)
	if ctx.IsPost() {
		if p.open(s, fasthttp.StatusForbidden) {
			p.submit(s)
		}
	} else if p.open(s, fasthttp.StatusOK) {
		p.place(s, s.roster())
	}
}

// pageRequest is one request for the page of an activity, and what it is answered.
type pageRequest struct {
	view
	ctx  *fasthttp.RequestCtx
	a    *canyu.Activity
	lang string // as asked for in the address, "" where the browser's is used
	at   choice // what the address or the form says has been chosen
	told *Notice

	switches canyu.Switches

	today canyu.Day
	sign  func(screen string) string // makes the page's token; nil: none is wanted
}

func (s *Server) newPage(ctx *fasthttp.RequestCtx, a *canyu.Activity) *pageRequest {
	p := &pageRequest{ctx: ctx, a: a, told: s.notice(a), lang: string(ctx.QueryArgs().Peek("lang"))}
	if languages[p.lang] == nil {
		p.lang = ""
	}
	p.Lang = p.lang
	if p.Lang == "" {
		p.Lang = preferred(string(ctx.Request.Header.Peek("Accept-Language")))
	}
	if p.Theme = s.Themes[a.ID]; p.Theme == nil {
		p.Theme = &plainTheme
	}
	p.Asked = p.lang
	p.T = p.Theme.textsIn(p.Lang)
	p.Heading = a.Title.In(p.Lang)
	if a.ID != "" {
		if s.Switches != nil {
			p.switches = s.Switches(a.ID)
		}
		p.today = a.DayOf(s.now())
		p.sign = s.signs(p)
		p.Grey = p.Theme.Grey.On(p.today)
		p.Days = p.T.Say("open.days", p.T.day(a.FirstDay), p.T.day(a.LastDay))
	}
	p.at = choiceOf(ctx.QueryArgs())
	return p
}

// open shows when the activity is, unless it is open now.
func (p *pageRequest) open(s *Server, status int) bool {
	switch err := p.a.Open(s.now()); {
	case errors.Is(err, canyu.ErrNotOpen):
		p.notice(status, "notopen", p.T.Say("notopen.when", p.T.day(p.a.FirstDay)))
		return false
	case err != nil:
		p.notice(status, "closed", p.T.Say("closed.when", p.T.day(p.a.LastDay)))
		return false
	}
	return true
}

func (p *pageRequest) notice(status int, key, detail string) {
	p.Notice, p.Detail = p.T.Say(key), detail
	if p.Heading == "" {
		p.Heading = p.Notice
	}
	p.write(status, "notice")
}

// submit is the form without the script.
func (p *pageRequest) submit(s *Server) {
	p.at = choiceOf(p.ctx.PostArgs())
	f := readForm(p.ctx.PostArgs(), p.a)
	if s.classes.Load() == nil { // the roster could not be read yet
		p.away(s.roster(), f)
		return
	}
	r, now := s.roster(), s.now()
	v := s.visitor(p.ctx, p.ctx.PostArgs().Peek("page"), now)
	if wait := s.limited(&v, now); wait != nil {
		p.wait(r, f, wait)
		return
	}
	_, role, err := f.Validate(p.a, r, now)
	if err != nil && s.watch != nil {
		s.watch.refused(&v, s.activities[p.a.ID], err, now)
	}
	var invalid canyu.InvalidError
	errors.As(err, &invalid)
	if slices.ContainsFunc(invalid, func(e canyu.FieldError) bool {
		return e.Field == "school" || e.Field == "grade" || e.Field == "class"
	}) {
		p.Alert = p.T.Say("error.class")
		p.choose(s, r, fasthttp.StatusUnprocessableEntity)
		return
	}
	missing, unticked := f.stepsMissing(p.a), p.told.Required && !f.consent
	if invalid != nil || missing != nil || unticked {
		p.Alert = p.T.Say("error")
		errs := fieldErrors(p.T, invalid, missing, f, r)
		if unticked {
			errs["consent"] = p.T.Say("error.consent")
		}
		p.form(r, f, errs, fasthttp.StatusUnprocessableEntity)
		return
	}
	got, err := s.submit(&v, &f.Submission)
	switch {
	case errors.Is(err, canyu.ErrNotOpen), errors.Is(err, canyu.ErrClosed): // midnight has passed
		p.open(s, fasthttp.StatusForbidden)
	case errors.Is(err, errTooOften):
		p.wait(r, f, problemOf(err))
	case err != nil:
		p.away(r, f)
	default:
		p.at.role = role.String()
		p.Where = p.whereClass(r)
		p.thanks(role, p.policy(r))
		p.Thanks.Receipt, p.Thanks.Accepted, p.Thanks.Repeat = got.Receipt.String(), got.Accepted && !got.Held, !got.Counted && !got.Accepted && !got.Held
		p.Thanks.Held = got.Held
		if got.Ordinal != 0 {
			p.Thanks.Ordinal = grouped(got.Ordinal)
		}
		if p.Thanks.Seated {
			p.Thanks.Seat, p.Thanks.SeatRepeat = p.T.Say("class.seat", f.Seat), p.T.Say("thanks.repeat.seat", f.Seat)
		}
		if got.Counted { // else it adds nothing, or is in no count yet
			p.Thanks.School = p.schoolCount(s, r, role)
		}
		p.write(fasthttp.StatusOK, "thanks")
	}
}

// write answers with a screen. A form and what comes after it are never kept: the
// next pupil at the same computer must not see them. The others are asked for again
// each time, and mostly are what they were.
func (p *pageRequest) write(status int, screen string) {
	p.Screen = screen
	if p.sign != nil {
		p.Page = p.sign(screen)
	}
	if p.Languages == nil {
		p.Languages = p.languages(func(lang string) string { return p.urlIn(p.at, lang) })
	}
	if p.a.ID != "" {
		p.Privacy = p.privacyURL(p.lang)
	}
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "page", &p.view); err != nil {
		panic("BUG: " + err.Error()) // the tests draw every screen
	}
	h := &p.ctx.Response.Header
	p.headers(pagePolicy)
	h.Set("Cache-Control", "no-store")
	p.ctx.SetStatusCode(status)
	zip := p.ctx.Request.Header.HasAcceptEncoding("gzip")
	if status == fasthttp.StatusOK && !p.ctx.IsPost() && (screen == "choose" || screen == "class" || screen == "notice" || screen == "privacy") {
		tag := entityTag(b.Bytes(), zip)
		h.Set("Cache-Control", "private, no-cache")
		h.Set("ETag", tag)
		if string(p.ctx.Request.Header.Peek("If-None-Match")) == tag {
			p.ctx.NotModified()
			h.Set("ETag", tag) // NotModified resets
			h.Set("Cache-Control", "private, no-cache")
			h.Set("Vary", "Accept-Language, Accept-Encoding")
			return
		}
	}
	setPage(p.ctx, b.Bytes())
}

// languages are links to the same screen in each language.
func (p *pageRequest) languages(url func(lang string) string) (links []link) {
	for _, lang := range languageOrder {
		links = append(links, link{URL: url(lang), Text: languages[lang]["language"], Lang: lang, Current: lang == p.Lang})
	}
	return links
}

// headers are those of every page that pupils see, under its content security policy.
func (p *pageRequest) headers(policy string) {
	h := &p.ctx.Response.Header
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Content-Language", p.Lang)
	h.Set("Vary", "Accept-Language, Accept-Encoding")
	p.ctx.SetContentType("text/html; charset=utf-8")
}

// setPage is the body, compressed for who takes it.
func setPage(ctx *fasthttp.RequestCtx, body []byte) {
	if ctx.Request.Header.HasAcceptEncoding("gzip") {
		ctx.Response.Header.Set("Content-Encoding", "gzip")
		body = fasthttp.AppendGzipBytesLevel(nil, body, fasthttp.CompressBestSpeed)
	}
	ctx.SetBody(body)
}

// entityTag names a body in one encoding.
func entityTag(body []byte, zip bool) string {
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:8])
	if zip {
		tag += "-gzip"
	}
	return `"` + tag + `"`
}

func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// arg is a field of a form or an address as valid text.
func arg(args *fasthttp.Args, name string) string {
	return strings.ToValidUTF8(string(args.Peek(name)), string(utf8.RuneError))
}
