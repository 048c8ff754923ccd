package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/xuri/excelize/v2"
)

// board is a site with a wall, being served.
type board struct {
	*site
	*server
	t        *testing.T
	visitors map[string]string
}

func newBoard(t *testing.T, p pair) *board {
	t.Helper()
	s := newSite(t, p, "")
	words := s.file("words.txt", []byte("# ours\n傻瓜\n"))
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, []byte("wall_words: "+words+"\n"+string(text)+"    wall: on\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.must("roster", "import", s.file("roster.csv", []byte("region,school,name,grade,class,enrolled\n"+
		"341802,3418020001,甲小学,3,2,200\n341802,3418020002,乙小学,3,1,50\n341821,3418210001,丙小学,3,1,50\n")))
	b := &board{site: s, t: t, visitors: newVisitors(t, s)}
	b.server = s.serve()
	return b
}

func (b *board) write(school string, class, seat int, message string) {
	b.t.Helper()
	if status, body := b.post("application/json", b.submission(map[string]any{"school": school, "class": class, "seat": seat, "message": message})); status != 201 {
		b.t.Fatalf("%d: %s", status, body)
	}
}

// ask is a request of a visitor; form nil is GET.
func (b *board) ask(visitor, path string, form url.Values, header ...string) (int, string, string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	method, body := "GET", io.Reader(nil)
	if form != nil {
		method, body = "POST", strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c := b.visitors[visitor]; c != "" {
		req.Header.Set("Cookie", c)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

var (
	itemPattern  = regexp.MustCompile(`(?s)name="key" value="([0-9a-f]{16})"[^>]*><span class="text">([^<]*)</span>`)
	tokenPattern = regexp.MustCompile(`name="token" value="([^"]+)"`)
	tabPattern   = regexp.MustCompile(`(待审|需留意|被举报|已展示|不展示) ([0-9,]+)</a>`)
)

// list is a list of the review: key by message, the form's token, and the counts.
func (b *board) list(visitor, path string) (keys map[string]string, token, counts string) {
	b.t.Helper()
	status, _, body := b.ask(visitor, path, nil)
	if status != 200 {
		b.t.Fatalf("%s gets %d for %s: %s", visitor, status, path, body)
	}
	keys = make(map[string]string)
	for _, m := range itemPattern.FindAllStringSubmatch(body, -1) {
		keys[html.UnescapeString(m[2])] = m[1]
	}
	if m := tokenPattern.FindStringSubmatch(body); m != nil {
		token = m[1]
	}
	for _, m := range tabPattern.FindAllStringSubmatch(body, -1) {
		counts += m[2] + " "
	}
	return keys, token, strings.TrimSpace(counts)
}

// settle waits until the lists have so many messages.
func (b *board) settle(visitor, path, want string) {
	b.t.Helper()
	b.eventually(path+" has "+want, func() error {
		if _, _, counts := b.list(visitor, path); counts != want {
			return fmt.Errorf("%s", counts)
		}
		return nil
	})
}

func (b *board) decide(visitor, path string, form url.Values) string {
	b.t.Helper()
	status, to, body := b.ask(visitor, path, form)
	if status != 303 {
		b.t.Fatalf("%s: %d %s", path, status, body)
	}
	return to
}

type wallReply struct {
	Open     bool
	Messages []map[string]any
	Next     string
}

func (b *board) wall(args string) (w wallReply) {
	b.t.Helper()
	status, _, body := b.ask("none", "/v1/activities/"+b.activity+"/wall"+args, nil)
	if err := json.Unmarshal([]byte(body), &w); err != nil || status != 200 {
		b.t.Fatalf("%d %s: %v", status, body, err)
	}
	return w
}

// onWall waits until the wall has these messages, the newest first.
func (b *board) onWall(args string, want ...string) {
	b.t.Helper()
	b.eventually("on the wall", func() error {
		got := []string{}
		for _, m := range b.wall(args).Messages {
			got = append(got, m["message"].(string))
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the wall%s has %q, want %q", args, got, want)
		}
		return nil
	})
}

func TestWall(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		b := newBoard(t, p)
		const school, county = "/school/3418020001/messages", "/bureau/341802/messages"
		b.write("3418020001", 2, 1, "先烈永垂不朽")
		b.write("3418020001", 2, 2, "<b>铭记</b> & 'history'")
		b.write("3418020001", 2, 3, "我的电话是 138 0013 8000")
		b.write("3418020001", 2, 4, "你是傻 瓜")
		b.write("3418020002", 1, 1, "乙小学向先烈致敬")
		b.write("3418210001", 1, 1, "丙小学向先烈致敬")
		b.settle("school", school, "2 2 0 0 0")
		b.settle("county", county, "3 2 0 0 0")
		b.onWall("")

		// Nobody decides without the form, nor about another school's messages.
		keys, token, _ := b.list("school", school)
		all, _, _ := b.list("county", county)
		other := all["乙小学向先烈致敬"]
		if other == "" || len(keys) != 2 {
			t.Fatalf("keys: %v, %v", keys, all)
		}
		for _, form := range []url.Values{
			{"token": {"forged"}, "list": {"waiting"}, "do": {"show"}, "key": {keys["先烈永垂不朽"]}},
			{"token": {token}, "list": {"waiting"}, "do": {"show"}, "key": {other, "0123", "zzzzzzzzzzzzzzzz", ""}},
			{"token": {token}, "list": {"waiting"}, "do": {"dance"}, "key": {keys["先烈永垂不朽"]}},
			{"token": {token}, "list": {"waiting"}, "do": {"show"}},
		} {
			b.decide("school", school, form)
		}
		if status, _, _ := b.ask("other school", school, url.Values{"token": {token}, "list": {"waiting"}, "do": {"all"}}); status != 403 {
			t.Errorf("another school decides: %d", status)
		}
		b.settle("county", county, "3 2 0 0 0")

		// A whole page at once; what is held is on another one.
		form := url.Values{"token": {token}, "list": {"waiting"}, "do": {"all"}, "all": {keys["先烈永垂不朽"], keys["<b>铭记</b> & 'history'"]}}
		if to := b.decide("school", school, form); !strings.Contains(to, "done=2") || !strings.Contains(to, "missed=0") {
			t.Errorf("after all of the page: %s", to)
		}
		if to := b.decide("school", school, form); !strings.Contains(to, "done=0") || !strings.Contains(to, "missed=2") {
			t.Errorf("twice: %s", to)
		}
		b.settle("school", school, "0 2 0 2 0")
		b.onWall("", "<b>铭记</b> & 'history'", "先烈永垂不朽")
		page := b.wallPage("")
		if !strings.Contains(page, "&lt;b&gt;铭记&lt;/b&gt;") || !strings.Contains(page, "甲小学</a> <span>三年级2班") {
			t.Errorf("the page of the wall: %s", page)
		}
		for _, m := range b.wall("").Messages {
			if len(m) != 7 || m["school_name"] != "甲小学" || m["grade"] != 3.0 || m["class"] != 2.0 {
				t.Errorf("a message says %v", m)
			}
		}

		// One of the two held is not to be seen, the other is put right.
		held, _, _ := b.list("school", school+"?list=held")
		_, _, body := b.ask("school", school+"?list=held", nil)
		if !strings.Contains(body, "疑似电话号码") || !strings.Contains(body, "词表：傻瓜") {
			t.Errorf("the reasons: %s", body)
		}
		b.decide("school", school, url.Values{"token": {token}, "list": {"held"}, "hide": {held["我的电话是 138 0013 8000"]}})
		b.settle("school", school, "0 1 0 2 1")

		b.reports(keys["先烈永垂不朽"], school, token)
		b.switches(county)
		b.book(p)

		// Counting knows nothing of all this.
		var counts struct{ Participants map[string]int }
		_, text, _ := b.get("/v1/activities/" + b.activity + "/counts?school=3418020001")
		if err := json.Unmarshal([]byte(text), &counts); err != nil || counts.Participants["student"] != 5 {
			t.Errorf("counts: %s", text)
		}
		b.stop()
		if log := b.log.String(); strings.Contains(log, "先烈") || strings.Contains(log, "138") {
			t.Errorf("the log speaks of messages: %s", log)
		}
	})
}

func (b *board) wallPage(args string) string {
	b.t.Helper()
	_, _, body := b.ask("none", "/a/"+b.activity+"/wall"+args, nil)
	return body
}

// reports: three visitors take a message down, until it is looked at again.
func (b *board) reports(key, school, token string) {
	b.t.Helper()
	path := "/a/" + b.activity + "/wall"
	report := func(who string, header ...string) int {
		b.t.Helper()
		status, _, _ := b.ask("none", path, url.Values{"key": {key}, "back": {path + "?school=3418020001"}}, append(header, "X-Forwarded-For", who)...)
		return status
	}
	for i := range 5 { // one is one, whatever his browser says it is and others are said to have passed on
		report(fmt.Sprintf("203.0.113.%d, one", i), "User-Agent", fmt.Sprint("browser ", i))
	}
	if status := report("three", "Sec-Fetch-Site", "cross-site"); status != 403 {
		b.t.Errorf("from another site: %d", status)
	}
	report("two")
	b.onWall("?school=3418020001", "<b>铭记</b> & 'history'", "先烈永垂不朽")
	if status := report("three"); status != 303 {
		b.t.Errorf("a report: %d", status)
	}
	b.onWall("?school=3418020001", "<b>铭记</b> & 'history'")
	b.settle("school", school, "0 1 1 1 1")
	b.decide("school", school, url.Values{"token": {token}, "list": {"reported"}, "show": {key}})
	for _, who := range []string{"four", "five", "six", "seven"} {
		report(who)
	}
	b.settle("school", school, "0 1 0 2 1")
	status := 0
	for i := 0; i < 41 && status != 429; i++ { // twenty in each of two minutes, and one more
		status = report("many")
	}
	if status != 429 {
		b.t.Errorf("too many reports: %d", status)
	}
	for back, want := range map[string]string{"https://example.org/": path + "?reported=1", path + "?before=1": path + "?before=1&reported=1", "//example.org": path + "?reported=1", path + "?before=1\x00": path + "?reported=1"} {
		if _, to, _ := b.ask("none", path, url.Values{"key": {key}, "back": {back}}, "User-Agent", "back"); to != want {
			b.t.Errorf("back to %q: %q", back, to)
		}
	}
}

// switches: a county turns its own wall off, the nation everybody's.
func (b *board) switches(county string) {
	b.t.Helper()
	_, token, _ := b.list("other county", "/bureau/341821/messages")
	keys, _, _ := b.list("other county", "/bureau/341821/messages")
	b.decide("other county", "/bureau/341821/messages", url.Values{"token": {token}, "list": {"waiting"}, "do": {"show"}, "key": {keys["丙小学向先烈致敬"]}})
	b.onWall("", "丙小学向先烈致敬", "<b>铭记</b> & 'history'", "先烈永垂不朽")
	_, token, _ = b.list("county", county)
	b.decide("county", county, url.Values{"token": {token}, "wall": {"off"}})
	b.onWall("", "丙小学向先烈致敬")
	if w := b.wall("?school=3418020001"); w.Open || len(w.Messages) != 0 {
		b.t.Errorf("a county's wall is off: %+v", w)
	}
	if page := b.wallPage("?school=3418020001"); !strings.Contains(page, "留言墙暂时关闭") {
		b.t.Errorf("off: %s", page)
	}
	b.write("3418020001", 2, 5, "墙关了，仍然参与")
	const nation = "/bureau/100000/messages"
	_, token, _ = b.list("admin", nation)
	b.decide("admin", nation, url.Values{"token": {token}, "wall": {"off"}})
	b.decide("county", county, url.Values{"token": {b.token("county", county)}, "wall": {"on"}})
	b.eventually("off everywhere", func() error {
		if b.wall("").Open || b.wall("?school=3418020001").Open {
			return fmt.Errorf("it is open")
		}
		return nil
	})
	b.decide("admin", nation, url.Values{"token": {token}, "wall": {"on"}})
	b.onWall("", "丙小学向先烈致敬", "<b>铭记</b> & 'history'", "先烈永垂不朽")
	if status, _, _ := b.ask("school", "/school/3418020001/messages", url.Values{"token": {b.token("school", "/school/3418020001/messages")}, "wall": {"off"}}); status != 303 {
		b.t.Errorf("a school and the switch: %d", status)
	}
	b.onWall("?school=3418020001", "<b>铭记</b> & 'history'", "先烈永垂不朽")
}

func (b *board) token(visitor, path string) string {
	b.t.Helper()
	_, token, _ := b.list(visitor, path)
	return token
}

// book: the workbook has what is not hidden, and marks what is to be looked at.
func (b *board) book(p pair) {
	b.t.Helper()
	b.settle("school", "/school/3418020001/messages", "1 1 0 2 1")
	out := b.dir + "/report"
	b.must("report", "render", "--activity", b.activity, "--region", "341802", "--date", canyu.DayAt(time.Now(), time.FixedZone("", 8*3600)).String(), "--out", out)
	book, err := excelize.OpenFile(out + "/report.xlsx")
	if err != nil {
		b.t.Fatal(err)
	}
	defer book.Close()
	sheets := book.GetSheetList()
	rows, err := book.GetRows(sheets[len(sheets)-1])
	if err != nil {
		b.t.Fatal(err)
	}
	marks := make(map[string]string)
	for _, row := range rows[1:] {
		marks[row[6]] = strings.Join(row[7:], "")
	}
	if _, hidden := marks["我的电话是 138 0013 8000"]; hidden || len(marks) != 5 || marks["你是傻 瓜"] != "词表：傻瓜" || marks["先烈永垂不朽"] != "" {
		b.t.Errorf("%s: the workbook has %v", p.name, marks)
	}
}

// TestWallPages: 500 messages of a bell are five pages, and a wall in pages ends.
func TestWallPages(t *testing.T) {
	t.Parallel()
	b := newBoard(t, pair{name: "embedded"})
	const school, wrote = "/school/3418020001/messages", 120
	for seat := 1; seat <= wrote; seat++ {
		b.write("3418020001", 2, seat, fmt.Sprintf("第 %d 则", seat))
	}
	b.settle("school", school, "120 0 0 0 0")
	first, token, _ := b.list("school", school)
	second, _, _ := b.list("school", school+"?page=2")
	if len(first) != 100 || len(second) != 20 || second["第 120 则"] == "" {
		t.Fatalf("pages of %d and %d", len(first), len(second))
	}
	for _, page := range []map[string]string{first, second} {
		form := url.Values{"token": {token}, "list": {"waiting"}, "do": {"all"}}
		for _, key := range page {
			form.Add("all", key)
		}
		b.decide("school", school, form)
	}
	b.settle("school", school, "0 0 0 120 0")
	seen, args := make(map[any]bool), ""
	for range 5 {
		w := b.wall(args)
		for _, m := range w.Messages {
			seen[m["message"]] = true
		}
		if args = "?before=" + w.Next; w.Next == "" {
			break
		}
	}
	if len(seen) != wrote {
		t.Errorf("%d on the pages of the wall", len(seen))
	}
	for path, want := range map[string]int{"/wall?before=0000000000000001": 422, "/wall?before=x": 422, "/wall?school=1": 422, "/wall?school=9999999999": 200} {
		if status, _, body := b.ask("none", "/v1/activities/"+b.activity+path, nil); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	b.stop()
}
