package main

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/reports"
)

func allRoutes() []canyu.Route { return append(ingest.Routes(), reports.Routes...) }

// allowedTo are the rows of TestAccess that each kind of route may have.
var allowedTo = map[canyu.Opens][]string{
	canyu.ToAll:    {everybody},
	canyu.ToNear:   {everybody}, // the tests are at hand; see TestNear
	canyu.ToClass:  {ofClass},
	canyu.ToSchool: {ofSchool},
	canyu.ToRegion: {ofCounty, ofCity, ofAdmin},
	canyu.ToCounts: {ofSchool, ofCounty, ofCity, ofAdmin}, // with public: none
}

// Servers answer by the lists of routes and by nothing else. Each of them, with each
// of its methods, has a row in TestAccess that says the same of who may ask, and
// stands in deploy/ROUTES.md.
func TestRoutes(t *testing.T) {
	t.Parallel()
	routes := allRoutes()
	for _, r := range routes {
		for method := range strings.SplitSeq(r.Methods, ", ") {
			if method == "HEAD" { // goes with GET
				continue
			}
			if !slices.ContainsFunc(routeRows, func(row struct{ method, path, allowed string }) bool {
				path, _, _ := strings.Cut(row.path, "?")
				return row.method == method && canyu.FindRoute(routes, path).Path == r.Path && slices.Contains(allowedTo[r.Opens], row.allowed)
			}) {
				t.Errorf("%s %s is for %s: no row of TestAccess says so", method, r.Path, r.Opens)
			}
		}
		if strings.Contains(r.Methods, "GET") != strings.Contains(r.Methods, "HEAD") || strings.Contains(r.Methods, "POST") != (r.Body > 0) {
			t.Errorf("%s: %s with %d bytes", r.Path, r.Methods, r.Body)
		}
	}

	var table strings.Builder
	table.WriteString("| address | methods | for | body | bounded by |\n|---|---|---|---|---|\n")
	for _, r := range routes {
		body := "–"
		if r.Body > 0 {
			body = fmt.Sprintf("%d KiB", r.Body>>10)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", r.Path, r.Methods, r.Opens, body, cmp.Or(r.Pace, "–"))
	}
	page, err := os.ReadFile("../../deploy/ROUTES.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n"+table.String()+"\n") {
		t.Errorf("deploy/ROUTES.md does not have this table:\n%s", table.String())
	}
}

// wrongMethods asks every route with every method that it has not, as everybody.
func wrongMethods(t *testing.T, s *site, v *server, visitors map[string]string) {
	t.Helper()
	routes, seen := allRoutes(), make(map[string]bool)
	for _, row := range routeRows {
		path, _, _ := strings.Cut(strings.ReplaceAll(row.path, "ACTIVITY", s.activity), "?")
		route := canyu.FindRoute(routes, path)
		if seen[route.Path] {
			continue
		}
		seen[route.Path] = true
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
			if route.Allows(method) {
				continue
			}
			for name, cookie := range visitors {
				status, header := head(t, method, v.url+path, cookie)
				if status != 405 || header.Get("Allow") != route.Methods || header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s: %s gets %d, Allow %q", method, path, name, status, header.Get("Allow"))
				}
			}
		}
	}
	for _, path := range []string{"/v1", "/v1/participations/1", "/a", "/school", "/school/3418020001/files/x", "/bureau/341802/x", "/assets", "/.env", "/debug/pprof", "/metrics/x", "/index.php"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			if status, _ := head(t, method, v.url+path, visitors["admin"]); status != 404 {
				t.Errorf("%s %s: %d", method, path, status)
			}
		}
	}
}

// head is what is answered besides the body.
func head(t *testing.T, method, url, cookie string, headers ...string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// What every answer tells a browser about its use.
func TestGuards(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "")
	s.must("roster", "import", s.file("roster.csv", []byte("区划代码,学校标识码,学校名称,年级,班级,人数\n341802,3418020001,甲,3,1,30\n")))
	v := s.serve()
	visitors := newVisitors(t, s)
	// What a page that was kept is told must not close it: a 304's headers go over its own.
	page := v.url + "/a/" + s.activity
	_, kept := head(t, "GET", page, "", "Accept", "text/html")
	if status, h := head(t, "GET", page, "", "If-None-Match", kept.Get("ETag")); status != 304 || h.Get("Content-Security-Policy") != "" || h.Get("Cache-Control") == "no-store" {
		t.Errorf("a page that was kept: %d %v", status, h)
	}
	rows := slices.Clone(routeRows)
	rows = append(rows, struct{ method, path, allowed string }{"GET", "/nothing", ""}, struct{ method, path, allowed string }{"PUT", "/a/ACTIVITY", ""})
	for _, row := range rows {
		url := v.url + strings.ReplaceAll(row.path, "ACTIVITY", s.activity)
		for _, visitor := range []string{"none", "admin"} {
			status, h := head(t, row.method, url, visitors[visitor], "Accept", "text/html")
			if h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: may be sniffed", row.method, row.path)
			}
			if row.path == "/v1/participations" { // JSON that nobody can read from elsewhere
				continue
			}
			policy := h.Get("Content-Security-Policy")
			live := strings.Contains(row.path, "/live?") && status == 200
			for name, ok := range map[string]bool{
				"Content-Security-Policy": live || strings.Contains(policy, "default-src 'none'") && !strings.Contains(policy, "script-src 'unsafe") &&
					(strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "sandbox")),
				"X-Frame-Options":              live || h.Get("X-Frame-Options") == "DENY",
				"Referrer-Policy":              h.Get("Referrer-Policy") == "no-referrer" || h.Get("Referrer-Policy") == "same-origin",
				"Cross-Origin-Resource-Policy": h.Get("Cross-Origin-Resource-Policy") == "same-origin",
				"Cache-Control":                h.Get("Cache-Control") != "",
				"Cross-Origin-Opener-Policy":   !strings.HasPrefix(h.Get("Content-Type"), "text/html") || h.Get("Cross-Origin-Opener-Policy") == "same-origin",
				"Permissions-Policy":           !strings.HasPrefix(h.Get("Content-Type"), "text/html") || strings.Contains(h.Get("Permissions-Policy"), "camera=()"),
				"no CORS":                      h.Get("Access-Control-Allow-Origin") == "",
				"no HSTS over http":            h.Get("Strict-Transport-Security") == "",
			} {
				if !ok {
					t.Errorf("%s %s, %s: %s: %v", row.method, row.path, visitor, name, h)
				}
			}
			if row.allowed != everybody && row.allowed != "" && !strings.Contains(h.Get("Cache-Control"), "no-store") && !strings.Contains(row.path, "/counts") {
				t.Errorf("%s %s, %s: may be kept: %s", row.method, row.path, visitor, h.Get("Cache-Control"))
			}
		}
		if _, h := head(t, row.method, url, "", "X-Forwarded-Proto", "https"); row.path != "/v1/participations" && !strings.Contains(row.path, "/live") && h.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s %s: no HSTS behind a proxy with https", row.method, row.path)
		}
	}
	v.stop()
}

// Metrics, and what is missing, are for machines at hand that ask for themselves.
func TestNear(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "")
	v := s.start() // without a roster it is not ready
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "X-Forwarded-Proto"} {
		if status, _ := head(t, "GET", v.url+"/metrics", "", header, "1.2.3.4"); status != 403 {
			t.Errorf("%s: %d", header, status)
		}
	}
	if status, body, _ := v.get("/metrics"); status != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("at hand: %d", status)
	}
	if _, body, _ := v.get("/readyz"); !strings.Contains(body, "roster import") {
		t.Errorf("not ready, at hand: %s", body)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", v.url+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "1.2.3.4")
	if status, body := do(t, req); status != 503 || strings.Contains(body, "roster") {
		t.Errorf("not ready, a stranger: %d %s", status, body)
	}
	v.stop()

	// On a listener of their own, with profiles if asked for.
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, append([]byte("metrics_listen: 127.0.0.1:0\npprof: true\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	v = s.start()
	var other string
	v.eventually("the address of the metrics", func() error {
		_, rest, ok := strings.Cut(v.log.String(), "msg=metrics address=")
		if !ok {
			return fmt.Errorf("not told:\n%s", v.log.String())
		}
		other, _, _ = strings.Cut(rest, "\n")
		return nil
	})
	for url, want := range map[string]int{
		v.url + "/metrics": 404, v.url + "/debug/pprof/": 404, v.url + "/healthz": 200,
		"http://" + other + "/metrics": 200, "http://" + other + "/healthz": 200, "http://" + other + "/readyz": 503,
		"http://" + other + "/debug/pprof/heap": 200, "http://" + other + "/debug/pprof/cmdline": 200, "http://" + other + "/a/" + s.activity: 404,
	} {
		if status, _ := head(t, "GET", url, ""); status != want {
			t.Errorf("%s: %d, want %d", url, status, want)
		}
	}
	v.stop()
	if _, err := s.canyu("check"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(s.config, append([]byte("pprof: true\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.canyu("check"); err == nil || !strings.Contains(err.Error(), "pprof: needs metrics_listen") {
		t.Errorf("profiles for everybody: %v", err)
	}
}

// What the page of another site may have a visitor's browser do.
func TestFromElsewhere(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	const form, json, text = "application/x-www-form-urlencoded", "application/json", "text/plain"
	for name, c := range map[string]struct {
		path, kind string
		headers    []string
		want       int // 0: whatever the handler says
	}{
		"form, its own page":            {"/a/hall", form, []string{"Sec-Fetch-Site", "same-origin"}, 0},
		"form, no such browser":         {"/a/hall", form, nil, 0},
		"form, another site":            {"/a/hall", form, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"form, a neighbour":             {"/a/hall", form, []string{"Sec-Fetch-Site", "same-site"}, 403},
		"form, old browser":             {"/a/hall", form, []string{"Host", "canyu.example.org", "Origin", "http://canyu.example.org"}, 0},
		"form, old browser, other site": {"/a/hall", form, []string{"Host", "canyu.example.org", "Origin", "http://evil.example.org"}, 403},
		"form, proxy":                   {"/a/hall", form, []string{"Host", "canyu", "Origin", "http://canyu.example.org"}, 0},
		"form, proxy that tells":        {"/a/hall", form, []string{"Host", "canyu", "X-Forwarded-Host", "canyu.example.org", "Origin", "http://evil.example.org"}, 403},
		"form, page without an address": {"/a/hall", form, []string{"Host", "canyu.example.org", "Origin", "null"}, 0},
		"a form that looks like JSON":   {"/v1/participations", text, nil, 415},
		"a form that is one":            {"/v1/participations", form, nil, 415},
		"a form without a kind":         {"/v1/participations", "", nil, 415},
		"JSON":                          {"/v1/participations", json, nil, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+c.path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			req.Header.Set("Content-Type", c.kind)
		}
		for i := 0; i < len(c.headers); i += 2 {
			req.Header.Set(c.headers[i], c.headers[i+1])
			if c.headers[i] == "Host" {
				req.Host = c.headers[i+1]
			}
		}
		status, body := do(t, req)
		if c.want != 0 && status != c.want || c.want == 0 && status != 200 && status != 422 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// JSON needs a question first, and that is answered no.
	status, header := head(t, "OPTIONS", h.url+"/v1/participations", "", "Origin", "https://evil.example.org",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if status != 405 || header.Get("Access-Control-Allow-Origin")+header.Get("Access-Control-Allow-Methods")+header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("preflight: %d %v", status, header)
	}
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := make([]byte, 4096)
	n, _ := resp.Body.Read(body)
	return resp.StatusCode, string(body[:n])
}
