package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// preflight runs the command and returns what it said.
func (s *site) preflight(args ...string) (said string, ok bool) {
	s.t.Helper()
	var out, errOut syncBuffer
	err := run(s.t.Context(), append([]string{"preflight", "--config", s.config}, args...), &out, &errOut)
	if err != nil && !errors.Is(err, errQuiet) {
		s.t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String(), err == nil
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		said, ok := s.preflight()
		first := "clickhouse     "
		if p.name == "embedded" {
			first = "roster         there is none yet"
		}
		if !ok || !strings.Contains(said, "look   "+first) {
			t.Errorf("before anything was done:\n%s", said)
		}
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		said, ok = s.preflight()
		for _, want := range []string{"fine   configuration  1 activities", "fine   calendar", "fsync", "fine   roster         ", "bell           ", "look   mail           reports become files", "look   https"} {
			if !strings.Contains(said, want) {
				t.Errorf("%q is not in\n%s", want, said)
			}
		}
		if p.name == "distributed" && !strings.Contains(said, "fine   redis          7.") {
			t.Errorf("nothing of Redis in\n%s", said)
		}
		if !ok || !strings.Contains(said, "\n0 wrong, ") {
			t.Errorf("all is well, and it says\n%s", said)
		}
		v.stop()
	})
}

// What will not do is said, all at once, and is the exit status.
func TestPreflightFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	c := r.client()
	defer c.Close()
	if err := c.ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	s := newSite(t, r.distributed(), fmt.Sprintf("smtp: {url: \"smtp+plain://%s\", from: report@example.org}\n", nobody.Addr()))
	if err := os.MkdirAll(filepath.Join(s.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.file("data/key", []byte(strings.Repeat("0", 64)))
	if err := os.Chmod(filepath.Join(s.dir, "data", "key"), 0o644); err != nil { //nolint:gosec // that is what is looked for
		t.Fatal(err)
	}
	said, ok := s.preflight()
	for _, want := range []string{"wrong  redis          redis: appendfsync is \"everysec\"", "wrong  mail           ", "wrong  key            others may read"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	if ok {
		t.Errorf("no error:\n%s", said)
	}
}

// A class of 900 and a report for a region without a school are slips of the keyboard.
func TestPreflightDoubtsTheRoster(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	s.must("roster", "import", s.file("roster.csv", []byte("region,school,name,grade,class,enrolled\n341921,3419210001,远方小学,1,1,900\n")))
	said, ok := s.preflight()
	for _, want := range []string{"has 900 pupils: is that one class?", "a report goes to 341800, which has no school", "1 schools are in nobody's report", "no class has a required grade"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	if ok {
		t.Errorf("no error:\n%s", said)
	}
}
