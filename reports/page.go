package reports

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Pages are what schools and bureaus look at: /school/{code}, /bureau/{region}, and
// what can be taken home from them. Each is drawn on the server with the numbers of
// that moment, so that it can be read without its script, which only keeps the
// numbers moving. Nothing is shown to a visitor without a link that covers it.
type Pages struct {
	Activities []*canyu.Activity
	Archive    canyu.Archive
	Ledger     canyu.Ledger
	Links      *canyu.Keyring
	Audit      *canyu.AuditLog // of what visitors decide; nil: it is not kept
	Signer     *Signer         // whose public keys are shown; nil: none
	Calendar   *Calendar
	// Alarms are told to bureaus; see Sender.Alarms. nil: none.
	Alarms func(ctx context.Context, now time.Time) ([]Line, error)
	// Seats are the seats of a class that took part, ascending, of an activity that
	// tells pupils apart by them. nil: they are not known here.
	Seats func(ctx context.Context, a *canyu.Activity, class canyu.Class, enrolled int) ([]int, error)
	// Receipt is the seat of the pupil of the class whose receipt it is, or 0.
	// nil leaves the form out. Of a purged activity both are canyu.ErrPurged.
	Receipt func(ctx context.Context, a *canyu.Activity, class canyu.Class, enrolled int, receipt string) (int, error)
	// ClassLinks writes a school's printable sheet of class links, a whole HTML page.
	// nil leaves it out.
	ClassLinks func(ctx context.Context, a *canyu.Activity, school *canyu.School, lang string) ([]byte, error)
	// Switches are how those of an activity stand; nil: as usual.
	Switches func(activity string) canyu.Switches
	Now      func() time.Time // time.Now if nil
	Log      *slog.Logger     // slog.Default() if nil

	rosters    cache[struct{}, *canyu.Roster]
	censuses   cache[place, *census]
	minutes    cache[place, []canyu.Minute]
	days       cache[place, []canyu.DaySum]
	latests    cache[place, []canyu.Latest]
	reviews    cache[place, int]
	waiting    cache[place, heldCount]
	dispatches cache[place, []dispatch]
	qualities  cache[place, *Quality]
	alarms     cache[struct{}, []Line]
}

const pagesPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

func (p *Pages) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Pages) log() *slog.Logger {
	if p.Log == nil {
		return slog.Default()
	}
	return p.Log
}

// Handle answers Routes.
func (p *Pages) Handle(ctx *fasthttp.RequestCtx) {
	path := canyu.TrimSlash(string(ctx.Path()))
	route := canyu.FindRoute(Routes, path)
	allowed := route != nil && route.Allows(string(ctx.Method()))
	if name, ok := strings.CutPrefix(path, "/pages/"); ok && allowed {
		p.public(ctx, name)
		return
	}
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := p.newVisit(deadline, ctx)
	defer r.survive()
	switch {
	case route == nil:
		r.refuse(errNoPage)
		return
	case !allowed:
		ctx.Response.Header.Set("Allow", route.Methods)
		r.notice(fasthttp.StatusMethodNotAllowed, "method")
		return
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	code, file, _ := strings.Cut(rest, "/")
	var err error
	switch kind {
	case "school":
		err = r.school(code, file)
	case "bureau":
		err = r.bureau(code, file)
	default:
		err = errNoPage
	}
	r.refuse(err)
}

// survive keeps a page's own fault from ending a process that may also count.
func (r *visit) survive() {
	if fault := recover(); fault != nil {
		r.p.log().Error("BUG: a page panicked", "path", string(r.ctx.Path()), "fault", fault, "stack", string(debug.Stack()))
		r.ctx.Error("", fasthttp.StatusInternalServerError)
	}
}

var (
	errNoPage   = errors.New("no page has this address")
	errPageOnly = errors.New("nothing is exported while only the page is served")
)

// exports is errPageOnly where what is asked for is a file to take home, which has to
// wait while only the student page is served.
func (r *visit) exports(file string) error {
	if r.p.Switches != nil && strings.Contains(file, ".") && r.p.Switches(r.activity.ID).Down(canyu.SwitchPage) {
		return errPageOnly
	}
	return nil
}

// refuse says why there is no page, in the visitor's language.
func (r *visit) refuse(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errNoPage):
		r.notice(fasthttp.StatusNotFound, "nopage")
	case errors.Is(err, canyu.ErrScope):
		r.notice(fasthttp.StatusForbidden, "scope")
	case errors.Is(err, canyu.ErrNoLink):
		r.unauthorised("nolink")
	case errors.Is(err, canyu.ErrLinkExpired):
		r.unauthorised("expired")
	case errors.Is(err, canyu.ErrLinkRevoked):
		r.unauthorised("revoked")
	case errors.Is(err, canyu.ErrLink):
		r.unauthorised("badlink")
	case errors.Is(err, errPageOnly):
		r.ctx.Response.Header.Set("Retry-After", "60")
		r.notice(fasthttp.StatusServiceUnavailable, "pageonly")
	default:
		r.p.log().Error("cannot draw a page", "path", string(r.ctx.Path()), "error", err)
		r.ctx.Response.Header.Set("Retry-After", "5")
		r.notice(fasthttp.StatusServiceUnavailable, "away")
	}
}

func (r *visit) unauthorised(key string) {
	r.ctx.Response.Header.Set("WWW-Authenticate", `Link realm="canyu"`) // RFC 9110 wants one
	r.notice(fasthttp.StatusUnauthorized, key)
}

// Clock is when the numbers were true, in the activity's zone.
func (v *pageView) Clock() string { return v.Total.clock }

// Rings are those of the legend, one for each level.
func (*pageView) Rings() []int { return []int{0, 40, 75, 95, 100} }

// visit is one request and what the visitor is shown.
type visit struct {
	pageView
	context.Context
	p        *Pages
	ctx      *fasthttp.RequestCtx
	now      time.Time
	s        speaker
	activity *canyu.Activity
	policy   canyu.Policy // where the visitor looks
	waits    time.Time    // for the archive until then

	onlySchools bool // no region is called what is searched for
}

// pageView is what every page shows.
type pageView struct {
	Kind       string // school, bureau, review or notice
	Wall       bool   // for a big screen: nothing to click
	Lang       string
	Title      string // of the activity
	Heading    string // whose numbers
	Date       string
	Crumbs     []pageLink
	Activities []pageLink // to choose from, if several
	Languages  []pageLink
	Walls      string // address of the same page for the wall
	Alarms     []string
	Live       string // address of the stream
	Total      totalView
	Curve      *curveView
	Days       *pageTable
	School     *schoolView
	Bureau     *bureauView
	Review     *reviewView
	Apart      *heldView
	ToDecide   *pageLink // where held submissions wait
	ToReview   *pageLink // where messages wait
	Notice     string
	Hint       string
	Exports    []pageLink
	speaker
}

type pageLink struct {
	URL, Text, Lang string
	Current         bool
}

// pageTable is a table of text, the first column left.
type pageTable struct {
	Head []string
	Rows [][]string
}

var pagesTemplate = template.Must(template.New("").
	Funcs(template.FuncMap{"asset": pageAssetURL, "number": number}).
	ParseFS(pageFiles, "page/*.html"))

func (p *Pages) newVisit(c context.Context, ctx *fasthttp.RequestCtx) *visit {
	r := &visit{Context: c, p: p, ctx: ctx, now: p.now()}
	r.s = visitorLanguage(string(ctx.QueryArgs().Peek("lang")), string(ctx.Request.Header.Peek("Accept-Language")))
	r.speaker, r.Lang = r.s, r.s.tag()
	r.Wall = string(ctx.QueryArgs().Peek("screen")) == "wall"
	return r
}

// Say is the text of a key, for templates.
func (s speaker) Say(key string, args ...any) string { return s.page(key, args...) }

// choose finds the activity that the visitor asks for and may see: the one that is
// named; else, of those that want covers, one that is open, or the newest.
func (r *visit) choose(want func(activity string) canyu.Scope) error {
	cookie := func(name string) string { return string(r.ctx.Request.Header.Cookie(name)) }
	asked := string(r.ctx.QueryArgs().Peek("activity"))
	why := canyu.ErrNoLink
	for _, a := range r.p.Activities {
		if err := r.p.Links.Check(cookie, want(a.ID), r.now); err != nil {
			if asked == "" || asked == a.ID {
				why = err
			}
			continue
		}
		r.Activities = append(r.Activities, pageLink{URL: r.address("activity", a.ID), Text: a.Title.In(r.Lang), Lang: a.ID})
		switch {
		case asked != "":
			if a.ID == asked {
				r.activity = a
			}
		case r.activity == nil, rank(a, r.now) > rank(r.activity, r.now):
			r.activity = a
		}
	}
	switch {
	case r.activity == nil && len(r.Activities) > 0:
		return errNoPage
	case r.activity == nil:
		return why
	}
	if len(r.Activities) < 2 {
		r.Activities = nil
	}
	for i := range r.Activities {
		r.Activities[i].Current = r.Activities[i].Lang == r.activity.ID
		r.Activities[i].Lang = ""
	}
	r.follow(want(r.activity.ID).Region)
	r.Title = r.activity.Title.In(r.Lang)
	r.Date = r.s.date(r.activity.DayOf(r.now))
	r.Walls = r.address("screen", "wall")
	return nil
}

// rank puts activities that are open before those that are over, the newest first,
// and those to come last.
func rank(a *canyu.Activity, now time.Time) int {
	switch err := a.Open(now); {
	case err == nil:
		return 1 << 30
	case errors.Is(err, canyu.ErrNotOpen):
		return -int(a.FirstDay)
	}
	return int(a.LastDay)
}

// address is this page's with some arguments changed; "" takes one away.
func (r *visit) address(changes ...string) string {
	args, err := url.ParseQuery(string(r.ctx.QueryArgs().QueryString()))
	if err != nil {
		args = url.Values{}
	}
	args.Del("part")
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			args.Del(changes[i])
		} else {
			args.Set(changes[i], changes[i+1])
		}
	}
	return with(string(r.ctx.Path()), args)
}

func with(path string, args url.Values) string {
	if len(args) == 0 {
		return path
	}
	return path + "?" + args.Encode()
}

// link is another page's address that stays in the same activity and language.
func (r *visit) link(path string, more ...string) string {
	args := url.Values{}
	if len(r.p.Activities) > 1 {
		args.Set("activity", r.activity.ID)
	}
	if lang := string(r.ctx.QueryArgs().Peek("lang")); lang == r.Lang {
		args.Set("lang", lang)
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			args.Set(more[i], more[i+1])
		}
	}
	return with(path, args)
}

func (r *visit) arg(name string) string {
	return strings.ToValidUTF8(string(r.ctx.QueryArgs().Peek(name)), "�")
}

func (r *visit) notice(status int, key string) {
	r.Kind, r.Wall = "notice", false
	r.Notice, r.Hint = r.Say("notice."+key), r.Say("notice."+key+".hint")
	r.Heading = r.Notice
	r.write(status, "page")
}

// write answers with a screen, or a part of one. It is kept nowhere: what is on it
// is for this visitor and this moment.
func (r *visit) write(status int, part string) {
	for i, lang := range Languages {
		r.Languages = append(r.Languages, pageLink{URL: r.address("lang", lang), Text: speaker{lang: i}.Say("language"), Lang: lang, Current: lang == r.Lang})
	}
	var b bytes.Buffer
	if err := pagesTemplate.ExecuteTemplate(&b, part, &r.pageView); err != nil {
		r.p.log().Error("cannot draw a page", "path", string(r.ctx.Path()), "error", err)
		r.ctx.Error("", fasthttp.StatusInternalServerError)
		return
	}
	r.headers()
	r.ctx.Response.Header.Set("Vary", "Accept-Language, Accept-Encoding, Cookie")
	r.ctx.Response.Header.Set("Content-Language", r.Lang)
	r.ctx.SetContentType("text/html; charset=utf-8")
	r.ctx.SetStatusCode(status)
	if r.ctx.Request.Header.HasAcceptEncoding("gzip") {
		r.ctx.Response.Header.Set("Content-Encoding", "gzip")
		r.ctx.SetBody(fasthttp.AppendGzipBytesLevel(nil, b.Bytes(), fasthttp.CompressBestSpeed))
		return
	}
	r.ctx.SetBody(b.Bytes())
}

// headers are those of everything that needs a link.
func (r *visit) headers() {
	h := &r.ctx.Response.Header
	h.Set("Content-Security-Policy", pagesPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
