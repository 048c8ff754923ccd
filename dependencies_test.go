package canyu_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dependencyRow is a line of the table of Go modules in deploy/DEPENDENCIES.md.
type dependencyRow struct{ licence, in, why string }

// licenceWords are what the text of a licence has that no other of the list has.
var licenceWords = map[string]string{
	"Apache-2.0":   "Apache License",
	"MIT":          "Permission is hereby granted, free of charge",
	"BSD-2-Clause": "Redistribution and use in source and binary forms",
	"BSD-3-Clause": "Neither the name", // and BSD-2-Clause's
	"FTL":          "The FreeType License",
}

// Every module of go.mod is in deploy/DEPENDENCIES.md, with the licence that its files
// have, one that fits, and whether it is linked into the program.
func TestDependencies(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("deploy/DEPENDENCIES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n## Go modules\n"))
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	rows := make(map[string]dependencyRow)
	var order []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+) \| (\S+) \| (\S+) \| (.+) \|$`).FindAllStringSubmatch(string(text), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("%s is listed twice", m[1])
		}
		rows[m[1]] = dependencyRow{m[2], m[3], m[4]}
		order = append(order, m[1])
	}
	if !slices.IsSorted(order) {
		t.Error("the modules are not in order")
	}

	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+\.\S+/\S+) v\S+`).FindAllStringSubmatch(string(mod), -1) {
		required = append(required, m[1])
	}
	if len(required) < 20 {
		t.Fatalf("only %q are found in go.mod", required)
	}
	for _, module := range required {
		if rows[module].why == "" {
			t.Errorf("%s is in go.mod and not in deploy/DEPENDENCIES.md: what is its licence, and why is it there?", module)
		}
	}
	for module := range maps.Keys(rows) {
		if !slices.Contains(required, module) {
			t.Errorf("%s is in deploy/DEPENDENCIES.md and not in go.mod", module)
		}
	}

	linked := strings.Fields(goRun(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/canyu"))
	goRun(t, append([]string{"mod", "download"}, required...)...) // some are for other systems: nothing here has asked for them
	for line := range strings.Lines(goRun(t, append([]string{"list", "-m", "-f", "{{.Path}} {{.Dir}}"}, required...)...)) {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		row := rows[module]
		if want := map[bool]string{true: "program", false: "tests"}[slices.Contains(linked, module)]; row.in != want {
			t.Errorf("%s: in %q, want %s", module, row.in, want)
		}
		if !hasLicence(t, dir, row.licence) {
			t.Errorf("%s: %q is not what its files say", module, row.licence)
		}
	}
}

func goRun(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), "go", args...)
	run.Stderr = &stderr
	run.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := run.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", args[0], err, &stderr)
	}
	return string(out)
}

// hasLicence reads the licence files of a module.
func hasLicence(t *testing.T, dir, licence string) bool {
	t.Helper()
	var all []byte
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil { // else it is a folder
				all = append(all, text...)
			}
		}
	}
	text := strings.Join(strings.Fields(string(all)), " ")
	has := func(licence string) bool {
		return licenceWords[licence] != "" && strings.Contains(text, licenceWords[licence])
	}
	switch licence {
	case "BSD-2-Clause":
		return has(licence) && !has("BSD-3-Clause")
	case "BSD-3-Clause":
		return has(licence) && has("BSD-2-Clause")
	}
	return has(licence)
}
