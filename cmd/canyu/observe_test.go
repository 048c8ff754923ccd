package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What may be empty while all is well: counters of what did not go wrong.
var mayBeEmpty = []string{
	`sum by (reason) (rate(canyu_held_total{activity=~".*"}[2s]))`,
	`sum by (of) (rate(canyu_limited_total[2s]))`,
	`canyu_held_total`,
	`sum by (call) (rate(canyu_ledger_seconds_count{result="failed"}[2s]))`,
	`sum by (call) (increase(canyu_archive_seconds_count{result="failed"}[5m]))`,
}

// A real Prometheus asks a real canyu under a little load: every query of the dashboard
// has an answer, and so has everything that an alert looks at.
func TestObserved(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		if p.name == "embedded" { // has no spool, of which there is a row
			return
		}
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		prometheus := newPrometheus(t, strings.TrimPrefix(v.url, "http://"))
		live, err := http.Get(v.url + "/v1/activities/" + s.activity + "/live?school=3418020001")
		check(t, err)
		defer live.Body.Close()
		seat := 0
		load := func() {
			seat++
			v.post("application/json", s.submission(map[string]any{"seat": seat%25 + 1}))
			v.post("application/json", s.submission(map[string]any{"seat": 999}))
			for _, path := range []string{"/a/" + s.activity, "/nothing", "/v1/activities/" + s.activity + "/counts?school=3418020001"} {
				_, _, err := v.get(path)
				check(t, err)
			}
		}

		board, names := dashboard(t), make(map[string]bool)
		var rules struct {
			Groups []struct{ Rules []struct{ Query string } }
		}
		prometheus.ask("/api/v1/rules", &rules)
		queries := slices.Clone(board)
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				queries = append(queries, selectors(r.Query)...)
			}
		}
		if len(board) < 40 || len(queries) < len(board)+30 {
			t.Fatalf("%d queries of the dashboard, with those of the alerts %d", len(board), len(queries))
		}
		for end := time.Now().Add(time.Minute); len(queries) > 0; {
			load()
			var empty []string
			for _, q := range queries {
				if len(prometheus.query(q)) == 0 {
					empty = append(empty, q)
				}
			}
			queries = slices.DeleteFunc(empty, func(q string) bool { return slices.Contains(mayBeEmpty, q) })
			if time.Now().After(end) {
				t.Fatalf("without an answer:\n%s", strings.Join(queries, "\n"))
			}
		}

		// What is written about has to be there.
		_, metrics, err := v.get("/metrics")
		check(t, err)
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+)`).FindAllStringSubmatch(metrics, -1) {
			names[m[1]] = true
		}
		for _, name := range []string{"canyu_backlog_drain_seconds", "canyu_held_total", "canyu_limited_total"} {
			names[name] = true // absent while there is nothing to tell
		}
		for _, file := range []string{"RUNBOOK.md", "BACKUP.md", "alerts.yml", "alerts_test.yml", "grafana/canyu.json", "canyu-ingest@.service"} {
			text, err := os.ReadFile(filepath.Join("../../deploy", file))
			check(t, err)
			for _, name := range regexp.MustCompile(`\bcanyu_[a-z_]+`).FindAllString(string(text), -1) {
				if plain := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, ""); !names[name] && !names[plain] {
					t.Errorf("%s speaks of %s, which canyu does not tell", file, name)
				}
			}
		}
		// However many schools there are: no number has one for each.
		if n := strings.Count(metrics, "\ncanyu_"); n > 1500 {
			t.Errorf("%d numbers", n)
		}
		v.stop()
	})
}

// dashboard are its queries, with its variables as they are in this test.
func dashboard(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/canyu.json")
	check(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
		Annotations struct{ List []struct{ Expr string } }
	}
	check(t, json.Unmarshal(text, &board))
	var rows []string
	for _, p := range board.Panels {
		if p.Type == "row" {
			rows = append(rows, p.Title)
		}
		if p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q has no place or no query", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "2s", "$activity", ".*").Replace(target.Expr))
		}
	}
	if want := "Participation, Requests and latency, Ledger, Archive, Spool, Reports, roster and calendar, Live views, Process"; strings.Join(rows, ", ") != want {
		t.Errorf("rows %q", rows)
	}
	return queries
}

// selectors are what an expression looks at: it has an answer itself only when something
// is wrong.
func selectors(expr string) []string {
	all := regexp.MustCompile(`\b(?:canyu|process)_\w+(?:\{[^}]*\})?|\bup\{[^}]*\}`).FindAllString(expr, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// prometheusServer is Debian's, with the configuration and the rules that deploy/ has, in
// more of a hurry.
type prometheusServer struct {
	t   *testing.T
	url string
	log *syncBuffer
}

func newPrometheus(t *testing.T, target string) *prometheusServer {
	t.Helper()
	config := edited(t, "prometheus.yml", "scrape_interval: 15s", "scrape_interval: 400ms", "evaluation_interval: 15s", "evaluation_interval: 400ms",
		"targets: [canyu:8080]", fmt.Sprintf("targets: [%q]", target), "rule_files: [alerts.yml]", fmt.Sprintf("rule_files: [%q]", edited(t, "alerts.yml")))
	address := freeAddress(t)
	p := &prometheusServer{t, "http://" + address, new(syncBuffer)}
	if _, err := sbin([]string{"prometheus", "--version"}).CombinedOutput(); err != nil {
		t.Fatalf("needs prometheus: apt-get install prometheus, or run make deps: %v", err)
	}
	background(t, p.log, []string{"prometheus", "--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=" + address, "--log.level=warn"})
	eventually(t, "Prometheus is ready", func() bool {
		r, err := http.Get(p.url + "/-/ready")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == 200
	})
	return p
}

func (p *prometheusServer) ask(path string, into any) {
	p.t.Helper()
	r, err := http.Get(p.url + path)
	check(p.t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	check(p.t, err)
	var answer struct {
		Data  json.RawMessage
		Error string
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Error != "" {
		p.t.Fatalf("%s: %v %s\n%s", path, err, text, p.log)
	}
	check(p.t, json.Unmarshal(answer.Data, into))
}

func (p *prometheusServer) query(expr string) []json.RawMessage {
	p.t.Helper()
	var data struct{ Result []json.RawMessage }
	p.ask("/api/v1/query?query="+url.QueryEscape(expr), &data)
	return data.Result
}
