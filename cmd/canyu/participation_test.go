package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"io"
)

// A submission, a repeat, a class at one screen, and what the counts say of them.
func TestParticipations(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()

		status, first := v.post("application/json", s.submission(map[string]any{"name": "张三", "id": "x1"}))
		if m := regexp.MustCompile(`^\{"counted":true,"ordinal":1,"receipt":"([0-9A-Z]{4}-[0-9A-Z]{4})"\}$`).FindStringSubmatch(first); status != 201 || m == nil {
			t.Fatalf("first: %d %s", status, first)
		}
		receipt := first[strings.Index(first, `"receipt"`):]
		for _, again := range []map[string]any{{"id": "x1"}, {"id": "x2", "name": "李四"}, {}} {
			if status, body := v.post("application/json; charset=utf-8", s.submission(again)); status != 200 || body != `{"counted":false,`+receipt {
				t.Fatalf("repeat %v: %d %s", again, status, body)
			}
		}
		items := []string{
			s.submission(map[string]any{"seat": 18}),
			s.submission(map[string]any{"seat": 17}),
			s.submission(map[string]any{"seat": 99}),
			s.submission(map[string]any{"activity": "nobody"}),
			s.submission(map[string]any{"seat": 18, "role": "parent", "name": "王五"}),
			s.submission(map[string]any{"seat": nil, "role": "teacher", "name": "赵六"}),
			s.submission(map[string]any{"seat": 18}),
		}
		status, body := v.post("application/json", "["+strings.Join(items, ",")+"]")
		var array struct {
			Results []struct {
				Status  int
				Counted bool
				Ordinal int
				Receipt string
				Errors  []struct{ Field, Reason string }
			}
		}
		if err := json.Unmarshal([]byte(body), &array); err != nil || status != 200 {
			t.Fatalf("array: %d %s: %v", status, body, err)
		}
		var got []string
		for _, r := range array.Results {
			got = append(got, fmt.Sprint(r.Status, r.Counted, r.Ordinal))
		}
		if want := "201 true 2,200 false 0,422 false 0,404 false 0,201 true 3,201 true 4,200 false 0"; strings.Join(got, ",") != want {
			t.Fatalf("array: %v, want %s\n%s", got, want, body)
		}
		if array.Results[2].Errors[0].Field != "seat" || array.Results[0].Receipt != array.Results[6].Receipt {
			t.Fatalf("array: %s", body)
		}

		type counts struct {
			Participants map[string]int
			Submissions  *int
			Enrolled     int
			Rate         float64
			Today        struct {
				Participants map[string]int
				Submissions  int
			}
			Classes []struct {
				Grade, Class int
				Participants map[string]int
			}
			Grades []struct{ Grade int }
			AsOf   time.Time `json:"as_of"`
		}
		ask := func(query string) (c counts) {
			t.Helper()
			status, body, err := v.get("/v1/activities/" + s.activity + "/counts?" + query)
			if err == nil && status == 200 {
				err = json.Unmarshal([]byte(body), &c)
			}
			if err != nil || status != 200 {
				t.Fatalf("counts: %d %s: %v", status, body, err)
			}
			return c
		}
		// Participants are exact at once; submissions follow within five seconds.
		for _, query := range []string{"school=3418020001", "region=341802", "region=341800", "region=340000"} {
			c := ask(query)
			if fmt.Sprint(c.Participants) != "map[parent:1 student:2 teacher:1]" {
				t.Fatalf("%s: %v", query, c.Participants)
			}
		}
		c := ask("school=3418020001")
		if c.Enrolled != 636 || c.Rate != 2.0/636 || c.AsOf.IsZero() || len(c.Grades) != 6 {
			t.Fatalf("counts: %+v", c)
		}
		for _, class := range c.Classes {
			if n := class.Participants["student"]; n != 0 && (class.Grade != 3 || class.Class != 2 || n != 2) {
				t.Fatalf("class %+v", class)
			}
		}
		began := time.Now()
		v.eventually("submissions", func() error {
			c := ask("school=3418020001")
			// x1 twice is one submission; those without id are each their own.
			if c.Submissions == nil || *c.Submissions != 8 || c.Today.Submissions != 8 || fmt.Sprint(c.Today.Participants) != "map[parent:1 student:2 teacher:1]" {
				return fmt.Errorf("counts %+v", c)
			}
			return nil
		})
		t.Logf("the archive was %s behind", time.Since(began))
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Fatalf("verify: %s", out)
		}
	})
}

// Bad input: each gets its status and a reason that names the field, nothing is
// counted, and the server stays up.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	with := func(field string, value any) string { return s.submission(map[string]any{field: value}) }
	raw := func(field, value string) string {
		return strings.Replace(with(field, "@@"), `"@@"`, value, 1)
	}
	for _, c := range []struct {
		name   string
		body   string
		status int
		reason string // what the reply must say
	}{
		{"empty body", "", 400, "ends too early"},
		{"no JSON", "hello", 400, "JSON"},
		{"cut short", s.submission(nil)[:40], 400, "ends too early"},
		{"broken", `{"activity":,}`, 400, "JSON"},
		{"a number", "17", 400, "want a submission"},
		{"a string", `"x"`, 400, "want a submission"},
		{"null", "null", 400, "want a submission"},
		{"array of numbers", "[1,2]", 400, "item 0"},
		{"array in array", "[[{}]]", 400, "item 0"},
		{"something behind", s.submission(nil) + "x", 400, "follows"},
		{"two objects", s.submission(nil) + s.submission(nil), 400, "follows"},
		{"single quotes", `{'seat':1}`, 400, "JSON"},
		{"comment", `{/*x*/"seat":1}`, 400, "JSON"},
		{"trailing comma", `{"seat":1,}`, 400, "JSON"},
		{"NaN", raw("seat", "NaN"), 400, "seat"},
		{"Infinity", raw("grade", "Infinity"), 400, "grade"},
		{"hexadecimal", raw("seat", "0x11"), 400, "seat"},
		{"leading zero", raw("seat", "017"), 400, "seat"},
		{"duplicate key", `{"seat":1,"seat":2}`, 400, "seat is given twice"},
		{"invalid UTF-8", raw("message", "\"\xff\xfe\""), 400, "message"},
		{"invalid UTF-8 in a key", "{\"\xc3\x28\":1}", 400, "UTF-8"},
		{"lone surrogate", raw("message", `"\ud800"`), 400, "message"},
		{"control character", raw("message", "\"a\nb\""), 400, "message"},
		{"deep nesting", strings.Repeat("[", 20_000), 400, "item 0"},
		{"deep nesting in a field", raw("seat", strings.Repeat("[", 20_000)), 400, "JSON"},
		{"array of 101", "[" + strings.Repeat("{},", 100) + "{}]", 413, "100"},
		{"10 MB", with("message", strings.Repeat("a", 10<<20)), 413, "body"},
		{"huge number", raw("seat", "1e400"), 422, "seat"},
		{"beyond int64", raw("seat", "99999999999999999999999"), 422, "seat"},
		{"fraction", raw("seat", "1.5"), 422, "seat"},
		{"exponent", raw("seat", "1e1"), 422, "seat"},
		{"negative", with("seat", -1), 422, "seat"},
		{"seat 0", with("seat", 0), 422, "seat"},
		{"seat beyond the enrolment", with("seat", 500), 422, "pupils"},
		{"seat as text", with("seat", "17"), 422, "seat"},
		{"seat as an object", with("seat", map[string]int{"a": 1}), 422, "seat"},
		{"no seat", with("seat", nil), 422, "seat"},
		{"seat true", with("seat", true), 422, "seat"},
		{"no school", with("school", nil), 422, "school"},
		{"school as a number", with("school", 3418020001), 422, "school"},
		{"unknown school", with("school", "9999999999"), 422, "school"},
		{"short school", with("school", "341802"), 422, "school"},
		{"school with a sign", with("school", "+418020001"), 422, "school"},
		{"grade 0", with("grade", 0), 422, "grade"},
		{"grade 13", with("grade", 13), 422, "grade"},
		{"grade as text", with("grade", "三"), 422, "grade"},
		{"no class", with("class", nil), 422, "class"},
		{"class 99", with("class", 99), 422, "class"},
		{"class of 65538", with("class", 65538), 422, "class"},
		{"class as an array", with("class", []int{2}), 422, "class"},
		{"no role", with("role", nil), 422, "role"},
		{"role visitor", with("role", "visitor"), 422, "role"},
		{"role that the activity does not have", with("role", "public"), 422, "role"},
		{"role as a number", with("role", 1), 422, "role"},
		{"unknown step", with("steps", []string{"bow", "fireworks"}), 422, "fireworks"},
		{"a step twice", with("steps", []string{"bow", "bow"}), 422, "steps"},
		{"steps as text", with("steps", "bow"), 422, "steps"},
		{"steps of numbers", with("steps", []int{1}), 422, "steps"},
		{"thousands of steps", with("steps", strings.Split(strings.Repeat("x ", 20_000), " ")), 422, "steps"},
		{"long message", with("message", strings.Repeat("念", 501)), 422, "message"},
		{"message as an object", with("message", map[string]int{}), 422, "message"},
		{"long id", with("id", strings.Repeat("x", 65)), 422, "id"},
		{"long name", with("name", strings.Repeat("张", 65)), 422, "name"},
		{"parent without name", s.submission(map[string]any{"role": "parent"}), 422, "name"},
		{"parent of white space", s.submission(map[string]any{"role": "parent", "name": " 　"}), 422, "name"},
		{"teacher without name", s.submission(map[string]any{"role": "teacher", "seat": nil}), 422, "name"},
		{"unknown field", with("clas", 2), 422, "clas"},
		{"at is for replays", with("at", "2017-04-01T08:00:00+08:00"), 422, "at"},
		{"several at once", s.submission(map[string]any{"seat": "x", "role": "x", "school": "x"}), 422, "school"},
		{"no activity", with("activity", nil), 422, "activity"},
		{"unknown activity", with("activity", "qingming-1917"), 404, "activity"},
		{"activity as a number", with("activity", 1), 422, "activity"},
	} {
		status, body := v.post("application/json", c.body)
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Type == "" || p.Title == "" || p.Status != status {
			t.Errorf("%s: no problem: %d %.200s", c.name, status, body)
		}
		if status != c.status || !strings.Contains(body, c.reason) {
			t.Errorf("%s: %d %.300s, want %d and %q", c.name, status, body, c.status, c.reason)
		}
	}
	for _, c := range []struct {
		contentType string
		status      int
	}{
		{"", 415}, {"text/plain", 415}, {"application/x-www-form-urlencoded", 415}, {"application/jsonp", 415},
		{"application/json", 201}, {"Application/JSON; charset=utf-8", 200},
	} {
		if status, body := v.post(c.contentType, s.submission(nil)); status != c.status {
			t.Errorf("content type %q: %d %s, want %d", c.contentType, status, body, c.status)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/participations", 405}, {"DELETE", "/v1/participations", 405}, {"POST", "/healthz", 405},
		{"GET", "/nowhere", 404}, {"GET", "/v1/activities/nobody", 404}, {"GET", "/v1/activities/" + s.activity, 200},
		{"GET", "/v1/activities/" + s.activity + "/nothing", 404},
		{"GET", "/v1/activities/" + s.activity + "/counts", 422},
		{"GET", "/v1/activities/" + s.activity + "/counts?school=1", 422},
		{"GET", "/v1/activities/" + s.activity + "/counts?school=9999999999", 422},
		{"GET", "/v1/activities/" + s.activity + "/counts?region=999999", 422},
		{"GET", "/v1/activities/" + s.activity + "/counts?region=341802&school=3418020001", 422},
		{"GET", "/healthz", 200}, {"GET", "/readyz", 200}, {"GET", "/metrics", 200},
	} {
		r, err := http.NewRequest(c.method, v.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := httpClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, response.StatusCode, body, c.status)
		}
	}
	v.rawHTTP(t)
	if _, body, err := v.get("/v1/activities/" + s.activity + "/counts?school=3418020001"); err != nil || !strings.Contains(body, `"participants":{"parent":0,"student":1,"teacher":0}`) {
		t.Errorf("counted after all that: %s %v, want one student", body, err)
	}
	v.stop()
}

// rawHTTP sends what no client library would.
func (v *server) rawHTTP(t *testing.T) {
	for _, c := range []struct{ name, request, want string }{
		{"no HTTP", "hello\r\n\r\n", "400"},
		{"10 GB announced", "POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n", "413"},
		{"huge header", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 20_000) + "\r\n\r\n", "431"},
		{"two lengths", "POST /v1/participations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(v.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, c.request) // the server may close while we write
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(answer), "HTTP/1.1 "+c.want) {
			t.Errorf("%s: %.100q, want %s", c.name, answer, c.want)
		}
	}
}

// Before the first and after the last day nothing is taken.
func TestNotOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, last, outcome string }{
		{"2017-04-01", "2017-04-07", "closed"},
		{"2093-04-01", "2093-04-07", "not_open"},
	} {
		s := newSite(t, pair{name: "embedded"}, "run: [ingest]\n", c.first, c.last)
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		if status, body := v.post("application/json", s.submission(nil)); status != 403 || !strings.Contains(body, "urn:canyu:problem:"+c.outcome) {
			t.Errorf("%s: %d %s", c.outcome, status, body)
		}
	}
}
