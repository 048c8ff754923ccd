package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// visitors hold links; see newVisitors. The letters of a route's row are in this
// order.
var visitorNames = []string{"none", "class", "other class", "school", "other school", "county", "other county", "city", "admin", "expired", "forged", "revoked", "other activity"}

// What a route answers each of the visitors: . what it answers everybody, 1 to 5 why
// not.
var refusals = map[byte]struct {
	status int
	kind   string
}{
	'1': {401, "no_link"}, '2': {403, "wrong_scope"}, '3': {401, "link_expired"}, '4': {401, "link_invalid"}, '5': {401, "link_revoked"},
}

const (
	everybody = "............."
	ofClass   = "1.2.2.2..3452" // of none, class, other class, school…
	ofSchool  = "122.2.2..3452"
	ofCounty  = "12222.2..3452"
	ofCity    = "1222222..3452"
	ofAdmin   = "12222222.3452"
)

// routeRows are every route there is, and who may ask it: TestRoutes finds those that
// are not here.
var routeRows = []struct{ method, path, allowed string }{
	{"POST", "/v1/participations", everybody},
	{"GET", "/v1/activities/ACTIVITY", everybody},
	{"GET", "/v1/activities/ACTIVITY/counts?school=3418020001", ofSchool},
	{"GET", "/v1/activities/ACTIVITY/counts?region=341802", ofCounty},
	{"GET", "/v1/activities/ACTIVITY/counts?region=341800", ofCity},
	{"GET", "/v1/activities/ACTIVITY/counts?region=100000", ofAdmin},
	{"GET", "/v1/activities/ACTIVITY/live?school=3418020001", ofSchool},
	{"GET", "/v1/activities/ACTIVITY/live?region=341802", ofCounty},
	{"GET", "/v1/activities/ACTIVITY/seats?school=3418020001&grade=3&class=1", ofClass},
	{"GET", "/v1/activities/ACTIVITY/receipts?school=3418020001&grade=3&class=1&receipt=0000-0000", ofClass},
	{"GET", "/v1/activities/ACTIVITY/wall?school=3418020001", everybody},
	{"GET", "/a/ACTIVITY", everybody},
	{"GET", "/a/ACTIVITY/wall", everybody},
	{"POST", "/a/ACTIVITY/wall", everybody},
	{"POST", "/a/ACTIVITY", everybody},
	{"GET", "/a/ACTIVITY/privacy", everybody},
	{"GET", "/assets/page.css", everybody},
	{"GET", "/link/garbage", everybody},
	{"GET", "/healthz", everybody},
	{"GET", "/readyz", everybody},
	{"GET", "/metrics", everybody},
	{"GET", "/", everybody},
	{"GET", "/pages/page.css", everybody},
	{"GET", "/school/3418020001", ofSchool},
	{"GET", "/school/3418020001/links", ofSchool},
	{"GET", "/school/3418020001/classes.csv", ofSchool},
	{"GET", "/school/3418020001/not-yet.csv", ofSchool},
	{"POST", "/school/3418020001", ofSchool},
	{"GET", "/school/3418020001/messages", ofSchool},
	{"POST", "/school/3418020001/messages", ofSchool},
	{"GET", "/school/3418020001/held", ofSchool},
	{"POST", "/school/3418020001/held", ofSchool},
	{"GET", "/bureau/341802", ofCounty},
	{"GET", "/bureau/341802/held", ofCounty},
	{"POST", "/bureau/341802/held", ofCounty},
	{"GET", "/bureau/341802/table.csv", ofCounty},
	{"GET", "/bureau/341802/report.html", ofCounty},
	{"GET", "/bureau/341802/messages", ofCounty},
	{"POST", "/bureau/341802/messages", ofCounty},
	{"GET", "/bureau/341800", ofCity},
	{"GET", "/bureau/100000", ofAdmin},
}

// Every route, asked by everybody.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "run: [ingest, rollup, reports]\nlinks: {keys: [new, a]}\n")
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, append(text, "    public: {counts: none}\n    wall: on\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	roster := "区划代码,学校标识码,学校名称,年级,班级,人数\n"
	for _, sc := range []string{"341802,3418020001,甲", "341802,3418020002,乙", "341821,3418210001,丙", "320102,3201020001,丁"} {
		roster += sc + ",3,1,30\n" + sc + ",3,2,20\n"
	}
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	v := s.serve()
	visitors := newVisitors(t, s)
	wrongMethods(t, s, v, visitors)
	for _, row := range routeRows {
		path := strings.ReplaceAll(row.path, "ACTIVITY", s.activity)
		words := make(map[byte]string) // what each refusal says
		first := 0
		for i, name := range visitorNames {
			status, kind, body := ask(t, row.method, v.url+path, visitors[name])
			want, refused := refusals[row.allowed[i]]
			switch {
			case row.allowed == everybody:
				if i == 0 {
					first = status
				}
				if status != first || status >= 500 {
					t.Errorf("%s %s: %s gets %d, none %d", row.method, path, name, status, first)
				}
			case !refused:
				if status == 401 || status == 403 || status == 405 || status >= 500 || strings.HasPrefix(row.path, "/v1") && strings.Contains(body, "problem:no_link") {
					t.Errorf("%s %s: %s gets %d %s", row.method, path, name, status, body)
				}
			case status != want.status || kind == "application/problem+json" && !strings.Contains(body, "problem:"+want.kind+`"`):
				t.Errorf("%s %s: %s gets %d %s, want %d %s", row.method, path, name, status, body, want.status, want.kind)
			default:
				if words[row.allowed[i]] == "" {
					words[row.allowed[i]] = body
				}
				for other, said := range words {
					if other != row.allowed[i] && said == body {
						t.Errorf("%s %s: %s is told the same as %s", row.method, path, want.kind, refusals[other].kind)
					}
				}
			}
		}
	}
	v.stop()
}

func ask(t *testing.T, method, url, cookie string) (status int, kind, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind = resp.Header.Get("Content-Type"); kind == "text/event-stream" {
		return resp.StatusCode, kind, "" // it would not end
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: 401 without WWW-Authenticate", url)
	}
	return resp.StatusCode, kind, string(text)
}

// newVisitors are cookies, by name; those that no longer open anything opened all.
func newVisitors(t *testing.T, s *site) map[string]string {
	t.Helper()
	settings, err := (&Flags{Config: s.config}).settings()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := settings.secret()
	if err != nil {
		t.Fatal(err)
	}
	cookie := func(key string, valid time.Duration, scope canyu.Scope) string {
		token, err := canyu.NewKeyring(secret, key).Sign(scope, time.Now().Add(valid))
		if err != nil {
			t.Fatal(err)
		}
		return scope.Kind.Cookie() + "=" + token
	}
	valid := func(scope canyu.Scope) string { return cookie("a", time.Hour, scope) }
	admin := canyu.Scope{Kind: canyu.AdminScope}
	forged := []byte(cookie("a", time.Hour, admin))
	if last := &forged[len(forged)-8]; *last == 'A' {
		*last = 'B'
	} else {
		*last = 'A'
	}
	return map[string]string{
		"none":           "",
		"class":          valid(canyu.Scope{Kind: canyu.ClassScope, Region: 341802, School: 3418020001, Grade: 3, Class: 1}),
		"other class":    valid(canyu.Scope{Kind: canyu.ClassScope, Region: 341802, School: 3418020001, Grade: 3, Class: 2}),
		"school":         valid(canyu.Scope{Kind: canyu.SchoolScope, Activity: s.activity, Region: 341802, School: 3418020001}),
		"other school":   valid(canyu.Scope{Kind: canyu.SchoolScope, Region: 341802, School: 3418020002}),
		"county":         valid(canyu.Scope{Kind: canyu.RegionScope, Region: 341802}),
		"other county":   valid(canyu.Scope{Kind: canyu.RegionScope, Region: 341821}),
		"city":           valid(canyu.Scope{Kind: canyu.RegionScope, Region: 341800}),
		"admin":          valid(admin),
		"expired":        cookie("a", -time.Hour, admin),
		"forged":         string(forged),
		"revoked":        cookie("old", time.Hour, admin),
		"other activity": valid(canyu.Scope{Kind: canyu.AdminScope, Activity: "another"}),
	}
}

// What is public without a link is what the activity says; groups that are too small
// are not, nor can they be had by subtraction.
func TestPublicCounts(t *testing.T) {
	t.Parallel()
	const school, county, city = "/v1/activities/hall/counts?school=3418020001", "/v1/activities/hall/counts?region=341802", "/v1/activities/hall/counts?region=341800"
	for _, c := range []struct {
		public               canyu.Publicity
		school, county, city string // "status grades classes schools"
	}{
		{canyu.Publicity{}, "200 1 3 0", "200 1 0 2", "200 1 0 3"},
		{canyu.Publicity{Counts: canyu.AllCounts, AtLeast: 10}, "200 1 1 0", "200 0 0 2", "200 0 0 3"}, // 5 and 20 go: with 30 alone 5 could be had
		{canyu.Publicity{Counts: canyu.AllCounts, AtLeast: 56}, "401 0 0 0", "401 0 0 0", "200 0 0 0"}, // with this county's 110 the other's 55 could be had
		{canyu.Publicity{Counts: canyu.TotalCounts}, "200 0 0 0", "200 0 0 0", "200 0 0 0"},
		{canyu.Publicity{Counts: canyu.TotalCounts, AtLeast: 56}, "401 0 0 0", "401 0 0 0", "200 0 0 0"},
		{canyu.Publicity{Counts: canyu.NoCounts}, "401 0 0 0", "401 0 0 0", "401 0 0 0"},
	} {
		h := newHall(t, func(config *ingest.Config) { config.Activities[0].Public = c.public })
		link := h.link(canyu.Scope{Kind: canyu.RegionScope, Region: 341802})
		look := func(path string, cookies ...string) string {
			var v struct{ Grades, Classes, Schools []struct{} }
			status, body := h.get(path, cookies...)
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(status, len(v.Grades), len(v.Classes), len(v.Schools))
		}
		if s, r, up := look(school), look(county), look(city); s != c.school || r != c.county || up != c.city {
			t.Errorf("%+v: a school %s, a county %s, a city %s; want %s, %s, %s", c.public, s, r, up, c.school, c.county, c.city)
		}
		if s, r := look(school, link), look(county, link); s != "200 1 3 0" || r != "200 1 0 2" {
			t.Errorf("%+v, with a link: a school %s, a county %s", c.public, s, r)
		}
		if c.public.Counts == canyu.TotalCounts && c.public.AtLeast == 0 {
			open, linked := h.watch("school=3418020001"), h.watch("school=3418020001", link)
			if a, b := open.next(), linked.next(); len(a.Classes) != 0 || len(b.Classes) != 3 {
				t.Errorf("live: %s and with a link %s", a.Text, b.Text)
			}
			h.bow("3418020001", 1, 1)
			if a, b := open.settled(1), linked.settled(1); len(a.Classes) != 0 || len(b.Classes) != 3 {
				t.Errorf("live: %s and with a link %s", a.Text, b.Text)
			}
		}
	}
}

func TestSeatsAndReceipts(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	link := h.link(canyu.Scope{Kind: canyu.ClassScope, Activity: "hall", Region: 341802, School: 3418020001, Grade: 3, Class: 3})
	const class = "school=3418020001&grade=3&class=3"
	h.bow("3418020001", 3, 2)
	h.bow("3418020001", 3, 5)
	h.bow("3418020001", 1, 4) // of another class
	status, body := h.get("/v1/activities/hall/seats?"+class, link)
	if status != 200 || !strings.Contains(body, `"enrolled":5,"done":[2,5],"not_yet":[1,3,4],`) {
		t.Errorf("%d %s", status, body)
	}
	resp, err := http.Post(h.url+"/v1/participations", "application/json",
		strings.NewReader(`{"activity":"hall","school":"3418020001","grade":3,"class":3,"role":"student","seat":5}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct{ Receipt string }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	asHeard := strings.NewReplacer("-", "%20", "0", "o", "1", "l").Replace(strings.ToLower(reply.Receipt))
	for _, text := range []string{reply.Receipt, asHeard} {
		if status, body := h.get("/v1/activities/hall/receipts?"+class+"&receipt="+text, link); status != 200 || !strings.Contains(body, `"seat":5,"counted":true`) {
			t.Errorf("receipt %s: %d %s", text, status, body)
		}
	}
	for text, want := range map[string]int{"0000-0000": 404, "": 422, "UUUU-UUUU": 422, "123": 422} {
		if status, body := h.get("/v1/activities/hall/receipts?"+class+"&receipt="+text, link); status != want {
			t.Errorf("receipt %q: %d %s", text, status, body)
		}
	}
	if status, _ := h.get("/v1/activities/hall/seats?school=3418020001&grade=3&class=9", link); status != 422 {
		t.Errorf("a class that there is not: %d", status)
	}
	h.ledger.away.Store(true)
	if status, body := h.get("/v1/activities/hall/seats?"+class, link); status != 503 || strings.Contains(body, "done") {
		t.Errorf("away: %d %s", status, body)
	}
}

// A link becomes a cookie and the address of a page without it.
func TestLinkExchange(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	for _, c := range []struct {
		scope canyu.Scope
		to    string
	}{
		{canyu.Scope{Kind: canyu.ClassScope, Region: 341802, School: 3418020001, Grade: 3, Class: 2}, "/a/hall?class=2&grade=3&mode=class&school=3418020001"},
		{canyu.Scope{Kind: canyu.SchoolScope, Region: 341802, School: 3418020001}, "/school/3418020001"},
		{canyu.Scope{Kind: canyu.SchoolScope, Activity: "hall", Region: 341802, School: 3418020001}, "/school/3418020001?activity=hall"},
		{canyu.Scope{Kind: canyu.RegionScope, Region: 341802}, "/bureau/341802"},
		{canyu.Scope{Kind: canyu.AdminScope}, "/bureau/100000"},
	} {
		name, token, _ := strings.Cut(h.link(c.scope), "=")
		req, err := http.NewRequest("GET", h.url+"/link/"+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-Proto", "https")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		cookies := resp.Cookies()
		if resp.StatusCode != 303 || resp.Header.Get("Location") != c.to || len(cookies) != 1 ||
			resp.Header.Get("Referrer-Policy") != "no-referrer" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v", c.scope.Kind, resp.StatusCode, resp.Header)
		}
		if k := cookies[0]; k.Name != name || k.Value != token || !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || (k.MaxAge > 0) != (c.scope.Kind != canyu.AdminScope) {
			t.Errorf("%s: %s", c.scope.Kind, k)
		}
	}
	// Somebody with a browser is told in words.
	for lang, want := range map[string]string{"zh-CN": "链接无效", "zh-TW": "連結無效", "en": "not valid"} {
		req, err := http.NewRequest("GET", h.url+"/link/garbage", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html,*/*")
		req.Header.Set("Accept-Language", lang)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 401 || !strings.Contains(string(body), want) || len(resp.Cookies()) != 0 {
			t.Errorf("%s: %d %s", lang, resp.StatusCode, body)
		}
	}
}
