package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// pair is a ledger and an archive of one kind, empty.
type pair struct {
	name     string
	settings string // lines of canyu.yaml
	dsn      string // of ClickHouse, "" for the embedded pair
}

// eachPair runs a test body over the embedded pair and over Redis with each
// ClickHouse that CANYU_TEST_CLICKHOUSE lists.
func eachPair(t *testing.T, body func(t *testing.T, p pair)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		body(t, pair{name: "embedded"})
	})
	redis, clickhouses := os.Getenv("CANYU_TEST_REDIS"), strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(r rune) bool { return r == ' ' || r == ',' })
	if redis == "" || len(clickhouses) == 0 {
		t.Fatal("needs Redis and ClickHouse: set CANYU_TEST_REDIS and CANYU_TEST_CLICKHOUSE, or run make test")
	}
	for i, dsn := range clickhouses {
		t.Run(fmt.Sprintf("distributed-%d", i+1), func(t *testing.T) {
			t.Parallel()
			dsn := database(t, dsn)
			body(t, pair{name: "distributed", settings: fmt.Sprintf("redis: %s\nclickhouse: %s\n", redis, dsn), dsn: dsn})
		})
	}
}

// database is the DSN with a database of the test's own, dropped at its end.
func database(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "canyu_" + unique()
	t.Cleanup(func() {
		o, err := clickhouse.ParseDSN(dsn)
		if err != nil {
			t.Error(err)
			return
		}
		c, err := clickhouse.Open(o)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if err := c.Exec(context.Background(), "drop database if exists "+name); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

func unique() string { return fmt.Sprintf("%x%x", time.Now().UnixNano(), rand.Uint32()) }

// site is one installation: a data folder and a configuration.
type site struct {
	t        *testing.T
	dir      string
	config   string
	activity string
	before   string // what the shell does before it starts a server: ulimit -n 100;
	atOnce   bool   // its servers have the race detector
}

// week is the activity of 2017, under an id of the test's own.
const week = `  - id: %s
    title: {zh-Hans: 网上祭英烈, zh-Hant: 網上祭英烈, en: Online memorial}
    timezone: Asia/Shanghai
    first_day: %s
    last_day: %s
    steps: [bow, flower, message]
    required_grades: [3, 4, 5, 6, 7, 8, 10, 11]
    roles: [student, parent, teacher]
    identify: seat
    report: {at: "16:30", days: working, recipients: {341800: [city@example.org]}}
`

// newSite installs canyu with an activity of these days, or with one that is open today
// and reports daily, whether this year's holidays are known or not.
func newSite(t *testing.T, p pair, extra string, days ...string) *site {
	t.Helper()
	plan := "days: working"
	if len(days) == 0 {
		plan = "days: daily"
		now := time.Now().In(time.FixedZone("", 8*3600))
		days = []string{now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 1).Format(time.DateOnly)}
	}
	s := &site{t: t, dir: t.TempDir(), activity: "qingming-2017-" + unique()}
	s.config = filepath.Join(s.dir, "canyu.yaml")
	text := fmt.Sprintf("data: %s\n%s%sactivities:\n", filepath.Join(s.dir, "data"), p.settings, extra) +
		strings.Replace(fmt.Sprintf(week, s.activity, days[0], days[1]), "days: working", plan, 1)
	if !strings.Contains(extra, "watch:") { // a test sends seat after seat
		text = "watch: off\n" + text
	}
	if !strings.Contains(extra, "smtp:") && !strings.Contains(extra, "outbox:") {
		text = "outbox: " + filepath.Join(s.dir, "outbox") + "\n" + text
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// canyu runs a command and returns what it printed.
func (s *site) canyu(args ...string) (string, error) {
	var out, errOut syncBuffer
	err := run(s.t.Context(), append(args, "--config", s.config), &out, &errOut)
	if err != nil {
		err = fmt.Errorf("canyu %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errOut.String())
	}
	return out.String(), err
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := s.canyu(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// file writes a file into the site's folder.
func (s *site) file(name string, content []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// syncBuffer may be written to while it is read.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// server is a running canyu serve.
type server struct {
	t    *testing.T
	url  string
	cmd  *exec.Cmd
	done chan error
	out  *syncBuffer
	log  *syncBuffer
}

// serve starts canyu serve as a process of its own and waits until it is ready.
func (s *site) serve(args ...string) *server {
	s.t.Helper()
	v := s.start(args...)
	v.eventually("readyz", func() error {
		status, body, err := v.get("/readyz")
		if err == nil && status != 200 {
			err = fmt.Errorf("readyz %d: %s", status, body)
		}
		return err
	})
	return v
}

// start waits only until it listens.
func (s *site) start(args ...string) *server {
	s.t.Helper()
	v := launch(s.t, exec.Command("sh", append([]string{"-c", s.before + `exec "$0" "$@"`, program(s.t, s.atOnce), "serve", "--config", s.config, "--listen", "127.0.0.1:0"}, args...)...))
	v.eventually("serve", func() error {
		_, url, ok := strings.Cut(strings.TrimSpace(v.out.String()), "canyu serves ")
		if !ok {
			return fmt.Errorf("no address yet:\n%s", v.log.String())
		}
		v.url = url
		return nil
	})
	return v
}

// launch starts a canyu that serves, until the test ends.
func launch(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	v := &server{t: t, cmd: cmd, done: make(chan error, 1), out: new(syncBuffer), log: new(syncBuffer)}
	cmd.Env = append(environment(), cmd.Env...)
	cmd.Stdout, cmd.Stderr = v.out, v.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { v.done <- cmd.Wait() }()
	t.Cleanup(v.kill)
	return v
}

// eventually waits until f succeeds: for what another process does in its own time.
func (v *server) eventually(what string, f func() error) {
	v.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(2 * time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case exit := <-v.done:
			v.done <- exit
			v.t.Fatalf("%s: the server ended: %v\n%s", what, exit, v.log.String())
		case <-timeout:
			v.t.Fatalf("%s: not within two minutes: %v\n%s", what, err, v.log.String())
		}
	}
}

// kill is kill -9.
func (v *server) kill() {
	_ = v.cmd.Process.Kill()
	v.done <- <-v.done
}

// stop is SIGTERM, and waits for a clean end.
func (v *server) stop() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		v.t.Fatal(err)
	}
	err := <-v.done
	v.done <- err
	if err != nil {
		v.t.Fatalf("SIGTERM: %v\n%s", err, v.log.String())
	}
}

var httpClient = &http.Client{Timeout: time.Minute}

func (v *server) get(path string) (int, string, error) {
	r, err := httpClient.Get(v.url + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return r.StatusCode, string(body), err
}

// post sends a body to /v1/participations.
func (v *server) post(contentType, body string) (int, string) {
	v.t.Helper()
	r, err := httpClient.Post(v.url+"/v1/participations", contentType, strings.NewReader(body))
	if err != nil {
		v.t.Fatalf("POST: %v\n%s", err, v.log.String())
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// submission is the JSON of one, with fields laid over it; a nil field is left out.
func (s *site) submission(fields map[string]any) string {
	m := map[string]any{"activity": s.activity, "school": "3418020001", "grade": 3, "class": 2, "role": "student", "seat": 17,
		"steps": []string{"bow", "flower", "message"}, "message": "缅怀先烈"}
	maps.Copy(m, fields)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// pauseABit is for polling another process.
func pauseABit() { <-time.After(20 * time.Millisecond) }
