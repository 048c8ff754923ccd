package reports

import (
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// The review of messages: /school/{code}/messages and /bureau/{region}/messages. It
// is forms and links: what is decided stands in the archive before the next page is
// drawn, and a decision is only about messages that stood on the page.

// page/review.txt has the words of these pages.
//
//go:embed page/review.txt
var reviewWords string

const (
	reviewedAtOnce = 100
	reviewedInAll  = 5000 // are read of one state; the others come as these are decided
)

// The lists: those waiting are in two.
const (
	listWaiting  = "waiting"
	listHeld     = "held"
	listReported = "reported"
	listShown    = "shown"
	listHidden   = "hidden"
)

var reviewLists = []string{listWaiting, listHeld, listReported, listShown, listHidden}

func stateOf(list string) canyu.WallState {
	state, _ := canyu.ParseWallState(list) // held ones are waiting
	return state
}

// reviewView is what a page of the review shows.
type reviewView struct {
	Action   string // of the form
	Token    string
	List     string
	Lists    []pageLink
	Hint     string
	Answer   string
	Bad      bool // the answer is that nothing was done
	Search   string
	Searched bool // there is more than one school to search in
	Keep     []pageLink
	Items    []reviewItem
	Pages    []pageLink
	Off      string // where the wall is turned off: by whom
	Switch   string // what the button does: off or on; "": no button
	Wall     string // its address
	Back     string
}

type reviewItem struct {
	Key, Text, Of, At, Reason, Decided string
}

// CanShow and CanHide are the buttons of this list.
func (v *reviewView) CanShow() bool { return v.List != listShown }
func (v *reviewView) CanHide() bool { return v.List != listHidden }

// review is everything of one school or region; want is what its visitor must hold.
func (r *visit) review(want canyu.Scope, schools []*canyu.School) error {
	if r.activity.Wall == nil {
		r.notice(fasthttp.StatusNotFound, "nowall")
		return nil
	}
	want.Activity = r.activity.ID
	if r.ctx.IsPost() {
		return r.reviewed(want, schools)
	}
	r.Kind = "review"
	v := &reviewView{
		Action: r.address("done", "", "missed", "", "did", ""), Token: r.formToken(want), List: r.arg("list"),
		Search: r.arg("q"), Searched: want.Kind != canyu.SchoolScope,
		Wall: "/a/" + r.activity.ID + "/wall", Back: r.link(strings.TrimSuffix(string(r.ctx.Path()), "/messages")),
	}
	r.Review = v
	if !slices.Contains(reviewLists, v.List) {
		v.List = listWaiting
	}
	v.Hint = r.Say("review.hint." + v.List)
	for _, name := range []string{"activity", "lang", "list"} {
		if value := r.arg(name); value != "" {
			v.Keep = append(v.Keep, pageLink{Lang: name, Text: value})
		}
	}
	names := make(map[canyu.SchoolCode]string, len(schools))
	for _, s := range schools {
		names[s.Code] = s.Name
	}
	if err := r.switched(v, want); err != nil {
		return err
	}
	r.answer(v)
	messages, err := r.listed(v, r.reviewedSchools(schools, v.Search))
	if err != nil {
		return err
	}
	from, to, pages := r.pageOf(len(messages), reviewedAtOnce)
	v.Pages = pages
	for _, m := range messages[from:to] {
		v.Items = append(v.Items, r.item(m, names))
	}
	r.write(fasthttp.StatusOK, "page")
	return nil
}

// pageOf is the part of n lines that is on the page asked for, and links to each page where
// there are several.
func (r *visit) pageOf(n, atOnce int) (from, to int, links []pageLink) {
	page, _ := strconv.Atoi(r.arg("page"))
	last := max(1, (n+atOnce-1)/atOnce)
	page = min(max(page, 1), last)
	for i := 1; i <= last && last > 1; i++ {
		links = append(links, pageLink{URL: r.address("page", strconv.Itoa(i), "done", "", "missed", "", "did", ""), Text: strconv.Itoa(i), Current: i == page})
	}
	return (page - 1) * atOnce, min(page*atOnce, n), links
}

// reviewedSchools are those that the search is about, as the archive is asked; nil
// means all.
func (r *visit) reviewedSchools(schools []*canyu.School, search string) []canyu.SchoolCode {
	search = fold(search)
	if roster, err := r.roster(); search == "" && err == nil && len(schools) == len(roster.Schools(0)) {
		return nil
	}
	codes := make([]canyu.SchoolCode, 0, len(schools))
	for _, s := range schools {
		if strings.Contains(fold(s.Name), search) || strings.Contains(s.Code.String(), search) {
			codes = append(codes, s.Code)
		}
	}
	return codes
}

// listed are the messages of the list that is asked for; all lists get their counts.
func (r *visit) listed(v *reviewView, schools []canyu.SchoolCode) ([]canyu.WallMessage, error) {
	a := r.activity
	counts, err := r.p.Archive.WallCounts(r, a.ID, schools)
	if err != nil {
		return nil, err
	}
	waiting, err := r.p.Archive.Wall(r, a.ID, canyu.WallQuery{State: canyu.Waiting, Schools: schools, Limit: reviewedInAll})
	if err != nil {
		return nil, err
	}
	var held []canyu.WallMessage
	waiting = slices.DeleteFunc(waiting, func(m canyu.WallMessage) bool {
		if m.Reason = a.Wall.Reason(m.Text); m.Reason != "" {
			held = append(held, m)
		}
		return m.Reason != ""
	})
	for _, list := range reviewLists {
		n := counts[stateOf(list)]
		switch list {
		case listWaiting:
			n = max(n-len(held), len(waiting))
		case listHeld:
			n = len(held)
		}
		text := r.Say("review.list."+list, number(n))
		v.Lists = append(v.Lists, pageLink{URL: r.address("list", list, "page", "", "done", "", "missed", "", "did", ""), Text: text, Current: list == v.List})
	}
	switch v.List {
	case listWaiting:
		return waiting, nil
	case listHeld:
		return held, nil
	}
	return r.p.Archive.Wall(r, a.ID, canyu.WallQuery{State: stateOf(v.List), Schools: schools, Limit: reviewedInAll})
}

func (r *visit) item(m canyu.WallMessage, names map[canyu.SchoolCode]string) reviewItem {
	i := reviewItem{
		Key:  m.Key.String(),
		Text: strings.ToValidUTF8(m.Text, "�"),
		Of:   names[m.Class.School] + " " + r.s.class(m.Class.Grade, m.Class.Number) + " · " + r.s.role(m.Role),
		At:   m.At.In(r.activity.Zone).Format("2006-01-02 15:04"),

		Reason: r.s.held(m.Reason),
	}
	if m.State != canyu.Waiting {
		i.Decided = r.Say("review.decided", m.Decided.In(r.activity.Zone).Format("2006-01-02 15:04"), m.By)
	}
	return i
}

// reviewed is a form that came back.
func (r *visit) reviewed(want canyu.Scope, schools []*canyu.School) error {
	args := r.ctx.PostArgs()
	if !hmac.Equal(args.Peek("token"), []byte(r.formToken(want))) {
		return r.back("did", "stale")
	}
	by := r.signer(want)
	if to := string(args.Peek("wall")); to != "" && want.Kind != canyu.SchoolScope {
		s := canyu.WallSwitch{Region: want.Region, Off: to == "off", By: by, At: r.now}
		what := canyu.AuditWallOn
		if s.Off {
			what = canyu.AuditWallOff
		}
		if err := r.audit(by, what, s.Region.String(), "", ""); err != nil {
			return err
		}
		if err := r.p.Archive.SetWallSwitch(r, r.activity.ID, s); err != nil {
			return err
		}
		return r.back("did", "wall."+to)
	}
	state, keys := canyu.Shown, args.PeekMulti("key")
	switch do := string(args.Peek("do")); {
	case do == "hide":
		state = canyu.Hidden
	case do == "all":
		keys = args.PeekMulti("all")
	case args.Has("show"):
		keys = args.PeekMulti("show")
	case args.Has("hide"):
		state, keys = canyu.Hidden, args.PeekMulti("hide")
	case do != "show":
		keys = nil
	}
	done, missed, err := r.decide(stateOf(string(args.Peek("list"))), state, keys, by, r.reviewedSchools(schools, ""))
	if err != nil {
		return err
	}
	return r.back("did", state.String(), "done", strconv.Itoa(done), "missed", strconv.Itoa(missed))
}

// decide moves the messages that are still in a state into another one.
func (r *visit) decide(from, to canyu.WallState, texts [][]byte, by string, schools []canyu.SchoolCode) (done, missed int, err error) {
	var keys []canyu.MessageKey
	for _, text := range texts[:min(len(texts), reviewedAtOnce)] {
		if k, err := canyu.ParseMessageKey(string(text)); err == nil {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) == 0 {
		return 0, 0, nil
	}
	messages, err := r.p.Archive.Wall(r, r.activity.ID, canyu.WallQuery{State: from, Schools: schools, Keys: keys, Limit: len(keys)})
	if err != nil {
		return 0, 0, err
	}
	if len(messages) == 0 {
		return 0, len(keys), nil
	}
	what := canyu.AuditShow
	if to == canyu.Hidden {
		what = canyu.AuditHide
	}
	if err := r.audit(by, what, keysOf(messages), from.String(), to.String()); err != nil {
		return 0, 0, err
	}
	for i := range messages {
		m := &messages[i]
		if m.State == canyu.Waiting { // later, what it was held or reported for stays known
			m.Reason = r.activity.Wall.Reason(m.Text)
		}
		m.State, m.By, m.Decided = to, by, canyu.DecidedAt(r.now, m.Decided)
	}
	return len(messages), len(keys) - len(messages), r.p.Archive.Decide(r, r.activity.ID, messages)
}

// back sends the visitor to the list again, with what was done.
func (r *visit) back(changes ...string) error {
	r.headers()
	r.ctx.Response.Header.Set("Location", r.address(append([]string{"done", "", "missed", "", "did", ""}, changes...)...))
	r.ctx.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}

func (r *visit) answer(v *reviewView) {
	switch did := r.arg("did"); did {
	case "":
	case canyu.Shown.String(), canyu.Hidden.String():
		done, _ := strconv.Atoi(r.arg("done"))
		missed, _ := strconv.Atoi(r.arg("missed"))
		v.Answer = r.Say("review.did."+did, done)
		if missed > 0 {
			v.Answer += r.Say("review.missed", missed)
		}
		if v.Bad = done+missed == 0; v.Bad {
			v.Answer = r.Say("review.none.chosen")
		}
	case "stale", "wall.off", "wall.on":
		v.Answer, v.Bad = r.Say("review.did."+did), did == "stale"
		if did == "wall.off" {
			v.Off = "" // said already
		}
	}
}

// switched tells whether the wall is off here, and offers to turn it.
func (r *visit) switched(v *reviewView, want canyu.Scope) error {
	switches, err := r.p.Archive.WallSwitches(r, r.activity.ID)
	if err != nil {
		return err
	}
	off := canyu.WallOff(r.activity.WallPolicies(), want.Region)
	if off != nil {
		v.Off = r.Say("review.off.policy", r.s.region(off.Region))
		return nil
	}
	if off = canyu.WallOff(switches, want.Region); off != nil {
		v.Off = r.Say("review.off", r.s.region(off.Region), off.At.In(r.activity.Zone).Format("2006-01-02 15:04"), off.By)
	}
	if want.Kind == canyu.SchoolScope {
		return nil
	}
	v.Switch = "off"
	if slices.ContainsFunc(switches, func(s canyu.WallSwitch) bool { return s.Off && s.Region == want.Region }) {
		v.Switch = "on"
	}
	return nil
}

// holder is the cookie that opens want.
func (r *visit) holder(want canyu.Scope) (token string, scope canyu.Scope) {
	for kind := canyu.ClassScope; kind <= canyu.AdminScope; kind++ {
		token = string(r.ctx.Request.Header.Cookie(kind.Cookie()))
		if scope, err := r.p.Links.Open(token, r.now); err == nil && scope.Covers(want) {
			return token, scope
		}
	}
	return "", canyu.Scope{}
}

// signer names who decides: the link, which the archive can name without a person.
func (r *visit) signer(want canyu.Scope) string {
	token, scope := r.holder(want)
	of := ""
	switch scope.Kind {
	case canyu.SchoolScope:
		of = " " + scope.School.String()
	case canyu.RegionScope:
		of = " " + scope.Region.String()
	}
	return fmt.Sprintf("%s%s, key %s", scope.Kind, of, canyu.LinkKey(token))
}

// formToken is in every form of the visitor's: another site cannot know it, for it
// cannot read the cookie that it is made of.
func (r *visit) formToken(want canyu.Scope) string {
	token, _ := r.holder(want)
	h := hmac.New(sha256.New, []byte(token))
	h.Write(append([]byte("review "), r.ctx.Path()...))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
