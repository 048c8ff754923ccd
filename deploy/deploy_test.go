// Package deploy_test holds what deploy/ has against the programs that it is for. Where
// a running canyu is needed, the test is in cmd/canyu.
package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tool runs a program that Debian has; its package is what to install without it.
func tool(t *testing.T, install, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("needs %s: apt-get install %s, or run make deps", name, install)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

// units in a folder of the test's own, with the program of the test's own: whether the
// real one is installed here is not the question.
func units(t *testing.T) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "canyu")
	if err := os.WriteFile(program, []byte("#!/bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("canyu*.service")
	if err != nil || len(names) != 4 {
		t.Fatalf("units %q, %v", names, err)
	}
	for _, name := range append(names, "canyu.target") {
		text := strings.ReplaceAll(read(t, name), "/usr/local/bin/canyu", program)
		path := filepath.Join(dir, strings.Replace(name, "@.", "@8081.", 1))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestUnits(t *testing.T) {
	t.Parallel()
	paths := units(t)
	if out, err := tool(t, "systemd", "systemd-analyze", append([]string{"verify", "--man=no", "--generators=no"}, paths...)...); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 0 is the best, 10 the worst; "OK" begins at 5.
	const most = 1.5
	out, err := tool(t, "systemd", "systemd-analyze", append([]string{"security", "--offline=yes", "--no-pager", fmt.Sprintf("--threshold=%.0f", most*10)}, paths[:4]...)...)
	levels := regexp.MustCompile(`Overall exposure level for (\S+): ([0-9.]+)`).FindAllStringSubmatch(out, -1)
	if err != nil || len(levels) != 4 {
		t.Errorf("systemd-analyze security, at most %.1f: %v\n%s", most, err, out)
	}
	for _, l := range levels {
		t.Logf("%s: exposed %s of 10", l[1], l[2])
	}
}

// What closes a unit off is the same in all of them, and no secret is among what
// everybody may ask systemd for.
func TestUnitsAgree(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("canyu*.service")
	if err != nil {
		t.Fatal(err)
	}
	closed := func(name string) string {
		_, rest, ok := strings.Cut(read(t, name), "# It reads its configuration, writes its folder")
		block, _, end := strings.Cut(rest, "[Install]")
		if !ok || !end {
			t.Errorf("%s is not closed off", name)
		}
		return block
	}
	for _, name := range names {
		if closed(name) != closed("canyu.service") {
			t.Errorf("%s is closed off otherwise than canyu.service", name)
		}
		for line := range strings.Lines(read(t, name)) {
			if regexp.MustCompile(`(?i)^(Exec|Environment=|SetCredential=).*(redis://|clickhouse://|password=)`).MatchString(line) {
				t.Errorf("%s shows a secret: %s", name, line)
			}
		}
	}
}

// The mail server's password is in one place, wherever it is told of.
func TestMailPassword(t *testing.T) {
	t.Parallel()
	const kept, shown = "/etc/credstore/canyu.smtp-password", "/run/credentials/canyu.service/canyu.smtp-password"
	for _, name := range []string{"canyu.yaml", "canyu.service", "OPERATE.md"} {
		text := read(t, name)
		if !strings.Contains(text, kept) || !strings.Contains(text, shown) {
			t.Errorf("%s does not tell of %s and %s", name, kept, shown)
		}
		for _, other := range regexp.MustCompile(`\S*/[\w.]*smtp-password`).FindAllString(text, -1) {
			if other = strings.Trim(other, "`"); other != kept && other != shown {
				t.Errorf("%s tells of %s", name, other)
			}
		}
	}
}

// canyu.yaml has every setting that there is.
func TestSettings(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("../cmd/canyu/*.go")
	if err != nil {
		t.Fatal(err)
	}
	sample, settings := read(t, "canyu.yaml"), 0
	for _, source := range sources {
		for _, m := range regexp.MustCompile("`yaml:\"([a-z_]+)").FindAllStringSubmatch(read(t, source), -1) {
			settings++
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(sample) {
				t.Errorf("canyu.yaml does not tell of %s, which %s reads", m[1], source)
			}
		}
	}
	if settings < 50 {
		t.Errorf("only %d settings were found", settings)
	}
}

// Prometheus takes what it is given, and every alert fires when it should and not
// when it should not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := tool(t, "prometheus", "promtool", args...); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	var alerts []string
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "alerts.yml"), -1) {
		alerts = append(alerts, m[1])
	}
	if len(alerts) < 20 {
		t.Errorf("only %d alerts were found", len(alerts))
	}
	tests, runbook, rules := read(t, "alerts_test.yml"), read(t, "RUNBOOK.md"), read(t, "alerts.yml")
	for _, a := range alerts {
		for _, how := range []string{" fires\n", " is silent\n"} {
			if !strings.Contains(tests, "- name: "+a+how) {
				t.Errorf("no test that %s%s", a, how)
			}
		}
		_, section, ok := strings.Cut(runbook, "\n## "+a+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		for _, part := range []string{"**Means** ", "**Look** ", "**Do** "} {
			if !ok || !strings.Contains(section, part) {
				t.Errorf("RUNBOOK.md has no %sof %s", part, a)
			}
		}
		if !strings.Contains(rules, "runbook: RUNBOOK.md#"+strings.ToLower(a)+"\n") {
			t.Errorf("%s does not lead to its section of RUNBOOK.md", a)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(runbook, -1) {
		if !slices.Contains(alerts, m[1]) {
			t.Errorf("RUNBOOK.md has a section %s, and no alert", m[1])
		}
	}
}

// compose.yaml and the kustomizations, by the libraries that their own programs are
// made of: see validate/.
func TestComposeAndKubernetes(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "run", "-C", "validate", ".", "..").CombinedOutput()
	if err != nil {
		t.Errorf("deploy/validate: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// The image has nothing in it but the program, which needs nothing and is not root.
func TestImage(t *testing.T) {
	t.Parallel()
	_, last, ok := strings.Cut(read(t, "Dockerfile"), "\nFROM scratch\n")
	for _, want := range []string{"\nUSER 65532:65532\n", "\nENTRYPOINT [\"/canyu\"]\n"} {
		if !ok || !strings.Contains(last, want) {
			t.Errorf("the image lacks %q", want)
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), "CGO_ENABLED=0") {
		t.Error("the program of the image is not static")
	}
}
