package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
)

func TestLinkCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "links: {keys: [b], base: \"https://canyu.example.org/\"}\n")
	s.must("roster", "import", s.file("roster.csv", []byte("区划代码,学校标识码,学校名称,年级,班级,人数\n"+
		"341802,3418020001,宣州区第一小学,3,1,44\n341802,3418020001,宣州区第一小学,3,2,45\n")))
	settings, err := (&Flags{Config: s.config}).settings()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := settings.secret()
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(s.dir, "code.png")
	for _, c := range []struct {
		args []string
		want canyu.Scope
	}{
		{[]string{"class", "3418020001", "3", "2"}, canyu.Scope{Kind: canyu.ClassScope, Region: 341802, School: 3418020001, Grade: 3, Class: 2}},
		{[]string{"school", "3418020001", "--activity", s.activity, "--png", image}, canyu.Scope{Kind: canyu.SchoolScope, Activity: s.activity, Region: 341802, School: 3418020001}},
		{[]string{"bureau", "341800", "--days", "3"}, canyu.Scope{Kind: canyu.RegionScope, Region: 341800}},
		{[]string{"bureau", "100000"}, canyu.Scope{Kind: canyu.RegionScope, Region: canyu.Nation}},
		{[]string{"admin"}, canyu.Scope{Kind: canyu.AdminScope}},
	} {
		out := s.must(append([]string{"link"}, c.args...)...)
		found := regexp.MustCompile(`(?m)^https://canyu\.example\.org/link/(\S+)$`).FindStringSubmatch(out)
		if found == nil || !strings.Contains(out, "▀") {
			t.Fatalf("canyu link %v:\n%s", c.args, out)
		}
		keys := settings.keyring(secret)
		if got, err := keys.Open(found[1], time.Now()); err != nil || got != c.want {
			t.Errorf("canyu link %v opens %+v, %v", c.args, got, err)
		}
		if _, err := keys.Open(found[1], time.Now().AddDate(0, 0, 3).Add(-24*time.Hour)); err != nil {
			t.Errorf("canyu link %v ends early: %v", c.args, err)
		}
		if _, err := keys.Open(found[1], time.Now().AddDate(0, 0, 92)); err == nil {
			t.Errorf("canyu link %v never ends", c.args)
		}
	}
	picture, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
	sheet := filepath.Join(s.dir, "sheet.html")
	s.must("link", "classes", "3418020001", "--out", sheet)
	text, err := os.ReadFile(sheet)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "<svg") != 2 || !strings.Contains(string(text), "三年级2班") {
		t.Errorf("%s", text)
	}
	for _, args := range [][]string{
		{"class", "3418020001", "3", "3"}, {"class", "3418020001", "0", "2"}, {"class", "3418020001", "259", "2"}, {"class", "3418020001", "3", "65538"},
		{"school", "3418020009"}, {"school", "x"}, {"bureau", "110000"}, {"bureau", "34"}, {"admin", "--days", "0"}, {"admin", "--activity", "another"},
	} {
		if out, err := s.canyu(append([]string{"link"}, args...)...); err == nil {
			t.Errorf("canyu link %v:\n%s", args, out)
		}
	}
}

func TestLinkSettings(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile("../../deploy/canyu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`(?m)^( *)# ((links|viewers|public): .*)$`).ReplaceAllString(string(sample), "$1$2")
	if n := strings.Count(used, "\nlinks:") + strings.Count(used, "\nviewers:") + strings.Count(used, "    public:"); n != 3 {
		t.Fatalf("the sample has %d of links, viewers and public", n)
	}
	for _, c := range []struct{ from, to, want string }{
		{"", "", ""},
		{"keys: [a]", "keys: [a, Big, this-one-is-too-long]", "links.keys[1] "},
		{"keys: [a]", "keys: [a, Big, this-one-is-too-long]", "links.keys[2] "},
		{"https://canyu.example.org", "canyu.example.org", "links.base"},
		{"https://canyu.example.org", "https://canyu.example.org/below?x", "links.base"},
		{"viewers: 10000", "viewers: 0", "viewers 0"},
		{"counts: all, at_least: 0", "counts: some", `activities[0].public.counts "some"`},
		{"counts: all, at_least: 0", "at_least: -1", "activities[0].public.at_least -1"},
		{"counts: all, at_least: 0", "counts: totals, at_least: 20", ""},
	} {
		path := filepath.Join(t.TempDir(), "canyu.yaml")
		if err := os.WriteFile(path, []byte(strings.Replace(used, c.from, c.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := (&Flags{Config: path}).settings()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
}
