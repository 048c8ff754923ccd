package ingest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

const duringQingming = "2017-04-01 10:00:00"

var bothSteps = []string{"bow", "flower"}

func TestPageFromCountyToThanks(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))

	counties := w.get("/a/qingming-2017")
	counties.shows("网上祭英烈", "2017年4月1日 至 2017年4月7日", "安徽省宣城市", "你来自哪里", "广德县", "宁国市")
	schools := w.follow(counties, "宣州区")
	schools.shows("安徽省宣城市宣州区", "请选择学校")
	if schools.links()["更换地区"] == "" {
		t.Error("there is no way back to the counties")
	}
	classes := w.follow(schools, "宣州区第一小学")
	classes.shows("请选择年级和班级", "一年级", "六年级")
	form := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1")
	form.shows("宣州区第一小学 · 三年级1班", "鞠躬", "献花", "座号", "寄语")
	if form.fields().Has("name") {
		t.Error("a pupil with a seat is asked for a name")
	}

	thanks := w.send(form, url.Values{"steps": bothSteps, "seat": {"１７"}, "message": {"铭记历史"}})
	thanks.shows("感谢你的参与", "三年级1班 · 17号", "你是第 1 位参与者", "加上你，全校已有 1 位同学参与", "回执", "老师可以用它核对")
	if thanks.status != 200 || strings.Contains(thanks.text(), "已经") {
		t.Errorf("%d: %s", thanks.status, thanks.text())
	}
	receipt := regexp.MustCompile(`回执 (\S+)`).FindString(thanks.text())

	again := w.send(form, url.Values{"steps": bothSteps, "seat": {"17"}}) // F5
	again.shows("三年级1班 · 17号", "17号已经参与过，只计一次。如果不是你提交的，请检查座号。", receipt)
	if strings.Contains(again.text(), "你是第") || strings.Contains(again.text(), "加上你") {
		t.Errorf("a repeat adds something: %s", again.text())
	}

	next := w.follow(thanks, "本班下一位")
	w.send(next, url.Values{"steps": bothSteps, "seat": {"18"}}).shows("你是第 2 位参与者")
	if a, b := form.fields().Get("id"), next.fields().Get("id"); a == b || len(a) < 16 {
		t.Errorf("the ids of two forms are %q and %q", a, b)
	}

	parent := w.follow(form, "家长")
	parent.shows("孩子的座号", "家长姓名")
	w.send(parent, url.Values{"steps": bothSteps, "seat": {"17"}, "name": {"欧阳测试"}}).shows("你是第 3 位参与者")
	teacher := w.follow(form, "教师")
	if teacher.shows("教师姓名"); strings.Contains(teacher.text(), "座号") {
		t.Error("a teacher is asked for a seat")
	}
	w.send(teacher, url.Values{"steps": bothSteps, "name": {"欧阳测试"}}).shows("你是第 4 位参与者")
	same := w.send(teacher, url.Values{"steps": bothSteps, "name": {"欧阳测试"}})
	if same.shows("你的参与已经计入，只计一次。", "回执"); strings.Contains(same.text(), "核对") {
		t.Error("a teacher's receipt is said to be checked, which no page does")
	}

	// What the script does.
	resp, err := w.http.Post("http://canyu/v1/participations", "application/json", strings.NewReader(
		`{"activity":"qingming-2017","school":"3418020001","grade":3,"class":1,"role":"student","seat":17,"steps":["bow","flower"],"id":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct {
		Counted bool
		Receipt string
	}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	if reply.Counted || "回执 "+reply.Receipt != receipt {
		t.Errorf("the API says %+v, the page said %s", reply, receipt)
	}
	w.stop()
	if strings.Contains(w.log.String(), "欧阳") {
		t.Error("the log has a name in it")
	}
}

func TestPageErrors(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	const class = "/a/qingming-2017?school=3418020001&grade=3&class=1"
	for name, c := range map[string]struct {
		page string
		fill url.Values
		want string // next to the field
	}{
		"no seat":        {class, url.Values{"steps": bothSteps}, "seat 请填写座号。"},
		"seat 0":         {class, url.Values{"steps": bothSteps, "seat": {"0"}}, "seat 座号应在 1 到 52 之间。"},
		"seat 99":        {class, url.Values{"steps": bothSteps, "seat": {"99"}}, "seat 座号应在 1 到 52 之间。"},
		"seat of words":  {class, url.Values{"steps": bothSteps, "seat": {"十七"}}, "seat 座号应在 1 到 52 之间。"},
		"step left out":  {class, url.Values{"steps": {"bow"}, "seat": {"3"}}, "flower 请先完成这一环节。"},
		"long message":   {class, url.Values{"steps": bothSteps, "seat": {"3"}, "message": {strings.Repeat("念", 501)}}, "message 寄语最多 500 字，现在有 501 字。"},
		"parent no name": {class + "&role=parent", url.Values{"steps": bothSteps, "seat": {"3"}, "name": {" "}}, "name 请填写姓名。"},
		"long name":      {class + "&role=teacher", url.Values{"steps": bothSteps, "name": {strings.Repeat("名", 65)}}, "name 姓名最多 64 个字。"},
		"english":        {class + "&lang=en", url.Values{"steps": bothSteps}, "seat Please enter the seat number."},
		"traditional":    {class + "&lang=zh-Hant", url.Values{"steps": bothSteps}, "seat 請填寫座號。"},
	} {
		form := w.get(c.page)
		id := form.fields().Get("id")
		s := w.send(form, c.fill)
		if s.status != 422 {
			t.Errorf("%s: status %d, want 422", name, s.status)
		}
		field, text, _ := strings.Cut(c.want, " ")
		found := ""
		for _, n := range s.all("") {
			if at, _ := attr(n, "id"); at == "error-"+field {
				found = strings.TrimSpace(textOf(n))
			}
		}
		if found != text {
			t.Errorf("%s: next to %s stands %q, want %q", name, field, found, text)
		}
		back := s.fields()
		if back.Get("id") != id {
			t.Errorf("%s: the form has another id", name)
		}
		for k, v := range c.fill {
			if !slices.Equal(back[k], v) && strings.Join(back[k], "") != strings.TrimSpace(strings.Join(v, "")) && k != "name" {
				t.Errorf("%s: %s was %q, is %q", name, k, v, back[k])
			}
		}
	}
	for name, change := range map[string]url.Values{
		"unknown school": {"school": {"9999999999"}},
		"no school":      {"school": {""}},
		"unknown class":  {"class": {"99"}},
		"huge grade":     {"grade": {"99999999999999999999"}},
	} {
		change["steps"], change["seat"] = bothSteps, []string{"3"}
		s := w.send(w.get(class), change)
		if s.status != 422 {
			t.Errorf("%s: status %d, want 422", name, s.status)
		}
		s.shows("名册里没有这个班级，请重新选择。")
	}
	for name, change := range map[string]url.Values{
		"unknown role": {"role": {"king"}},
		"long id":      {"id": {strings.Repeat("x", 65)}},
		"unknown step": {"steps": {"bow", "flower", "dance"}},
	} {
		fill := url.Values{"steps": bothSteps, "seat": {"3"}}
		for k, v := range change {
			fill[k] = v
		}
		s := w.send(w.get(class), fill)
		if s.status != 422 || len(s.all("form")) != 1 {
			t.Errorf("%s: status %d, want 422 and the form", name, s.status)
		}
	}
	// Nothing of all this was recorded.
	w.send(w.get(class), url.Values{"steps": bothSteps, "seat": {"3"}}).shows("你是第 1 位参与者")
}

func TestPageEscapes(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	const evil = `"'><script>alert(1)</script></textarea><img src=x onerror=alert(1)>` + "\x00\xff"
	q := url.QueryEscape(evil)
	form := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&role=parent")
	for _, s := range []*screen{
		w.get("/a/qingming-2017?region=" + q + "&school=" + q + "&grade=" + q + "&class=" + q + "&role=" + q + "&lang=" + q),
		w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&role=" + q),
		w.get("/a/" + q),
		w.send(form, url.Values{"name": {evil}, "message": {evil}, "seat": {evil}, "steps": {evil}}),
		w.send(form, url.Values{"name": {evil}, "message": {evil}, "seat": {"2"}, "role": {evil}, "id": {evil}}),
		w.send(form, url.Values{"school": {evil}, "grade": {evil}, "class": {evil}, "steps": bothSteps}),
	} {
		for _, n := range s.all("script") {
			if src, _ := attr(n, "src"); !strings.HasPrefix(src, "/assets/page.") || textOf(n) != "" {
				t.Errorf("a foreign script in\n%s", s.body)
			}
		}
		if len(s.all("img")) > 0 {
			t.Errorf("a foreign image in\n%s", s.body)
		}
		for _, n := range s.all("") {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("attribute %s in\n%s", a.Key, s.body)
				}
			}
		}
		policy := s.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %q", policy)
		}
	}
	if s := w.get("/a/qingming-2017?region=341802&role=" + strings.Repeat("x", 5000)); len(s.body) > 10_000 {
		t.Errorf("a long address makes a page of %d bytes", len(s.body))
	}
	s := w.send(form, url.Values{"name": {"<b>张伟</b>"}, "message": {"\n<i>念</i>"}, "seat": {""}, "steps": bothSteps})
	if got := s.fields(); got.Get("name") != "<b>张伟</b>" || got.Get("message") != "<i>念</i>" {
		t.Errorf("what was typed came back as %q", got)
	}
}

func TestPageLanguages(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	for accept, want := range map[string]string{
		"":                              "zh-Hans",
		"zh-CN,zh;q=0.9,en;q=0.8":       "zh-Hans",
		"zh-SG":                         "zh-Hans",
		"zh-TW,zh;q=0.9":                "zh-Hant",
		"zh-HK":                         "zh-Hant",
		"zh-Hant-CN":                    "zh-Hant",
		"en-US,en;q=0.9":                "en",
		"fr-FR":                         "en",
		"fr;q=0.9, en;q=0.5":            "en",
		";;;=,,":                        "zh-Hans",
		"ug-CN":                         "zh-Hans",
		strings.Repeat("en-", 2000):     "zh-Hans",
		"de-DE, zh-Hant-TW;q=.5, *;q=0": "zh-Hant",
	} {
		s := w.do("GET", "/a/qingming-2017", nil, accept)
		if got, _ := attr(s.all("html")[0], "lang"); got != want {
			t.Errorf("Accept-Language %.40q: %s, want %s", accept, got, want)
		}
		if s.header.Get("Content-Language") != want {
			t.Errorf("Content-Language is %s, want %s", s.header.Get("Content-Language"), want)
		}
	}
	s := w.do("GET", "/a/qingming-2017?lang=en", nil, "zh-TW")
	s.shows("Online memorial", "1 April 2017 to 7 April 2017", "Where are you from?")
	form := w.get(w.follow(w.follow(s, "宣州区"), "宣州区第一小学").links()["Class 1"])
	form.shows("Grade 6, Class 1", "Lay flowers") // the last Class 1 of the list
	w.send(form, url.Values{"steps": bothSteps, "seat": {"1"}}).shows("You are number 1 to take part")
	hant := w.follow(form, "繁體")
	hant.shows("宣州区第一小学 · 六年級1班", "獻花")
}

func TestPageWhen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ now, want string }{
		"before": {"2017-03-31 23:59:59", "活动从 2017年4月1日 开始"},
		"after":  {"2017-04-08 00:00:00", "活动已于 2017年4月7日 结束"},
	} {
		w, _ := newSite(t, qingming(), c.now, readRosterFile(t, "roster.csv"))
		s := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1")
		s.shows(c.want)
		if s.status != 200 || len(s.all("form")) > 0 {
			t.Errorf("%s: %d", name, s.status)
		}
		if s = w.do("POST", "/a/qingming-2017", url.Values{"school": {"3418020001"}}, ""); s.status != 403 {
			t.Errorf("%s: POST is %d, want 403", name, s.status)
		}
		s.shows(c.want)
	}
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	if s := w.get("/a/nothing"); s.status != 404 || !strings.Contains(s.text(), "没有这个活动") {
		t.Errorf("unknown activity: %d %s", s.status, s.text())
	}
	if s := w.do("DELETE", "/a/qingming-2017", nil, ""); s.status != 405 || s.header.Get("Allow") == "" {
		t.Errorf("DELETE is %d", s.status)
	}
	// No address of its own: behind a proxy that would be http's, or whatever Host says.
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if s := w.get("/"); s.status != 302 || s.header.Get("Location") != "/a/qingming-2017" {
		t.Errorf("/ is %d to %q", s.status, s.header.Get("Location"))
	}
	if s := w.do("DELETE", "/", nil, ""); s.status != 405 {
		t.Errorf("DELETE / is %d", s.status)
	}
	if s := w.do("HEAD", "/a/qingming-2017", nil, ""); s.status != 200 || s.body != "" {
		t.Errorf("HEAD is %d with %d bytes", s.status, len(s.body))
	}
}

// Who mistypes an address in a browser is told so in words, and a program in JSON.
func TestNothingHere(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	for accept, want := range map[string]string{
		"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8": "没有这个页面",
		"*/*": `"type":"urn:canyu:problem:not_found"`,
	} {
		req, err := http.NewRequest("GET", "http://canyu/qingmng", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("Accept-Language", "zh-CN")
		resp, err := w.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 404 || !strings.Contains(string(body), want) || !strings.Contains(resp.Header.Get("Vary"), "Accept,") {
			t.Errorf("%s: %d %v %v\n%s", accept, resp.StatusCode, resp.Header, err, body)
		}
	}
}

// The site's address leads to the activity that is open, also beside those of before and
// those to come, and lists them where several are.
func TestIndex(t *testing.T) {
	t.Parallel()
	flag := func(id string, first, last canyu.Day) *canyu.Activity {
		a := qingming()
		a.ID, a.FirstDay, a.LastDay = id, first, last
		a.Title = canyu.Text{"zh-Hans": "向国旗敬礼 " + id, "zh-Hant": "向國旗敬禮 " + id, "en": "Salute <" + id + ">"}
		return a
	}
	april, may := canyu.NewDay(2017, 4, 1), canyu.NewDay(2017, 5, 1)
	before, earlier := flag("before", april-20, april-10), flag("earlier", april-40, april-30)
	next, later := flag("next", may, may+3), flag("later", may+30, may+31)
	now := flag("now", april-5, april+20)
	for _, c := range []struct {
		activities []*canyu.Activity
		want       string
	}{
		{[]*canyu.Activity{earlier, before, qingming(), later, next}, "/a/qingming-2017"},
		{[]*canyu.Activity{earlier, before, later, next}, "/a/next"},
		{[]*canyu.Activity{earlier, before}, "/a/before"},
		{[]*canyu.Activity{before, earlier}, "/a/before"},
		{[]*canyu.Activity{qingming(), before, now}, ""},
	} {
		w, _ := newSiteOf(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"), func(config *ingest.Config) { config.Activities = c.activities })
		w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		s := w.get("/")
		if c.want != "" {
			if s.status != 302 || s.header.Get("Location") != c.want {
				t.Errorf("/ is %d to %q, want %s", s.status, s.header.Get("Location"), c.want)
			}
			continue
		}
		s.shows("请选择活动", "网上祭英烈", "向国旗敬礼 now")
		if s.status != 200 || strings.Contains(s.text(), "before") || s.header.Get("Content-Security-Policy") == "" || s.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d %v\n%s", s.status, s.header, s.text())
		}
		english := w.follow(s, "English")
		english.shows("Choose the activity", "Online memorial", "Salute <now>", "27 March 2017 to 21 April 2017")
		for text, target := range english.links() {
			if strings.HasPrefix(text, "Salute") && target != "/a/now?lang=en" {
				t.Errorf("%s leads to %s", text, target)
			}
		}
		w.do("GET", "/", nil, "zh-Hant").shows("請選擇活動", "向國旗敬禮 now")
	}
}

func TestPageWhenTheLedgerIsAway(t *testing.T) {
	t.Parallel()
	w, ledger := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	form := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1")
	ledger.Close()
	s := w.send(form, url.Values{"steps": bothSteps, "seat": {"7"}, "message": {"永远怀念"}})
	s.shows("还没有提交成功")
	if got := s.fields(); s.status != 503 || s.header.Get("Retry-After") == "" || got.Get("id") != form.fields().Get("id") ||
		got.Get("seat") != "7" || got.Get("message") != "永远怀念" || !slices.Equal(got["steps"], bothSteps) {
		t.Errorf("%d %v: something of the form is lost", s.status, got)
	}
}

// An activity is configuration: other steps, names instead of seats, one role.
func TestPageOfAnotherActivity(t *testing.T) {
	t.Parallel()
	a := qingming()
	a.Title = canyu.Text{"en": "Flag day <2017>"}
	a.Steps = []string{"salute", "plant-a-tree"}
	a.Identify = canyu.ByName
	a.Roles = []canyu.Role{canyu.Student}
	w, _ := newSite(t, a, duringQingming, readRosterFile(t, "roster.csv"))
	form := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1")
	form.shows("Flag day <2017>", "敬礼", "plant-a-tree", "姓名")
	if text := form.text(); strings.Contains(text, "座号") || strings.Contains(text, "寄语") || strings.Contains(text, "家长") {
		t.Errorf("the form has too much in it:\n%s", text)
	}
	steps := url.Values{"steps": a.Steps, "name": {"张　伟"}}
	w.send(form, steps).shows("你是第 1 位参与者")
	steps.Set("name", "张伟")
	w.send(form, steps).shows("参与已经计入")
}

// A roster of one county begins with its schools; one of several provinces with those.
func TestPageChoosesNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	entry := func(region canyu.Region, school canyu.SchoolCode, name string) canyu.RosterEntry {
		return canyu.RosterEntry{Region: region, School: school, Name: name, Grade: 3, Class: 1, Enrolled: 40}
	}
	one, err := canyu.NewRoster([]canyu.RosterEntry{entry(341802, 3418020001, "甲校"), entry(341802, 3418020002, "乙校")})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := newSite(t, qingming(), duringQingming, one)
	if links := w.get("/a/qingming-2017").links(); links["甲校"] == "" || links["更换地区"] != "" {
		t.Errorf("the page of a county has %v", links)
	}
	many, err := canyu.NewRoster([]canyu.RosterEntry{
		entry(341802, 3418020001, "甲校"), entry(341800, 3418000001, "市直一中"), entry(341821, 3418210001, "丙校"),
		entry(110101, 1101010001, "丁校"), entry(990101, 9901010001, "戊校"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w, _ = newSite(t, qingming(), duringQingming, many)
	s := w.get("/a/qingming-2017")
	if links := s.links(); links["北京市"] == "" || links["安徽省"] == "" || links["990000"] == "" {
		t.Errorf("the first page has %v", links)
	}
	s = w.follow(s, "安徽省")
	if links := s.links(); links["宣州区"] == "" || links["市直一中"] == "" || links["甲校"] != "" {
		t.Errorf("the page of the city has %v", links)
	}
	w.follow(w.follow(w.follow(s, "郎溪县"), "丙校"), "1班").shows("丙校 · 三年级1班")
}
