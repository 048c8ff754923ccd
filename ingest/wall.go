package ingest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// The wall shows messages that somebody has looked at, with school and class and
// nothing else of who wrote them: no seat, no name, and only the day.

const (
	wallAtOnce   = 48
	wallPolicy   = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	wallPatience = 5 * time.Second
)

// slip is a message on the wall.
type slip struct {
	Key        canyu.MessageKey `json:"-"`
	ID         string           `json:"key"`
	School     canyu.SchoolCode `json:"school"`
	SchoolName string           `json:"school_name"`
	Grade      uint8            `json:"grade"`
	Class      uint16           `json:"class"`
	Day        canyu.Day        `json:"day"`
	Message    string           `json:"message"`
}

// wallPage is a page of the wall, the newest message first.
type wallPage struct {
	Open     bool   `json:"open"` // false: it was turned off
	Messages []slip `json:"messages"`
	Next     string `json:"next,omitempty"` // before of the page with older ones
}

// wallAsk is what is asked for.
type wallAsk struct {
	activity string
	school   canyu.SchoolCode // 0: all
	before   canyu.MessageKey // 0: the newest
}

// readWall asks the archive.
func (s *Server) readWall(ctx context.Context, a *canyu.Activity, ask wallAsk) (*wallPage, error) {
	ctx, cancel := context.WithTimeout(ctx, wallPatience)
	defer cancel()
	switches, err := s.Archive.WallSwitches(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	switches = append(switches, a.WallPolicies()...)
	page := &wallPage{Open: true, Messages: []slip{}}
	roster := s.roster()
	q := canyu.WallQuery{State: canyu.Shown, Limit: wallAtOnce + 1}
	switch {
	case ask.school != 0:
		q.Schools = []canyu.SchoolCode{ask.school}
		school := roster.School(ask.school)
		page.Open = school != nil && canyu.WallOff(switches, school.Region) == nil
	case canyu.WallOff(switches, canyu.Nation) != nil:
		page.Open = false
	case slices.ContainsFunc(switches, func(s canyu.WallSwitch) bool { return s.Off }):
		q.Schools = []canyu.SchoolCode{}
		for _, school := range roster.Schools(0) {
			if canyu.WallOff(switches, school.Region) == nil {
				q.Schools = append(q.Schools, school.Code)
			}
		}
	}
	if !page.Open {
		return page, nil
	}
	if ask.before != 0 {
		if q.After, err = s.wallPlace(ctx, a.ID, ask.before); err != nil {
			return nil, err
		}
	}
	messages, err := s.Archive.Wall(ctx, a.ID, q)
	if err != nil {
		return nil, err
	}
	for i, m := range messages {
		if i == wallAtOnce {
			page.Next = page.Messages[i-1].ID
			break
		}
		name := m.Class.School.String()
		if school := roster.School(m.Class.School); school != nil {
			name = school.Name
		}
		page.Messages = append(page.Messages, slip{Key: m.Key, ID: m.Key.String(), School: m.Class.School, SchoolName: name,
			Grade: m.Class.Grade, Class: m.Class.Number, Day: a.DayOf(m.At), Message: strings.ToValidUTF8(m.Text, "�")})
	}
	return page, nil
}

// errNoPlace: no message on the wall has, or had, this key.
var errNoPlace = errors.New("no such message")

// wallPlace is where a message stands, or stood before it was taken down.
func (s *Server) wallPlace(ctx context.Context, activity string, key canyu.MessageKey) (canyu.WallPlace, error) {
	for _, state := range []canyu.WallState{canyu.Shown, canyu.Hidden, canyu.Reported} {
		found, err := s.Archive.Wall(ctx, activity, canyu.WallQuery{State: state, Keys: []canyu.MessageKey{key}, Limit: 1})
		if err != nil {
			return canyu.WallPlace{}, err
		}
		if len(found) > 0 {
			return canyu.WallPlace{At: found[0].At, Key: key}, nil
		}
	}
	return canyu.WallPlace{}, errNoPlace
}

// askOf reads school and before of an address.
func askOf(a *canyu.Activity, args *fasthttp.Args) (wallAsk, error) {
	ask := wallAsk{activity: a.ID}
	var bad canyu.InvalidError
	var err error
	if text := arg(args, "school"); text != "" {
		if ask.school, err = canyu.ParseSchoolCode(text); err != nil {
			bad = append(bad, canyu.FieldError{Field: "school", Reason: "want the ten digits of a school code"})
		}
	}
	if text := arg(args, "before"); text != "" {
		if ask.before, err = canyu.ParseMessageKey(text); err != nil {
			bad = append(bad, canyu.FieldError{Field: "before", Reason: "want next of another page"})
		}
	}
	if bad != nil {
		return ask, bad
	}
	return ask, nil
}

// wallList is GET /v1/activities/{activity}/wall.
func (s *Server) wallList(ctx *fasthttp.RequestCtx, a *canyu.Activity) {
	if a.Wall == nil {
		newProblem(404, "no_wall", "There is no wall", "the activity's messages are shown to nobody").write(ctx)
		return
	}
	ask, err := askOf(a, ctx.QueryArgs())
	if err != nil {
		problemOf(err).write(ctx)
		return
	}
	page, err := s.walls.get(s, a, ask)
	switch {
	case errors.Is(err, errNoPlace):
		problemOf(canyu.InvalidError{{Field: "before", Reason: "want next of another page"}}).write(ctx)
		return
	case err != nil:
		s.Log.Error("cannot read the wall", "activity", a.ID, "error", err)
		p := newProblem(503, "away", "Not to be read", "the archive is away")
		p.retryAfter = "5"
		p.write(ctx)
		return
	}
	body, err := json.Marshal(page)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	ctx.Response.Header.Set("Cache-Control", "public, max-age=2")
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

//go:embed page/wall.tmpl
var wallHTML string

//go:embed page/wall.json
var wallJSON []byte

var wallTemplate = template.Must(template.New("wall").Funcs(template.FuncMap{"asset": assetURL}).Parse(wallHTML))

var wallTexts = func() (all map[string]texts) {
	if err := json.Unmarshal(wallJSON, &all); err != nil {
		panic("BUG: page/wall.json: " + err.Error())
	}
	return all
}()

// wallView is what the page of the wall shows.
type wallView struct {
	*view
	W        texts
	Home     string
	Action   string // of reports
	Back     string // to come back to after one
	Reported bool
	Off      bool
	Away     bool
	School   string // whose messages; "": all
	All      string // address without the school
	Query    string
	Found    []link // schools
	Asked    bool
	Slips    []slipView
	Older    string
	Newest   string
}

type slipView struct {
	ID, Message, School, URL, Class, Day string
}

// wall is GET and POST of /a/{activity}/wall.
func (s *Server) wall(ctx *fasthttp.RequestCtx, id string) {
	a := s.activity(id)
	if a == nil {
		s.page(ctx, id) // which says that it does not know it
		return
	}
	p := s.newPage(ctx, a)
	switch {
	case a.Wall == nil:
		p.Notice, p.Detail = wallTexts[p.Lang]["none"], wallTexts[p.Lang]["none.hint"]
		p.write(fasthttp.StatusNotFound, "notice")
	case s.down(a.ID, canyu.SwitchPage):
		v := &wallView{view: &p.view, W: wallTexts[p.Lang], Home: "/a/" + a.ID, Off: true}
		ctx.Response.Header.Set("Retry-After", "60")
		writeWall(ctx, p, v, fasthttp.StatusServiceUnavailable)
	case ctx.IsPost():
		s.report(ctx, p)
	default:
		s.drawWall(ctx, p)
	}
}

// wallURL is the wall's address with arguments, but for those that are "".
func wallURL(a *canyu.Activity, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return "/a/" + a.ID + "/wall"
	}
	return "/a/" + a.ID + "/wall?" + q.Encode()
}

func (s *Server) drawWall(ctx *fasthttp.RequestCtx, p *pageRequest) {
	args, path := ctx.QueryArgs(), wallURL(p.a)
	v := &wallView{view: &p.view, W: wallTexts[p.Lang], Home: "/a/" + p.a.ID, Action: path, Reported: args.Has("reported")}
	p.Screen = "wall"
	// address is the wall's with these arguments, in the visitor's language.
	address := func(pairs ...string) string { return wallURL(p.a, append([]string{"lang", p.lang}, pairs...)...) }
	if p.lang != "" {
		v.Home += "?lang=" + p.lang
	}
	ask, err := askOf(p.a, args)
	if err != nil { // not an address of ours: the newest of all
		ask = wallAsk{activity: p.a.ID}
	}
	code, before := "", ""
	if ask.school != 0 {
		code = ask.school.String()
		v.School, v.All = code, address()
		if school := s.roster().School(ask.school); school != nil {
			v.School = school.Name
		}
	}
	if ask.before != 0 {
		before = ask.before.String()
		v.Newest = address("school", code)
	}
	v.Back = address("school", code, "before", before)
	query := []rune(strings.TrimSpace(arg(args, "q")))
	if v.Query = string(query[:min(len(query), mostAsked)]); v.Query != "" {
		v.Asked = true
		found := s.schoolIndex(s.roster()).find(0, v.Query)
		for _, school := range found[:min(len(found), mostFound)] {
			v.Found = append(v.Found, link{URL: address("school", school.Code.String()), Text: school.Name, Note: school.Region.Name()})
		}
	}
	for _, lang := range languageOrder {
		v.Languages = append(v.Languages, link{URL: address("school", code, "before", before, "lang", lang), Text: languages[lang]["language"], Lang: lang, Current: lang == p.Lang})
	}
	page, err := s.walls.get(s, p.a, ask)
	status := fasthttp.StatusOK
	switch {
	case errors.Is(err, errNoPlace):
		page, status = &wallPage{Open: true}, fasthttp.StatusNotFound
	case err != nil:
		s.Log.Error("cannot read the wall", "activity", p.a.ID, "error", err)
		page, status = &wallPage{Open: true}, fasthttp.StatusServiceUnavailable
		v.Away = true
	}
	v.Off = !page.Open
	for _, m := range page.Messages {
		v.Slips = append(v.Slips, slipView{ID: m.ID, Message: m.Message, School: m.SchoolName, URL: address("school", m.School.String()),
			Class: p.T.classOf(m.Grade, m.Class), Day: p.T.day(m.Day)})
	}
	if page.Next != "" {
		v.Older = address("school", code, "before", page.Next)
	}
	writeWall(ctx, p, v, status)
}

func writeWall(ctx *fasthttp.RequestCtx, p *pageRequest, v *wallView, status int) {
	var b bytes.Buffer
	if err := wallTemplate.Execute(&b, v); err != nil {
		panic("BUG: " + err.Error()) // the tests draw it
	}
	h := &ctx.Response.Header
	p.headers(wallPolicy)
	h.Set("Cache-Control", "public, max-age=2")
	if status != fasthttp.StatusOK || v.Reported {
		h.Set("Cache-Control", "no-store")
	}
	if v.Away {
		h.Set("Retry-After", "5")
	}
	ctx.SetStatusCode(status)
	setPage(ctx, b.Bytes())
}
