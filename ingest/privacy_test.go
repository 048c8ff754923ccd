package ingest_test

import (
	"encoding/json"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

const classPage = "/a/qingming-2017?school=3418020001&grade=3&class=1"

// What is told beside the form is what is so: of this role, with or without a wall.
func TestNotice(t *testing.T) {
	t.Parallel()
	open := qingming()
	open.Wall = &canyu.Wall{}
	open.Roles = append(open.Roles, canyu.Parent)
	byName := qingming()
	byName.Identify = canyu.ByName
	free := qingming()
	free.Policies = map[canyu.Region]canyu.Policy{341802: {Voluntary: true}}
	walled := qingming()
	walled.Wall = &canyu.Wall{}
	walled.Policies = map[canyu.Region]canyu.Policy{341800: {NoWall: true, NoNotYet: true, Public: canyu.Publicity{Counts: canyu.NoCounts}}}
	for name, c := range map[string]struct {
		a                   *canyu.Activity
		target              string
		says, never, whole  []string
		notOnTheWholeNotice []string
	}{
		"a seat, no wall": {qingming(), classPage, []string{"活动组织者收集学校、年级、班级和座号，不收集姓名", "寄语不公开", "未满十四周岁的，请先得到父母或其他监护人同意", "个人信息说明"},
			[]string{"自愿", "审核后会公开"}, []string{"组织本次活动的学校和教育主管部门", "任何人都能看到各地、各校、各班", "哪些座号已经参加", "90 天", "30 天", "第二十八条至第三十一条"}, []string{"自愿"}},
		"a wall":          {open, classPage, []string{"寄语经审核后会公开显示"}, []string{"寄语不公开"}, []string{"家长：学校、年级、班级、孩子的座号和家长姓名", "审核后公开显示"}, []string{"寄语不公开"}},
		"a parent":        {open, classPage + "&role=parent", []string{"孩子的座号和家长姓名，姓名不保存"}, []string{"未满十四周岁"}, nil, nil},
		"by name":         {byName, classPage, []string{"学校、年级、班级和姓名，姓名不保存"}, []string{"座号"}, []string{"姓名用密钥换算成一串编码"}, []string{"哪些座号"}},
		"voluntary":       {free, classPage, []string{"参加是自愿的。为了"}, nil, []string{"参加是自愿的"}, nil},
		"a closed region": {walled, classPage, []string{"寄语不公开"}, []string{"公开显示"}, []string{"只有持链接的学校和教育部门能看到", "寄语不公开"}, []string{"哪些座号", "任何人都能看到"}},
		"traditional":     {qingming(), classPage + "&lang=zh-Hant", []string{"未滿十四週歲", "個人資料說明"}, nil, []string{"誰在收集", "30 天後刪除"}, nil},
		"English":         {qingming(), classPage + "&lang=en", []string{"the organiser collects school, grade, class and seat number, but no name. Messages are not public", "under 14"}, nil, []string{"Who collects", "articles 17 and 28 to 31"}, nil},
	} {
		w, _ := newSite(t, c.a, duringQingming, readRosterFile(t, "roster.csv"))
		form := w.get(c.target)
		form.shows(c.says...)
		for _, text := range c.never {
			if strings.Contains(form.text(), text) {
				t.Errorf("%s: the form says %q", name, text)
			}
		}
		link := form.links()["个人信息说明"] + form.links()["個人資料說明"] + form.links()["About your data"]
		whole := w.get(link)
		whole.shows(c.whole...)
		for _, text := range c.notOnTheWholeNotice {
			if strings.Contains(whole.text(), text) {
				t.Errorf("%s: the notice says %q", name, text)
			}
		}
		if whole.status != 200 || whole.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %v", name, whole.status, whole.header)
		}
	}
}

// An activity's own words go before; its box has to be ticked, also without scripts.
func TestNoticeOfAnActivity(t *testing.T) {
	t.Parallel()
	n := &ingest.Notice{By: canyu.Text{"zh-Hans": "宣州区教育体育局"}, Contact: "0563-0000000 <a@example.org>", Required: true}
	w, _ := newSiteOf(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"), func(c *ingest.Config) {
		c.Notices = map[string]*ingest.Notice{"qingming-2017": n}
	})
	form := w.get(classPage)
	form.shows("宣州区教育体育局收集学校", "父母或其他监护人已经同意")
	w.get("/a/qingming-2017/privacy").shows("宣州区教育体育局是个人信息处理者", "请联系：0563-0000000 <a@example.org>。")
	fields := url.Values{"steps": bothSteps, "seat": {"17"}}
	again := w.send(form, fields)
	if again.shows("还没有提交", "同意后在这里打勾"); again.status != 422 || !strings.Contains(again.body, `value="17"`) {
		t.Errorf("unticked: %d", again.status)
	}
	fields.Set("consent", "yes")
	w.send(again, fields).shows("你是第 1 位参与者")

	own, _ := newSiteOf(t, qingming(), "2017-03-01 10:00:00", readRosterFile(t, "roster.csv"), func(c *ingest.Config) {
		c.Notices = map[string]*ingest.Notice{"qingming-2017": {Short: canyu.Text{"zh-Hans": "短"}, Full: canyu.Text{"zh-Hans": "第一段\n\n第二段<b>"}}}
	})
	notice := own.get("/a/qingming-2017/privacy") // also before the activity
	notice.shows("第一段 第二段<b>")
	if strings.Contains(notice.text(), "谁在收集") {
		t.Error("the usual notice stands beside the activity's own")
	}
	if s := own.get("/a/nothing/privacy"); s.status != 404 {
		t.Errorf("no such activity: %d", s.status)
	}
	if s := own.do("POST", "/a/qingming-2017/privacy", url.Values{}, ""); s.status != 405 {
		t.Errorf("POST: %d", s.status)
	}
}

// Every language says everything, with the same things in it.
func TestNoticeTexts(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("page/privacy.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]string
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	verbs := regexp.MustCompile(`%(\[\d\])?[sd]`)
	for _, lang := range []string{"zh-Hant", "en"} {
		for key, text := range all["zh-Hans"] {
			if other := all[lang][key]; other == "" || !slices.Equal(verbs.FindAllString(text, -1), verbs.FindAllString(other, -1)) {
				t.Errorf("%s: %s is %q, in zh-Hans it is %q", lang, key, other, text)
			}
		}
		if len(all[lang]) != len(all["zh-Hans"]) {
			t.Errorf("%s has %d texts, zh-Hans %d", lang, len(all[lang]), len(all["zh-Hans"]))
		}
	}
}

// Without public counts nobody is told a number of the whole activity.
func TestNoOrdinal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		public   canyu.Publicity
		policies map[canyu.Region]canyu.Policy
		told     bool
	}{
		"all":             {canyu.Publicity{}, nil, true},
		"totals":          {canyu.Publicity{Counts: canyu.TotalCounts}, nil, true},
		"none":            {canyu.Publicity{Counts: canyu.NoCounts}, nil, false},
		"none elsewhere":  {canyu.Publicity{}, map[canyu.Region]canyu.Policy{341822: {Public: canyu.Publicity{Counts: canyu.NoCounts}}}, false},
		"too few":         {canyu.Publicity{AtLeast: 10_000_000}, nil, false},
		"more than least": {canyu.Publicity{AtLeast: 10}, nil, true},
	} {
		a := qingming()
		a.Public, a.Policies = c.public, c.policies
		w, _ := newSite(t, a, duringQingming, readRosterFile(t, "roster.csv"))
		thanks := w.send(w.get(classPage), url.Values{"steps": bothSteps, "seat": {"3"}})
		thanks.shows("感谢你的参与", "回执")
		if strings.Contains(thanks.text(), "你是第") != c.told || strings.Contains(thanks.text(), "已经计入") {
			t.Errorf("%s: %s", name, thanks.text())
		}
		const item = `{"activity":"qingming-2017","school":"3418020001","grade":3,"class":1,"role":"student","seat":4,"steps":["bow","flower"]}`
		for _, body := range []string{item, "[" + strings.Replace(item, `"seat":4`, `"seat":5`, 1) + "]"} {
			resp, err := w.http.Post("http://canyu/v1/participations", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			reply, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if text := string(reply); !strings.Contains(text, `"counted":true`) || !strings.Contains(text, `"receipt":`) || strings.Contains(text, "ordinal") != c.told {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}
