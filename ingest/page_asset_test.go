package ingest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPageWeight(t *testing.T) {
	t.Parallel()
	w, _ := newSite(t, qingming(), duringQingming, readRosterFile(t, "roster.csv"))
	transport := w.http.Transport.(*http.Transport).Clone()
	transport.DisableCompression = true
	client := &http.Client{Transport: transport}
	get := func(target string) (*http.Response, []byte) {
		req, err := http.NewRequest("GET", "http://canyu"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d, encoding %q", target, resp.StatusCode, resp.Header.Get("Content-Encoding"))
		}
		return resp, b
	}
	const target = "/a/qingming-2017?school=3418020001&grade=3&class=1"
	_, body := get(target)
	total, blocking := len(body), 0
	form := w.get(target)
	for _, n := range append(form.all("link"), form.all("script")...) {
		asset, ok := attr(n, "href")
		if rel, _ := attr(n, "rel"); rel == "stylesheet" {
			blocking++
		}
		if !ok {
			asset, _ = attr(n, "src")
			if _, deferred := attr(n, "defer"); !deferred {
				blocking++
			}
		}
		resp, body := get(asset)
		total += len(body)
		if !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is cached as %q", asset, resp.Header.Get("Cache-Control"))
		}
	}
	t.Logf("the form and all it loads: %d bytes compressed", total)
	if total > 60<<10 || blocking != 1 {
		t.Errorf("%d bytes, %d requests that block rendering: want at most 60 KB and 1", total, blocking)
	}
	if s := w.get("/assets/page.css"); s.status != 404 {
		t.Errorf("an asset without its hash is %d, want 404", s.status)
	}
}

// Every language says everything, with the same things in it.
func TestPageTexts(t *testing.T) {
	t.Parallel()
	read := func(lang string) (m map[string]string) {
		b, err := os.ReadFile("page/" + lang + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	verbs := regexp.MustCompile(`%[sd]`)
	hans := read("zh-Hans")
	for _, lang := range []string{"zh-Hant", "en"} {
		other := read(lang)
		for k, v := range hans {
			if other[k] == "" || !slices.Equal(verbs.FindAllString(v, -1), verbs.FindAllString(other[k], -1)) {
				t.Errorf("%s: %s is %q, in zh-Hans it is %q", lang, k, other[k], v)
			}
		}
		if len(other) != len(hans) {
			t.Errorf("%s has %d texts, zh-Hans %d", lang, len(other), len(hans))
		}
	}
	for _, pattern := range []string{"page/*.html", "page/*.js"} {
		files, err := filepath.Glob(pattern)
		if err != nil || files == nil {
			t.Fatal("no files: ", err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`Say "([^"]+)"|\bsay\('([^']+[^.])'`).FindAllStringSubmatch(string(source), -1) {
				if key := m[1] + m[2]; hans[key] == "" {
					t.Errorf("%s says %q, which has no text", file, key)
				}
			}
		}
	}
}

// The computers of a school may have browsers of 2020: no newer syntax, as there is no
// build that would take it out.
func TestPageScriptsAreOldEnough(t *testing.T) {
	t.Parallel()
	newer := regexp.MustCompile(`\?\.[a-zA-Z(\[]|\?\?|\|\|=|&&=|\.at\(|\.replaceAll\(|\.flatMap\(|structuredClone|\.toSorted\(|Object\.hasOwn|\.\.\.[a-z]+ \}|static \{|#[a-z]+ =`)
	files, err := filepath.Glob("page/*.js")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts: ", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if code, _, _ := strings.Cut(line, "//"); newer.MatchString(code) {
				t.Errorf("%s:%d: newer than ES2018: %s", file, i+1, line)
			}
		}
	}
}
