package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestMain lets the test binary stand for canyu itself, so that a test can kill it.
func TestMain(m *testing.M) {
	if os.Getenv("CANYU_TEST_IS_CANYU") != "" {
		os.Unsetenv("CANYU_TEST_IS_CANYU")
		main()
		return
	}
	status := m.Run()
	if installedDir != "" {
		os.RemoveAll(installedDir)
	}
	os.Exit(status)
}

var (
	raceDetector bool // this test binary has it
	installedDir string
)

// installed is canyu as it is installed: without the race detector, with which it takes
// many times as long.
var installed = sync.OnceValues(func() (program string, err error) {
	if installedDir, err = os.MkdirTemp("", "canyu-installed-"); err != nil {
		return "", err
	}
	program = filepath.Join(installedDir, "canyu")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

// program is what stands for canyu in a process of its own: this test binary where a
// test is about what happens at once, else the installed one.
func program(t testing.TB, atOnce bool) string {
	t.Helper()
	if atOnce || !raceDetector {
		return os.Args[0]
	}
	p, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// environment makes a canyu of this test binary; to the installed one it says nothing.
func environment() []string { return append(os.Environ(), "CANYU_TEST_IS_CANYU=1") }

// apart runs a command as a process of its own, for what takes long and is no test of
// it, and returns what it printed.
func (s *site) apart(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(program(s.t, false), append(args, "--config", s.config)...)
	cmd.Env = environment()
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("canyu %v: %v\n%s%s", args, err, out, errOut.Bytes())
	}
	return string(out)
}
