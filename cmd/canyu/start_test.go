package main

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu/loadtest/chaos"
)

// cut puts a proxy before the pair's ClickHouse, that it can be away.
func (p *pair) cut(t *testing.T) *chaos.Proxy {
	t.Helper()
	u, err := url.Parse(p.dsn)
	check(t, err)
	proxy, err := chaos.NewProxy("clickhouse", u.Host)
	check(t, err)
	t.Cleanup(func() { proxy.Close() })
	p.settings = strings.Replace(p.settings, u.Host, proxy.Addr(), 1)
	return proxy
}

func away(p *chaos.Proxy) { p.Set(chaos.Condition{Mode: chaos.Drop}) }
func back(p *chaos.Proxy) { p.Set(chaos.Condition{Mode: chaos.Pass}) }

func (s *site) seats(v *server, from, to, want int) {
	s.t.Helper()
	for seat := from; seat <= to; seat++ {
		if status, body := s.postStatus(v, seatOf{1, 1, seat}); status != want {
			s.t.Fatalf("seat %d: %d %s, want %d\n%s", seat, status, body, want, v.log.String())
		}
	}
}

// A server starts without Redis and ClickHouse. The first time it takes nothing: it
// cannot know what it would be counting. Later it remembers, and takes submissions
// into the spool until the ledger is there; the archive is not needed for that.
func TestStartWithoutServers(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	p := r.distributed()
	archive := p.cut(t)
	s := newSite(t, p, "rebuild: auto\n")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	r.kill()
	away(archive)
	v := s.start()
	if status, body, err := v.get("/readyz"); err != nil || status != 503 {
		t.Errorf("never attached: readyz %d %s %v", status, body, err)
	}
	s.seats(v, 1, 1, 503)
	r.start()
	back(archive)
	v.eventually("attached", func() error {
		status, body, err := v.get("/readyz")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	s.seats(v, 1, 5, 201)
	v.stop()

	r.kill()
	away(archive)
	v = s.serve()
	if status, body, err := v.get("/readyz"); err != nil || status != 200 || !strings.Contains(body, "cannot read the archive") {
		t.Errorf("attached before: readyz %d %s %v", status, body, err)
	}
	s.seats(v, 4, 10, 202)
	v.kill()
	v = s.serve()
	s.seats(v, 11, 11, 202)
	if _, err := s.students(v); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("live counts without a ledger: %v, want 503", err)
	}
	r.start()
	s.awaitStudents(v, 11)
	s.seats(v, 12, 15, 201)
	s.awaitStudents(v, 15)
	back(archive)
	v.stop()
	v = s.serve()
	s.awaitStudents(v, 15)
	v.stop()
	if out := s.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}

// What the ledger had acknowledged to a process that was killed is given back by the
// next one, where Redis lost it before the archive had it: all of its data, or what
// came after an old copy of it.
func TestKilledAndRedisLost(t *testing.T) {
	for _, older := range []bool{false, true} {
		t.Run(fmt.Sprint("older ", older), func(t *testing.T) {
			t.Parallel()
			r := newRedis(t)
			s := newSite(t, r.distributed(), "rebuild: auto\n")
			s.must("roster", "import", "testdata/roster-gb18030.csv")
			v := s.serve("--run", "ingest") // no archive gets it
			s.seats(v, 1, 5, 201)
			aof, kept := filepath.Join(r.dir, "appendonlydir"), filepath.Join(r.dir, "kept")
			if out, err := exec.Command("cp", "-a", aof, kept).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			s.seats(v, 6, 20, 201)
			v.kill()
			r.kill()
			script := "rm -r " + aof
			if older {
				script += " && mv " + kept + " " + aof
			}
			if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			r.start()
			v = s.serve()
			s.awaitStudents(v, 20)
			s.seats(v, 20, 20, 200)
			s.seats(v, 21, 21, 201)
			v.stop()
			if out := s.must("verify"); !strings.Contains(out, "agree") {
				t.Errorf("verify: %s", out)
			}
		})
	}
}

// More than should wait for the archive is said, and nothing is refused for it.
func TestBacklogLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{name: "embedded"}, "backlog_limit: 3\n")
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve("--run", "ingest")
	s.seats(v, 1, 5, 201)
	v.eventually("the backlog is told", func() error {
		status, body, err := v.get("/readyz")
		if err == nil && (status != 200 || !strings.Contains(body, "5 participations wait for the archive")) {
			err = fmt.Errorf("readyz %d %s", status, body)
		}
		return err
	})
	_, body, err := v.get("/metrics")
	check(t, err)
	for _, line := range []string{"canyu_backlog_participations{activity=%q} 5", "canyu_backlog_limit{activity=%q} 3", "canyu_backlog_oldest_seconds{activity=%q}"} {
		if line = fmt.Sprintf(line, s.activity); !strings.Contains(body, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	v.stop()
}
