package ingest

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// Gate lets visitors see what their links open. A link is exchanged for a cookie, so
// that its token stands in no address of a page, and leaks by no Referer.
type Gate struct {
	Links      *canyu.Keyring
	Activities []*canyu.Activity
	Now        func() time.Time
	HTTPS      bool // visitors reach the site by it
}

// Check is [canyu.Keyring.Check] for the cookies of a request.
func (g *Gate) Check(ctx *fasthttp.RequestCtx, want canyu.Scope) error {
	return g.Links.Check(cookies(ctx), want, g.Now())
}

// Allow reports whether the visitor may see want; if not, it has answered why.
func (g *Gate) Allow(ctx *fasthttp.RequestCtx, want canyu.Scope) bool {
	err := g.Check(ctx, want)
	if err != nil {
		Deny(ctx, err)
	}
	return err == nil
}

func cookies(ctx *fasthttp.RequestCtx) func(string) string {
	return func(name string) string { return string(ctx.Request.Header.Cookie(name)) }
}

// Exchange is GET /link/{token}: it keeps the token in a cookie and sends the visitor
// on to what the link opens.
func (g *Gate) Exchange(ctx *fasthttp.RequestCtx, token string) {
	scope, err := g.Links.Open(token, g.Now())
	if err != nil {
		Deny(ctx, err)
		return
	}
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(scope.Kind.Cookie())
	c.SetValue(token)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode) // links are opened from mails and codes
	c.SetSecure(Secure(ctx, g.HTTPS))
	if scope.Kind != canyu.AdminScope { // that one is gone with the browser
		c.SetMaxAge(400 * 24 * 60 * 60) // as long as browsers allow; the token says when it ends
	}
	guarded(ctx)
	ctx.Response.Header.SetCookie(c)
	ctx.Response.Header.Set("Location", g.opens(scope))
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// opens is the page that a link leads to.
func (g *Gate) opens(s canyu.Scope) string {
	q := url.Values{}
	if s.Activity != "" {
		q.Set("activity", s.Activity)
	}
	var page string
	switch s.Kind {
	case canyu.ClassScope:
		q = url.Values{"school": {s.School.String()}, "grade": {fmt.Sprint(s.Grade)}, "class": {fmt.Sprint(s.Class)}, "mode": {"class"}}
		page = "/a/" + g.activityFor(s)
	case canyu.SchoolScope:
		page = "/school/" + s.School.String()
	case canyu.RegionScope:
		page = "/bureau/" + s.Region.String()
	default:
		page = "/bureau/" + canyu.Nation.String()
	}
	if len(q) > 0 {
		page += "?" + q.Encode()
	}
	return page
}

// activityFor is that of the link, else the first one that is open, else the first.
func (g *Gate) activityFor(s canyu.Scope) string {
	if s.Activity != "" || len(g.Activities) == 0 {
		return s.Activity
	}
	for _, a := range g.Activities {
		if a.Open(g.Now()) == nil {
			return a.ID
		}
	}
	return g.Activities[0].ID
}

// guarded keeps an answer out of every cache, and its address out of every Referer.
func guarded(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Cookie, Accept, Accept-Language")
}

// Deny answers why somebody may not see something: to a browser with a page in its
// language, else with a problem. The words tell apart what the visitor can do about.
func Deny(ctx *fasthttp.RequestCtx, why error) {
	p := problemOf(why)
	if !wantsPage(ctx) {
		p.write(ctx)
	} else {
		ctx.Response.Reset()
		ctx.SetStatusCode(p.Status)
		lang := preferred(string(ctx.Request.Header.Peek("Accept-Language")))
		var b bytes.Buffer
		if err := deniedPage.Execute(&b, struct {
			Lang  string
			Words [2]string
		}{lang, deniedWords[p.outcome][lang]}); err != nil {
			panic("BUG: " + err.Error())
		}
		ctx.SetContentType("text/html; charset=utf-8")
		ctx.Response.Header.Set("Content-Language", lang)
		ctx.Response.Header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
		ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
		ctx.SetBody(b.Bytes())
	}
	guarded(ctx)
	if p.Status == fasthttp.StatusUnauthorized {
		ctx.Response.Header.Set("WWW-Authenticate", `Link realm="canyu"`) // RFC 9110 wants one
	}
}

// wantsPage reports whether a browser asks, and not a program.
func wantsPage(ctx *fasthttp.RequestCtx) bool {
	return strings.Contains(string(ctx.Request.Header.Peek("Accept")), "text/html")
}

// denied is the problem of a visitor without the right link, or nil.
func denied(err error) *problem {
	for _, d := range []struct {
		err            error
		status         int
		outcome, title string
	}{
		{canyu.ErrNoLink, 401, "no_link", "A link is needed"},
		{canyu.ErrLinkExpired, 401, "link_expired", "The link has expired"},
		{canyu.ErrLinkRevoked, 401, "link_revoked", "The link has been revoked"},
		{canyu.ErrLink, 401, "link_invalid", "The link is not valid"},
		{canyu.ErrScope, 403, "wrong_scope", "The link is for something else"},
	} {
		if errors.Is(err, d.err) {
			return newProblem(d.status, d.outcome, d.title, d.err.Error())
		}
	}
	return nil
}

//go:embed access.html
var deniedHTML string

var deniedPage = template.Must(template.New("").Parse(deniedHTML))

// deniedWords are what happened, and what to do, by outcome and language.
var deniedWords = map[string]map[string][2]string{
	"no_link": {
		"zh-Hans": {"需要链接才能查看", "本页只对持有链接的老师和工作人员开放。请扫描学校或教育局发给您的二维码，或打开发给您的链接。"},
		"zh-Hant": {"需要連結才能查看", "本頁只對持有連結的老師和工作人員開放。請掃描學校或教育局發給您的二維碼，或打開發給您的連結。"},
		"en":      {"A link is needed", "This page is for teachers and officials who hold a link. Scan the code, or open the link, that your school or bureau gave you."},
	},
	"link_expired": {
		"zh-Hans": {"链接已过期", "请向发给您链接的学校或教育局要一个新的链接。"},
		"zh-Hant": {"連結已過期", "請向發給您連結的學校或教育局要一個新的連結。"},
		"en":      {"The link has expired", "Ask the school or bureau that gave it to you for a new one."},
	},
	"link_revoked": {
		"zh-Hans": {"链接已停用", "这个链接已被收回。请向发给您链接的学校或教育局要一个新的链接。"},
		"zh-Hant": {"連結已停用", "這個連結已被收回。請向發給您連結的學校或教育局要一個新的連結。"},
		"en":      {"The link has been revoked", "Ask the school or bureau that gave it to you for a new one."},
	},
	"link_invalid": {
		"zh-Hans": {"链接无效", "链接可能没有复制完整。请重新扫描二维码，或完整地复制链接。"},
		"zh-Hant": {"連結無效", "連結可能沒有複製完整。請重新掃描二維碼，或完整地複製連結。"},
		"en":      {"The link is not valid", "Perhaps it was not copied whole. Scan the code again, or copy all of the link."},
	},
	"wrong_scope": {
		"zh-Hans": {"您的链接不能查看这里", "您持有的链接属于另一个班级、学校、地区或活动。请打开对应的链接。"},
		"zh-Hant": {"您的連結不能查看這裡", "您持有的連結屬於另一個班級、學校、地區或活動。請打開對應的連結。"},
		"en":      {"Your link is for something else", "The link you hold is for another class, school, region or activity. Open the one for this page."},
	},
}
