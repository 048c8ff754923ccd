package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/reports/mailtest"
)

// addToActivity appends settings to the only activity of a site.
func (s *site) addToActivity(settings string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, append(text, settings...), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// The stricter wins: of site, activity and region, and of regions around and within.
func TestPolicyOfSettings(t *testing.T) {
	t.Parallel()
	usual := canyu.Policy{NoRanking: true, NoWall: true, Voluntary: true}
	for name, c := range map[string]struct {
		site, activity string
		region         canyu.Region
		want           canyu.Policy
	}{
		"nothing said":                {"", "", 341802, usual},
		"all open":                    {"", "policy: {ranking: on, wall: on, voluntary: off, not_yet: on}", 341802, canyu.Policy{}},
		"the site is stricter":        {"policy: {ranking: off, voluntary: on, not_yet: off}\n", "policy: {ranking: on, wall: on, voluntary: off, not_yet: on}", 341802, canyu.Policy{NoRanking: true, Voluntary: true, NoNotYet: true}},
		"the activity is stricter":    {"policy: {ranking: on, wall: on, voluntary: off}\n", "policy: {wall: off}", 341802, canyu.Policy{NoWall: true}},
		"keys of the activity itself": {"", "wall: on", 341802, canyu.Policy{NoRanking: true, Voluntary: true}},
		"and stricter ones":           {"policy: {wall: on, public: {at_least: 20}}\n", "wall: off\n    public: {counts: totals, at_least: 5}", 341802, canyu.Policy{NoRanking: true, NoWall: true, Voluntary: true, Public: canyu.Publicity{Counts: canyu.TotalCounts, AtLeast: 20}}},
		"its region":                  {"policy: {voluntary: off}\n", "policy: {wall: on, ranking: on, regions: {341802: {wall: off, ranking: off, voluntary: on, not_yet: off, public: {counts: none}}}}", 341802, canyu.Policy{NoRanking: true, NoWall: true, NoNotYet: true, Voluntary: true, Public: canyu.Publicity{Counts: canyu.NoCounts}}},
		"another region":              {"policy: {voluntary: off}\n", "policy: {wall: on, ranking: on, regions: {341802: {wall: off, public: {counts: none}}}}", 341821, canyu.Policy{}},
		"the city around":             {"policy: {regions: {341800: {not_yet: off}}}\n", "", 341802, canyu.Policy{NoRanking: true, NoWall: true, Voluntary: true, NoNotYet: true}},
		"a county within":             {"", "policy: {regions: {341802: {public: {counts: none}}}}", 341800, canyu.Policy{NoRanking: true, NoWall: true, Voluntary: true, Public: canyu.Publicity{Counts: canyu.NoCounts}}},
	} {
		s := newSite(t, pair{}, c.site)
		if c.activity != "" {
			s.addToActivity("    " + c.activity + "\n")
		}
		settings, err := (&Flags{Config: s.config}).settings()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := settings.activities[0].Policy(c.region); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPolicyMistakes(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "policy: {ranking: perhaps, nonsense: on}\n")
	s.addToActivity(`    policy: {not_yet: "no", public: {counts: few}, regions: {341802: {ranking: on, regions: {341803: {}}}, 99: {wall: off}}}
    consent: {required: perhaps, by: {fr: x}}
`)
	_, err := (&Flags{Config: s.config}).settings()
	if err == nil {
		t.Fatal("no mistake is told")
	}
	for _, want := range []string{`policy.ranking "perhaps": want on or off`, "policy.nonsense: unknown key", `activities[0].policy.not_yet "no"`, `activities[0].policy.public.counts "few"`,
		"activities[0].policy.regions.341802.ranking: want off", "policy.regions.341802.regions:", `region "99"`, `activities[0].consent.required "perhaps"`, `activities[0].consent.by: language "fr"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %q in\n%v", want, err)
		}
	}
}

func TestPolicyIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "policy: {regions: {341802: {not_yet: off, public: {counts: totals, at_least: 50}}}}\n")
	s.addToActivity("    policy: {ranking: on}\n")
	out := s.must("check")
	for _, want := range []string{
		"  policy: everybody sees all counts; mails, workbooks and files may rank schools; taking part is called voluntary, without a target; who holds a link is told which seats have not taken part; no wall; no mail names a pupil\n",
		"  policy in 341802: everybody sees the sums of schools and regions of at least 50 pupils; mails, workbooks and files may rank schools; taking part is called voluntary, without a target; nobody is told which seats have not taken part; no wall",
		"warning: consent.by is not given", "/privacy",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
}

// One site, two counties: what the policy of one is strict about stands on none of its
// surfaces, and on each of the other's.
func TestPolicyOnEverySurface(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "policy: {voluntary: off}\n")
	s.addToActivity("    wall: on\n    policy: {ranking: on, regions: {341802: {ranking: off, not_yet: off, wall: off, voluntary: on, public: {counts: none}}}}\n")
	roster := "区划代码,学校标识码,学校名称,年级,班级,人数\n"
	for _, county := range []string{"341802", "341821"} {
		for i, name := range []string{"甲", "乙", "丙"} {
			roster += fmt.Sprintf("%s,%s000%d,%s小学,3,1,4\n", county, county, i+1, name)
		}
	}
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	v := s.serve()
	visitor := newVisitors(t, s)
	for _, county := range []string{"341802", "341821"} {
		for i, seats := range []int{3, 2, 1} { // by rate 丙, 乙, 甲
			for seat := 1; seat <= seats; seat++ {
				status, body := v.post("application/json", s.submission(map[string]any{"school": fmt.Sprintf("%s000%d", county, i+1), "class": 1, "seat": seat}))
				if status != 201 || strings.Contains(body, "ordinal") { // it would tell the strict county's
					t.Fatalf("%d %s", status, body)
				}
			}
		}
	}
	city := visitor["city"]
	v.eventually("six pupils", func() error {
		if page := v.page("/bureau/341821", city); texts(t, page, "id")["count"] != "6" {
			return fmt.Errorf("%s", texts(t, page, "id")["count"])
		}
		return nil
	})
	const activity = "/v1/activities/ACTIVITY"
	look := func(path, cookie string) (int, string) {
		status, _, body := ask(t, "GET", v.url+strings.ReplaceAll(path, "ACTIVITY", s.activity), cookie)
		return status, body
	}
	for _, c := range []struct {
		path, cookie   string
		open, strict   int
		shows, neither string // in an answer of the open county; in one of the strict county
	}{
		{activity + "/counts?school=COUNTY0001", "", 200, 401, `"student":3`, `"student"`},
		{activity + "/counts?region=COUNTY", "", 200, 401, `"student":6`, `"student"`},
		{activity + "/live?region=COUNTY", "", 200, 401, "", ""},
		{activity + "/counts?region=COUNTY", city, 200, 200, `"student":6`, ""},
		{activity + "/seats?school=COUNTY0001&grade=3&class=1", city, 200, 404, `"not_yet":[4]`, "not_yet"},
		{"/school/COUNTY0001?grade=3&class=1", city, 200, 200, "未参与座号", "未参与座号"},
		{"/school/COUNTY0001?grade=3&class=1", city, 200, 200, "还差 1 人达到 100%", "100%。"},
		{"/school/COUNTY0001?grade=3&class=1", city, 200, 200, "达标班级", "达标"},
		{"/school/COUNTY0001/not-yet.csv", city, 200, 404, "\r\n3,1,4,3,1,4\r\n", "3,1"},
		{"/school/COUNTY0001/not-yet.html", city, 200, 404, "", ""},
		{activity + "/wall?school=COUNTY0001", "", 200, 200, `"open":true`, `"open":true`},
		{"/bureau/COUNTY/messages", city, 200, 200, `name="wall" value="off"`, `name="wall"`},
		{"/a/ACTIVITY?school=COUNTY0001&grade=3&class=1", "", 200, 200, "公开显示", "公开显示"},
	} {
		status, body := look(strings.ReplaceAll(c.path, "COUNTY", "341821"), c.cookie)
		if status != c.open || !strings.Contains(body, c.shows) {
			t.Errorf("open: %s: %d, nothing of %q in %s", c.path, status, c.shows, body)
		}
		status, body = look(strings.ReplaceAll(c.path, "COUNTY", "341802"), c.cookie)
		if status != c.strict || c.neither != "" && strings.Contains(body, c.neither) {
			t.Errorf("strict: %s: %d, or %q in %s", c.path, status, c.neither, body)
		}
	}
	if status, body := look("/a/ACTIVITY?school=3418020001&grade=3&class=1", ""); status != 200 || !strings.Contains(body, "参加是自愿的") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := look(activity+"/counts?region=341800", ""); status != 401 {
		t.Errorf("the sum of both counties: %d: the strict one could be had from it", status)
	}

	byCode, byRate := "甲小学乙小学丙小学", "丙小学乙小学甲小学"
	order := func(text string) (found string) {
		for {
			i := strings.Index(text, "小学")
			if i < 0 {
				return found
			}
			if name := text[max(0, i-3) : i+6]; !strings.HasSuffix(found, name) && strings.Contains(byCode, name) {
				found += name
			}
			text = text[i+6:]
		}
	}
	for county, want := range map[string]string{"341821": byRate, "341802": byCode} {
		base := "/bureau/" + county
		for path, want := range map[string]string{
			base + "?sort=rate":             byRate, // the bureau's own page
			base + "?sort=rate&part=rows":   byRate,
			base + "?sort=rate&screen=wall": want,
			base + "/table.csv?sort=rate":   want,
			base + "/table.csv?sort=count":  want,
			base + "/table.csv?sort=of":     byCode,
			base + "/table.csv":             byCode,
		} {
			_, body := look(path, city)
			if i := strings.Index(body, `id="rows"`); i >= 0 {
				body = body[i:]
			}
			if got := order(body); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
	}
	v.stop()

	for county, c := range map[string]struct{ order, says, never string }{
		"341821": {byRate, "（目标 100%）", "自愿"},
		"341802": {byCode, "学生自愿参加", "目标"},
		"341800": {"", "学生自愿参加", "目标"},
	} {
		s.must("report", "render", "--region", county, "--date", todayInShanghai(), "--out", filepath.Join(s.dir, county))
		report := func(form string) []byte {
			text, err := os.ReadFile(filepath.Join(s.dir, county, "report."+form))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		for _, form := range []string{"html", "txt"} {
			text := string(report(form))
			_, table, _ := strings.Cut(text, "家长")
			if got := order(table); c.order != "" && got != c.order {
				t.Errorf("%s %s: %s, want %s", county, form, got, c.order)
			}
			if !strings.Contains(text, c.says) || strings.Contains(text, c.never) {
				t.Errorf("%s %s: nothing of %q, or %q:\n%s", county, form, c.says, c.never, text)
			}
		}
		book, err := excelize.OpenReader(bytes.NewReader(report("xlsx")))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := book.GetRows(book.GetSheetName(1))
		book.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := order(fmt.Sprint(rows)); c.order != "" && got != c.order {
			t.Errorf("%s: workbook: %s, want %s", county, got, c.order)
		}
	}
}

// No mail names anybody, whoever is known by name: neither its words nor its files.
// The messages do stand in the workbook, so the search can find.
func TestNoNamesInMails(t *testing.T) {
	t.Parallel()
	smtp := mailtest.New(t, nil)
	s := newSite(t, pair{}, fmt.Sprintf("smtp: {url: \"smtp+plain://%s\", from: report@example.org}\n", smtp.Address), "2017-04-01", "2017-04-07")
	text, err := os.ReadFile(s.config)
	if err == nil {
		by := strings.NewReplacer("identify: seat", "identify: name", "{341800: [city@example.org]}", "{341800: [city@example.org]}, schools: {3418020001: [school@example.org]}")
		err = os.WriteFile(s.config, []byte(by.Replace(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	names := []string{"欧阳测试甲", "司马测试乙", "诸葛测试丙"}
	var lines bytes.Buffer
	for i, role := range []string{"student", "parent", "teacher"} {
		line := map[string]any{"activity": s.activity, "school": "3418020001", "grade": 3, "class": 1, "role": role, "name": names[i],
			"steps": []string{"bow", "flower", "message"}, "message": "这一句找得到", "at": "2017-04-01T08:00:00+08:00"}
		if role == "parent" {
			line["seat"] = 3
		}
		if err := json.NewEncoder(&lines).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	if out := s.must("replay", s.file("lines.ndjson", lines.Bytes())); !strings.Contains(out, "3") {
		t.Fatal(out)
	}
	s.must("report", "send", "--date", "2017-04-01")
	mails := smtp.Mails()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want one to the city and one to the school", len(mails))
	}
	for _, m := range mails {
		all := everythingIn(t, m.Data)
		if !strings.Contains(all, "这一句找得到") {
			t.Fatalf("the message to %s was not found: the search cannot find anything", m.To)
		}
		for _, name := range names {
			if strings.Contains(all, name) {
				t.Errorf("the mail to %s names %s", m.To, name)
			}
		}
	}
}

// everythingIn is all the text of a mail, decoded, and of the workbooks in it.
func everythingIn(t *testing.T, data []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, values := range m.Header {
		for _, value := range values {
			text, err := new(mime.WordDecoder).DecodeHeader(value)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(text + "\n")
		}
	}
	var walk func(kind, encoding string, body io.Reader)
	walk = func(kind, encoding string, body io.Reader) {
		media, params, err := mime.ParseMediaType(kind)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(media, "multipart/") {
			for parts := multipart.NewReader(body, params["boundary"]); ; {
				part, err := parts.NextRawPart()
				if err != nil {
					return
				}
				walk(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
			}
		}
		switch strings.ToLower(encoding) {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		content, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
		if !strings.Contains(media, "spreadsheetml") {
			return
		}
		book, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range book.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&all, r); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
	}
	walk(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	return all.String()
}

// Where not all is public, the grades that must take part are not told apart from the
// rest, which may be three pupils: neither in counts, nor live, nor of the schools of a
// region.
func TestPublicRequired(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		public canyu.Publicity
		told   bool
	}{{canyu.Publicity{}, true}, {canyu.Publicity{Counts: canyu.TotalCounts}, false}, {canyu.Publicity{AtLeast: 10}, false}} {
		h := newHall(t, func(config *ingest.Config) {
			config.Activities[0].Public = c.public
			roster, err := canyu.NewRoster([]canyu.RosterEntry{
				{Region: 341802, School: 3418020001, Name: "宣州区第一小学", Grade: 3, Class: 1, Enrolled: 30},
				{Region: 341802, School: 3418020001, Name: "宣州区第一小学", Grade: 9, Class: 1, Enrolled: 3},
				{Region: 341802, School: 3418020002, Name: "宣州区第二小学", Grade: 3, Class: 1, Enrolled: 30},
			})
			if err == nil {
				err = config.Archive.ImportRoster(t.Context(), roster)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		link := h.link(canyu.Scope{Kind: canyu.RegionScope, Region: 341802})
		type numbers struct {
			Enrolled int
			Required *struct{ Enrolled int }
			Schools  []struct {
				School   string
				Required *struct{ Enrolled int }
			}
		}
		read := func(text string) (v numbers) {
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		for _, of := range []string{"school=3418020001", "region=341802"} {
			for with, cookies := range map[string][]string{"no link": nil, "a link": {link}} {
				told := c.told || cookies != nil
				status, body := h.get("/v1/activities/hall/counts?"+of, cookies...)
				for what, text := range map[string]string{"counts": body, "live": h.watch(of, cookies...).next().Text} {
					v := read(text)
					if status != 200 || v.Enrolled == 0 || (v.Required != nil) != told {
						t.Errorf("%+v, %s of %s with %s: %d %s", c.public, what, of, with, status, text)
					}
					for _, s := range v.Schools {
						if all := s.School == "3418020002"; (s.Required != nil) != (told || all) {
							t.Errorf("%+v, %s of %s with %s: %s", c.public, what, of, with, text)
						}
					}
				}
			}
		}
	}
}
