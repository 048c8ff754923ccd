package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// redisServer is a Redis of the test's own, to be killed.
type redisServer struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

func newRedis(t *testing.T) *redisServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{t: t, dir: t.TempDir(), port: ln.Addr().(*net.TCPAddr).Port}
	ln.Close()
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

func (r *redisServer) start() {
	r.t.Helper()
	r.cmd = exec.Command("redis-server", "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("needs redis-server: apt-get install redis-server, or run make test: %v", err)
	}
	c := r.client()
	defer c.Close()
	for range 500 {
		if c.Ping(r.t.Context()).Err() == nil {
			return
		}
		pauseABit()
	}
	r.t.Fatal("redis-server does not answer")
}

func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func (r *redisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", r.port)})
}

// distributed is a pair over a Redis of the test's own.
func (r *redisServer) distributed() pair {
	r.t.Helper()
	dsns := strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(c rune) bool { return c == ' ' || c == ',' })
	if len(dsns) == 0 {
		r.t.Fatal("needs ClickHouse: set CANYU_TEST_CLICKHOUSE, or run make test")
	}
	dsn := database(r.t, dsns[0])
	return pair{name: "distributed", settings: fmt.Sprintf("redis: %s\nclickhouse: %s\n", r.url(), dsn), dsn: dsn}
}

// students is what the live counts of the school say, or why they say nothing.
func (s *site) students(v *server) (int, error) {
	status, body, err := v.get("/v1/activities/" + s.activity + "/counts?school=3418020001")
	if err != nil || status != 200 {
		return 0, fmt.Errorf("%d %s %w", status, body, err)
	}
	var c struct{ Participants struct{ Student int } }
	err = json.Unmarshal([]byte(body), &c)
	return c.Participants.Student, err
}

// awaitStudents waits until the live counts show so many students.
func (s *site) awaitStudents(v *server, want int) {
	s.t.Helper()
	v.eventually("everybody is counted", func() error {
		n, err := s.students(v)
		if err == nil && n != want {
			err = fmt.Errorf("%d students, want %d", n, want)
		}
		return err
	})
}

// watch looks at the live counts all the time: they never go down. What is returned
// ends it and tells how often they were seen.
func (s *site) watch(v *server) (looks func() int) {
	seen := make(chan int)
	over := make(chan struct{})
	go func() {
		most, looks := 0, 0
		for {
			select {
			case <-over:
				seen <- looks
				return
			default:
			}
			if n, err := s.students(v); err == nil {
				if n < most {
					s.t.Errorf("the live count went from %d down to %d", most, n)
				}
				most = n
				looks++
			}
			pauseABit()
		}
	}()
	return func() int { close(over); return <-seen }
}

func (s *site) postStatus(v *server, seat seatOf) (int, string) {
	return v.post("application/json", s.submission(map[string]any{"grade": seat.grade, "class": seat.class, "seat": seat.seat, "id": fmt.Sprint(seat)}))
}

// Redis away in the middle: submissions are accepted, survive a kill of the server
// too, and count once when Redis is back.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	s := newSite(t, r.distributed(), "")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	for seat := 1; seat <= 10; seat++ {
		if status, body := s.postStatus(v, seatOf{1, 1, seat}); status != 201 {
			t.Fatalf("seat %d: %d %s", seat, status, body)
		}
	}
	r.kill()
	receipts := make(map[int]string)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for seat := 6; seat <= 25; seat++ { // 6…10 are repeats, which nobody can know now
		wg.Go(func() {
			status, body := s.postStatus(v, seatOf{1, 1, seat})
			if status != 202 || !strings.HasPrefix(body, `{"state":"accepted","receipt":"`) {
				t.Errorf("seat %d, Redis away: %d %s", seat, status, body)
			}
			mu.Lock()
			defer mu.Unlock()
			receipts[seat] = body[strings.Index(body, `"receipt"`):]
		})
	}
	wg.Wait()
	if _, err := s.students(v); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("live counts, Redis away: %v, want 503", err)
	}
	if status, body, err := v.get("/readyz"); err != nil || status != 200 || !strings.Contains(body, "20 participations wait") {
		t.Errorf("readyz, Redis away: %d %s %v", status, body, err)
	}
	if _, body, err := v.get("/metrics"); err != nil || !strings.Contains(body, "canyu_spool_participations{activity=\""+s.activity+"\"} 20") {
		t.Errorf("metrics, Redis away: %v", err)
	}
	v.kill()
	r.start()
	v = s.serve()
	s.awaitStudents(v, 25)
	for seat, receipt := range receipts {
		if status, body := s.postStatus(v, seatOf{1, 1, seat}); status != 200 || !strings.HasSuffix(body, receipt) {
			t.Errorf("seat %d again: %d %s, want %s", seat, status, body, receipt)
		}
	}
	v.stop()
	if out := s.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}

// Redis emptied while submissions come in: counting stops at once, goes to the
// spool, the ledger is restored by itself, and in the end the numbers are exact,
// those included that the archive had not read.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	s := newSite(t, r.distributed(), "rebuild: auto\n")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	c := r.client()
	defer c.Close()
	looks := s.watch(v)
	posted := 0
	post := func(seat seatOf) {
		t.Helper()
		status, body := s.postStatus(v, seat)
		if status != 201 && status != 202 {
			t.Fatalf("%v: %d %s", seat, status, body)
		}
		posted++
	}
	for grade := 1; grade <= 6; grade++ {
		for seat := 1; seat <= 25; seat++ {
			post(seatOf{grade, 1, seat})
			if seat == 13 && grade%2 == 0 {
				s.awaitStudents(v, posted) // it is seen before and after
				if err := c.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	s.awaitStudents(v, posted)
	if n := looks(); n < 4 {
		t.Errorf("the live counts were seen %d times", n)
	}
	v.stop()
	if out := s.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}

// A Redis that comes back with yesterday's data is recognised, by its writers or at
// the next start.
func TestRedisGoneBack(t *testing.T) {
	t.Parallel()
	r := newRedis(t)
	s := newSite(t, r.distributed(), "rebuild: auto\n")
	s.atOnce = true
	s.must("roster", "import", "testdata/roster-gb18030.csv")
	v := s.serve()
	post := func(seat int) {
		t.Helper()
		if status, body := s.postStatus(v, seatOf{1, 1, seat}); status != 201 && status != 202 {
			t.Fatalf("seat %d: %d %s", seat, status, body)
		}
	}
	backup := filepath.Join(r.dir, "backup")
	copyAOF := func(from, to string) {
		t.Helper()
		if out, err := exec.Command("sh", "-c", "rm -rf '"+to+"' && cp -a '"+from+"' '"+to+"'").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	aof := filepath.Join(r.dir, "appendonlydir")
	for seat := 1; seat <= 5; seat++ {
		post(seat)
	}
	copyAOF(aof, backup)
	for seat := 6; seat <= 15; seat++ {
		post(seat)
	}
	r.kill()
	copyAOF(backup, aof)
	r.start()
	for seat := 16; seat <= 20; seat++ { // the writer notices
		post(seat)
	}
	s.awaitStudents(v, 20)
	copyAOF(aof, backup)
	for seat := 21; seat <= 23; seat++ {
		post(seat)
	}
	r.kill()
	post(24) // into the spool, so that the first to come back is a batch that waited
	copyAOF(backup, aof)
	r.start()
	s.awaitStudents(v, 24)
	v.stop()
	r.kill()
	copyAOF(backup, aof)
	r.start()
	v = s.serve() // Attach notices
	s.awaitStudents(v, 24)
	post(25)
	s.awaitStudents(v, 25)
	v.stop()
	if out := s.must("verify"); !strings.Contains(out, "agree") {
		t.Errorf("verify: %s", out)
	}
}
