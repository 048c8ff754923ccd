package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

func themeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const smallPicture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>`

func TestThemeMistakes(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 50<<10) // no compression helps it
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	const png = "\x89PNG\x0d\x0a\x1a\x0a"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no JSON":          {map[string]string{"theme.json": "{"}, "theme.json"},
		"GB 18030":         {map[string]string{"theme.json": "{\"texts\": {\"zh-Hans\": {\"thanks\": \"\xcd\xf8\"}}}"}, "theme.json: is no UTF-8"},
		"unknown key":      {map[string]string{"theme.json": `{"color": "#000000"}`}, "color"},
		"no colour":        {map[string]string{"theme.json": `{"colour": "red"}`}, "want #rrggbb"},
		"light colour":     {map[string]string{"theme.json": `{"colour": "#ff8800"}`}, "contrast of 2.4"},
		"language":         {map[string]string{"theme.json": `{"texts": {"fr": {}}}`}, "fr"},
		"unknown text":     {map[string]string{"theme.json": `{"texts": {"en": {"thank": "x"}}}`}, `"thank"`},
		"another's step":   {map[string]string{"theme.json": `{"texts": {"en": {"step.dance": "x"}}}`}, "step.dance"},
		"verb is missing":  {map[string]string{"theme.json": `{"texts": {"en": {"seat.hint": "any"}}}`}, "%d"},
		"verb too many":    {map[string]string{"theme.json": `{"texts": {"en": {"thanks": "%s"}}}`}, "thanks"},
		"picture of what":  {map[string]string{"dance.svg": smallPicture}, "dance.svg"},
		"kind of picture":  {map[string]string{"bow.gif": "GIF89a"}, "bow.gif"},
		"no picture":       {map[string]string{"bow.webp": png}, "is no image/webp"},
		"two of one":       {map[string]string{"bow.svg": smallPicture, "bow.png": png}, "another picture of bow"},
		"too heavy":        {map[string]string{"bow.png": png + string(noise)}, "at most 40"},
		"much too heavy":   {map[string]string{"bow.png": strings.Repeat(png, 50_000)}, "larger than"},
		"more than one":    {map[string]string{"theme.json": `{"colour": "red"}`, "dance.svg": ""}, "dance.svg"},
		"beside the theme": {map[string]string{"page.html": ""}, "page.html"},
	} {
		_, err := ingest.LoadTheme(themeFolder(t, c.files), qingming())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ingest.LoadTheme(filepath.Join(t.TempDir(), "nothing"), qingming()); err == nil {
		t.Error("a folder that is not there is a theme")
	}
}

func TestTheme(t *testing.T) {
	t.Parallel()
	theme, err := ingest.LoadTheme(themeFolder(t, map[string]string{
		"theme.json": "\ufeff" + `{"colour": "#8a1b1b", "texts": {"zh-Hans": {"thanks": "谢谢你，少先队员", "step.bow": "行礼"}}}`,
		"bow.svg":    smallPicture, "header.svg": smallPicture, "README.md": "where the pictures come from", ".hidden": "",
	}), qingming())
	if err != nil {
		t.Fatal(err)
	}
	theme.Grey.Days = []canyu.Day{canyu.NewDay(2017, 4, 1)}
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"), theme)
	s := w.get("/a/qingming-2017?school=3418020001&grade=3&class=1")
	s.shows("行礼", "献花")
	if class, _ := attr(s.all("html")[0], "class"); class != "grey" {
		t.Error("the page has colours on a day of mourning")
	}
	found := 0
	for _, n := range append(s.all("link"), s.all("img")...) {
		url, ok := attr(n, "href")
		if !ok {
			url, ok = attr(n, "src")
		}
		if !ok || strings.Contains(url, "flower") {
			continue
		}
		got := w.get(url)
		switch {
		case got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "immutable"):
			t.Errorf("%s: %d %v", url, got.status, got.header)
		case strings.HasSuffix(url, ".css"):
			found++
			if !strings.Contains(got.body, ":root{--pine:#8a1b1b}") {
				t.Error("the style sheet has not the theme's colour")
			}
		case strings.HasSuffix(url, ".svg"):
			found++
			if !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
				t.Error("a picture of the theme may run scripts")
			}
		}
	}
	if found != 2 || !strings.Contains(s.body, "/assets/bow.") {
		t.Errorf("%d assets of the theme in\n%s", found, s.body)
	}
	w.get("/a/qingming-2017?school=3418020001&grade=3&class=1&lang=en").shows("Bow") // what the theme does not say
}
