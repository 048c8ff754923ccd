package ingest_test

import (
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// A class at one screen without scripts: each seat is a link, and the thanks lead back.
func TestPageOfAClassAtOneScreen(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	form := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&lang=zh-Hant")
	grid := w.follow(form, "全班用一塊螢幕")
	grid.shows("請點自己的座號")
	if links := grid.links(); links["52"] == "" || links["53"] != "" || links["0"] != "" {
		t.Errorf("the seats are %v, want 1 to 52", links)
	}
	pupil := w.follow(grid, "17")
	if got := pupil.fields().Get("seat"); got != "17" {
		t.Errorf("the form of seat 17 has seat %q", got)
	}
	thanks := w.send(pupil, url.Values{"steps": bothSteps})
	thanks.shows("你是第 1 位參與者", "加上你，全校已有 1 位同學參與")
	w.follow(thanks, "本班下一位").shows("請點自己的座號")

	for _, target := range []string{"&mode=class&role=parent", "&mode=classes", "&mode=class&seat=17"} {
		if s := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1" + target); len(s.all("form")) != 1 {
			t.Errorf("%s: no form", target)
		}
	}
	if s := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&mode=class&seat=0%22%3E"); len(s.all("form")) != 0 {
		t.Error("a seat that is none has a form")
	}
	if strings.Contains(grid.body, "/seats?") {
		t.Error("who opened no class link is told to ask who is done")
	}

	byName := qingming()
	byName.Identify = canyu.ByName
	w, _ = newSite(t, byName, duringQingming, readRosterFile(t, "roster.csv"))
	if s := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&mode=class"); len(s.all("form")) != 1 || s.links()["全班用一块屏幕"] != "" {
		t.Error("pupils known by name have seats")
	}
}

// A class link opens the seats, and says which are still to come.
func TestPageOfAClassLink(t *testing.T) {
	t.Parallel()
	var links *canyu.Keyring
	w, _ := newSiteOf(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"), func(c *ingest.Config) {
		links = canyu.NewKeyring(c.Secret, "a")
		c.Links = links
	})
	const class = "/a/qingming-2017?school=3418020001&grade=3&class=1&mode=class"
	for seat := 1; seat <= 26; seat++ {
		w.send(w.get(class+"&seat="+strconv.Itoa(seat)), url.Values{"steps": bothSteps})
	}
	token, err := links.Sign(canyu.Scope{Kind: canyu.ClassScope, Region: 341802, School: 3418020001, Grade: 3, Class: 1}, time.Date(2017, 5, 1, 0, 0, 0, 0, shanghai))
	if err != nil {
		t.Fatal(err)
	}
	if w.http.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	grid := w.get("/link/" + token)
	grid.shows("请点自己的座号", "已参与 26 / 52", "未参与座号：27, 28, 29,", "51, 52")
	w.send(w.follow(grid, "27"), url.Values{"steps": bothSteps})
	w.get(class).shows("已参与 27 / 52", "未参与座号：28, 29,")
	w.http.Jar = nil
	if s := w.get(class); strings.Contains(s.text(), "未参与") || strings.Contains(s.text(), " / 52") || !strings.Contains(s.text(), "打开班级链接") {
		t.Errorf("who holds no link is told: %s", s.text())
	}
	quiet := qingming()
	quiet.Policies = map[canyu.Region]canyu.Policy{canyu.Nation: {NoNotYet: true}}
	w, _ = newSite(t, quiet, duringQingming, readRosterFile(t, "roster.csv"))
	if s := w.get(class); len(s.links()) < 52 || strings.Contains(s.text(), "班级链接") {
		t.Errorf("a link is to tell what nobody is told: %s", s.text())
	}
}

// What the activity keeps to itself the thanks do not tell.
func TestPageKeepsCountsToItself(t *testing.T) {
	t.Parallel()
	for _, public := range []canyu.Publicity{{Counts: canyu.NoCounts}, {Counts: canyu.TotalCounts, AtLeast: 100_000}} {
		a := qingming()
		a.Public = public
		w, _ := newSite(t, a, duringQingming, readRosterFile(t, "roster.csv"))
		thanks := w.send(w.get("/a/qingming-2017?school=3418020001&grade=3&class=1"), url.Values{"steps": bothSteps, "seat": {"3"}})
		if thanks.shows("感谢你的参与"); strings.Contains(thanks.text(), "全校") {
			t.Errorf("%+v: %s", public, thanks.text())
		}
	}
}

func TestPageSearch(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	found := func(query string) (names []string) {
		s := w.get("/a/qingming-2017?q=" + url.QueryEscape(query))
		for _, n := range s.all("div") {
			if id, _ := attr(n, "id"); id == "found" {
				inside := &screen{t: t, root: n}
				for _, a := range inside.all("a") {
					name, _, _ := strings.Cut(strings.TrimSpace(textOf(a)), " ")
					names = append(names, name)
				}
				if len(names) == 0 && query != "" {
					inside.shows("没有找到")
				}
			}
		}
		return names
	}
	for query, want := range map[string]string{
		"宣州区第一小学":       "宣州区第一小学",
		"宣州 一小":         "宣州区第一小学", // characters in their order
		"第一小 宣州":        "宣州区第一小学",
		"宣州區第一小學":       "宣州区第一小学", // typed by somebody who reads the page in traditional characters
		"3418020001":    "宣州区第一小学",
		"３４１８０２０００１":    "宣州区第一小学",
		" 宣州区第一小学  ":    "宣州区第一小学",
		"不存在的学校":        "",
		"<script>":      "",
		"%":             "",
		"宣州区第一小学 不存在的词": "",
	} {
		if got := found(query); want == "" && len(got) > 0 || want != "" && (len(got) == 0 || got[0] != want) {
			t.Errorf("%q finds %v, want %q first", query, got, want)
		}
	}
	if got := found("学"); len(got) != 20 {
		t.Errorf("%d schools are found at once, want 20", len(got))
	}
	if got := found(strings.Repeat("学", 5000)); len(got) != 0 {
		t.Errorf("a long query finds %v", got)
	}
	if got := found(""); len(got) != 0 {
		t.Errorf("nothing finds %v", got)
	}
}

// A screen that says nothing of anybody is asked for again and mostly not sent again.
func TestPageIsKeptOnlyWhereItMayBe(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	for target, kept := range map[string]bool{
		"/a/qingming-2017":                                              true,
		"/a/qingming-2017?school=3418020001":                            true,
		"/a/qingming-2017?school=3418020001&grade=3&class=1&mode=class": true,
		"/a/qingming-2017?school=3418020001&grade=3&class=1":            false, // the id of a form is used once
		"/a/nothing": false,
	} {
		s := w.get(target)
		tag := s.header.Get("ETag")
		if (tag != "") != kept || (s.header.Get("Cache-Control") == "no-store") == kept {
			t.Errorf("%s: tag %q, cached as %q", target, tag, s.header.Get("Cache-Control"))
		}
	}
}
