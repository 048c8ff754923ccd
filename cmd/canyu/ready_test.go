package main

import (
	"strings"
	"testing"
)

func TestReady(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "")
	v := s.start()
	_, port, _ := strings.Cut(strings.TrimPrefix(v.url, "http://"), ":")
	if out, err := s.canyu("ready", "--listen", ":"+port); err == nil || !strings.Contains(err.Error(), "roster is empty") {
		t.Errorf("without a roster: %s, %v", out, err)
	}
	v.stop()
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v = s.serve()
	_, port, _ = strings.Cut(strings.TrimPrefix(v.url, "http://"), ":")
	if out := s.must("ready", "--listen", ":"+port); !strings.HasPrefix(out, "ready") {
		t.Errorf("it says %q", out)
	}
	v.stop()
	if out, err := s.canyu("ready", "--listen", ":"+port); err == nil || !strings.Contains(err.Error(), "no server answers") {
		t.Errorf("without a server: %s, %v", out, err)
	}
}
