package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// browserActivities are those that the specs find by these names.
var browserActivities = []struct {
	name, id    string
	first, last int // days from today
	more        string
}{
	{"open", "qingming", -1, 1, "identify: seat"},
	{"later", "qingming-later", 3, 9, "identify: seat"},
	{"over", "qingming-over", -9, -3, "identify: seat"},
	{"byName", "qingming-names", -1, 1, "identify: name"},
	{"themed", "flag", -1, 1, "identify: seat\n    page: {theme: %s, grey: always}"},
	{"wall", "qingming-wall", -1, 1, "identify: seat\n    wall: on"},
	{"closed", "qingming-closed", -1, 1, "identify: seat\n    public: {counts: none}\n    consent: {required: on, by: {zh-Hans: 宣州区教育体育局}, contact: 0563-0000000}"},
}

var linkPath = regexp.MustCompile(`/link/[\w-]+`)

// browserSchools is how many tests may have a school of their own.
const browserSchools = 120

// TestBrowser runs browser/*.spec.js by Playwright, in the system's Chromium, against
// a running canyu. CANYU_BROWSER_ARGS are arguments for playwright test instead of
// "--project=pages": "-g outbox", or "--project=measure --no-deps" on a quiet machine.
func TestBrowser(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"node", "npm"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("needs %s: run make deps", need)
		}
	}
	chromium := os.Getenv("CANYU_CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("needs Chromium: run make deps, or set CANYU_CHROMIUM: %v", err)
	}
	npmInstall(t)
	specs, err := filepath.Glob("browser/*.js")
	if err != nil || len(specs) == 0 {
		t.Fatal("no specs: ", err)
	}
	for _, spec := range specs {
		if _, err := os.Stat(spec); err != nil { // go test's cache knows what was looked at
			t.Fatal(err)
		}
	}

	s := browserSite(t)
	v := s.serve()
	var schools atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("POST /school", func(w http.ResponseWriter, r *http.Request) {
		n := int(schools.Add(1))
		if n > browserSchools {
			http.Error(w, "no school is left: raise browserSchools", http.StatusConflict)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"code": browserSchool(n), "name": browserSchoolName(n)})
	})
	mux.HandleFunc("POST /canyu", func(w http.ResponseWriter, r *http.Request) {
		var args []string
		if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := s.canyu(args...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	})
	redis := newRedis(t)
	far := newSite(t, redis.distributed(), "")
	far.must("roster", "import", "testdata/roster-gb18030.csv")
	link := linkPath.FindString(far.must("link", "school", "3418020001"))
	mux.HandleFunc("POST /redis/kill", func(w http.ResponseWriter, r *http.Request) {
		redis.kill()
		fmt.Fprint(w, "true")
	})
	mux.HandleFunc("POST /redis/start", func(w http.ResponseWriter, r *http.Request) {
		redis.start()
		fmt.Fprint(w, "true")
	})
	control := httptest.NewServer(mux)
	defer control.Close()

	ids := make(map[string]string)
	for _, a := range browserActivities {
		ids[a.name] = a.id
	}
	about, err := json.Marshal(map[string]any{"url": v.url, "control": control.URL, "activities": ids, "dir": s.dir,
		"far": map[string]string{"url": far.serve().url, "link": link, "activity": far.activity}})
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(os.Getenv("CANYU_BROWSER_ARGS"))
	if len(args) == 0 {
		args = []string{"--project=pages"}
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"node_modules/@playwright/test/cli.js", "test"}, args...)...)
	cmd.Dir = "browser"
	cmd.Env = append(os.Environ(), "CANYU_BROWSER_SITE="+string(about), "CANYU_CHROMIUM="+chromium,
		"CANYU_BROWSER_OUT="+filepath.Join(s.dir, "results"), "FORCE_COLOR=0", "CI=1", "LC_ALL=C.UTF-8") // else Chromium calls a file in Chinese "download"
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the specs failed: %v\nlog of the server:\n%s", err, v.log.String())
	}
}

// npmInstall brings in what package-lock.json names, where it is not there yet.
func npmInstall(t *testing.T) {
	lock, err := os.ReadFile("browser/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	const stamp = "browser/node_modules/.canyu-lock" // of what is installed
	if was, err := os.ReadFile(stamp); err == nil && string(was) == string(lock) {
		return
	}
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "browser"
	cmd.Env = append(os.Environ(), "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.WriteFile(stamp, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

func browserSchool(n int) string     { return fmt.Sprintf("341802%04d", n) }
func browserSchoolName(n int) string { return fmt.Sprintf("宣州区第%d小学", n) }

// browserTheme makes another activity of the same page.
const browserTheme = `{"colour": "#8a1b1b", "texts": {"zh-Hans": {"step.salute.hint": "面向国旗，行队礼", "thanks": "谢谢你，少先队员"}}}`

// browserSite has a roster of many schools, one for each test, and the activities.
func browserSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), activity: browserActivities[0].id}
	s.config = filepath.Join(s.dir, "canyu.yaml")
	now := time.Now().In(time.FixedZone("", 8*3600))
	theme := filepath.Join(s.dir, "theme")
	if err := os.Mkdir(theme, 0o700); err != nil {
		t.Fatal(err)
	}
	s.file("theme/theme.json", []byte(browserTheme))
	s.file("theme/salute.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9"><path fill="#7a8" d="M0 0h16v9H0z"/><path fill="#c33" d="M7 2h4v2H7z"/><path d="M7 2v6"/></svg>`))
	// Specs tap as no child does: nothing is to be held for it.
	text := fmt.Sprintf("watch: off\ndata: %s\noutbox: %s\nactivities:\n", filepath.Join(s.dir, "data"), filepath.Join(s.dir, "outbox"))
	for _, a := range browserActivities {
		text += strings.Replace(fmt.Sprintf(week, a.id, now.AddDate(0, 0, a.first).Format(time.DateOnly), now.AddDate(0, 0, a.last).Format(time.DateOnly)),
			"identify: seat", strings.Replace(a.more, "%s", theme, 1), 1)
	}
	text = strings.Replace(text, "id: flag\n    title: {zh-Hans: 网上祭英烈, zh-Hant: 網上祭英烈, en: Online memorial}", "id: flag\n    title: {zh-Hans: 向国旗敬礼}", 1)
	flag := strings.Index(text, "id: flag")
	text = text[:flag] + strings.Replace(text[flag:], "steps: [bow, flower, message]", "steps: [salute]", 1)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	roster := "region,school,name,grade,class,enrolled\n"
	for n := 1; n <= browserSchools; n++ {
		for _, grade := range []int{3, 5} {
			for class := 1; class <= 2; class++ {
				roster += fmt.Sprintf("341802,%s,%s,%d,%d,45\n", browserSchool(n), browserSchoolName(n), grade, class)
			}
		}
	}
	roster += "341821,3418210001,郎溪县第一小学,3,1,30\n"
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	return s
}
