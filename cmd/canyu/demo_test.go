package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

// make run: every address that it prints can be opened, the command that it prints
// writes a report, one lies in the outbox, people keep coming, and nothing is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(program(t, false), "demo", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"TMPDIR=" + dir}
	v := launch(t, cmd)
	v.eventually("it says where it is", func() error {
		if out := v.out.String(); !strings.HasSuffix(out, "index.html\n\n") {
			return fmt.Errorf("%s%s", out, v.log.String())
		}
		return nil
	})
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^  (\S.*?)  +(\S.*)$`).FindAllStringSubmatch(v.out.String(), -1) {
		said[m[1]] = m[2]
	}
	for what, want := range map[string]string{"take part": "<title>网上祭英烈", "a school": "宣州区第一小学", "the bureau": "宣城市", "live counts": `"participants"`} {
		jar, err := cookiejar.New(nil)
		check(t, err)
		client := http.Client{Jar: jar, Transport: httpClient.Transport}
		v.eventually(what, func() error {
			resp, err := client.Get(said[what])
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
				return fmt.Errorf("%s: %d, %w: %s", said[what], resp.StatusCode, err, body)
			}
			return nil
		})
	}
	render := strings.Fields(said["today's report"])
	render[0], render[len(render)-1] = program(t, false), filepath.Join(dir, "rendered")
	command := exec.Command(render[0], render[1:]...)
	command.Env = environment()
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%q: %v: %s", render, err, out)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "rendered", "report.xlsx")); found == nil {
		t.Errorf("%q wrote no workbook", render)
	}
	if text, err := os.ReadFile(strings.TrimPrefix(said["reports go to"], "file://")); err != nil || !strings.Contains(string(text), ".html") {
		t.Errorf("the outbox: %v: %s", err, text)
	}
	participants := func() (n int, _ error) {
		var counts struct{ Participants map[string]int }
		_, body, err := v.get(said["live counts"])
		if err == nil {
			err = json.Unmarshal([]byte(body), &counts)
		}
		return counts.Participants["student"], err
	}
	first, err := participants()
	check(t, err)
	v.eventually("somebody comes", func() error {
		if now, err := participants(); err != nil || first == 0 || now <= first {
			return fmt.Errorf("%d, then %d: %w", first, now, err)
		}
		return nil
	})
	v.stop()
	if left, _ := filepath.Glob(filepath.Join(dir, "canyu-demo-*")); left != nil {
		t.Errorf("left: %q", left)
	}
}

// The demo has reports in every year.
func TestDemoPlan(t *testing.T) {
	t.Parallel()
	for date, want := range map[string]string{"2017-04-07": "working", "2026-12-21": "working", "2099-04-07": "daily"} {
		day, err := canyu.ParseDay(date)
		check(t, err)
		if got, err := demoPlan(day); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %s", date, got, err, want)
		}
	}
}
