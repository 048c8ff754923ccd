package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What deploy/ gives canyu, canyu takes: settings, flags, variables of the environment.
func TestDeployedSettings(t *testing.T) {
	t.Parallel()
	out := new(syncBuffer)
	args := []string{"check", "--config", "../../deploy/kubernetes/province/canyu.yaml", "--data", t.TempDir(), "--listen", ":8080", "--metrics-listen", ":9090"}
	if err := run(t.Context(), args, out, out); err != nil || !strings.Contains(out.String(), "the configuration is fine") {
		t.Errorf("the province's canyu.yaml: %v\n%s", err, out)
	}

	variables := []string{"CANYU_SMTP_PASSWORD", "CANYU_SECRET", "CANYU_PORT"} // the last two are compose's own
	flags := []string{"--config"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Flags]()) {
		variables = append(variables, f.Tag.Get("env"))
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		flags = append(flags, "--"+name)
	}
	var files []string
	for _, pattern := range []string{"*.service", "compose.yaml", "Dockerfile", "kubernetes/*/*.yaml"} {
		found, err := filepath.Glob("../../deploy/" + pattern)
		check(t, err)
		files = append(files, found...)
	}
	if len(files) < 12 {
		t.Fatalf("files %q", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		for _, v := range regexp.MustCompile(`\bCANYU_[A-Z_]+\b`).FindAllString(string(text), -1) {
			if !slices.Contains(variables, v) {
				t.Errorf("%s sets %s, which canyu does not read", file, v)
			}
		}
		for _, command := range regexp.MustCompile(`(?m)^Exec\w+=/usr/local/bin/canyu (.*)$`).FindAllStringSubmatch(string(text), -1) {
			for _, word := range strings.Fields(command[1]) {
				if strings.HasPrefix(word, "--") && !slices.Contains(flags, word) {
					t.Errorf("%s: canyu has no flag %s", file, word)
				}
			}
		}
	}
}
