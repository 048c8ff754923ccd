package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

func todayOf(days int) string {
	return time.Now().In(time.FixedZone("", 8*3600)).AddDate(0, 0, days).Format(time.DateOnly)
}

// send posts, or gets where there is no body, as a visitor behind a proxy.
func (s *site) send(v *server, path, kind, body string) (int, string) {
	s.t.Helper()
	method := "POST"
	if body == "" {
		method = "GET"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, v.url+path, strings.NewReader(body))
	check(s.t, err)
	r.Header = from(map[string][]string{"Content-Type": {kind}})
	answer, err := httpClient.Do(r)
	check(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(s.t, err)
	return answer.StatusCode, string(text)
}

// eachOwn is eachPair with a Redis of the test's own, which it may look through and kill.
func eachOwn(t *testing.T, body func(t *testing.T, p pair, r *redisServer)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		body(t, pair{name: "embedded"}, nil)
	})
	for i, dsn := range strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(c rune) bool { return c == ' ' || c == ',' }) {
		t.Run(fmt.Sprintf("distributed-%d", i+1), func(t *testing.T) {
			t.Parallel()
			r := newRedis(t)
			dsn := database(t, dsn)
			body(t, pair{name: "distributed", settings: fmt.Sprintf("redis: %s\nclickhouse: %s\n", r.url(), dsn), dsn: dsn}, r)
		})
	}
	if os.Getenv("CANYU_TEST_CLICKHOUSE") == "" {
		t.Fatal("needs ClickHouse: set CANYU_TEST_CLICKHOUSE, or run make test")
	}
}

// A week goes by, with names, messages and addresses in what is sent. Neither names nor
// addresses are anywhere afterwards, in whatever spelling; messages are, so the search
// can find. Then everything is purged, and whoever has the secret, all that is left, and
// even the participants of before cannot tell one seat. Before, he could.
func TestNothingOfPeople(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, p pair, r *redisServer) {
		const message = "这一句留言找得到"
		s := newSite(t, p, "", todayOf(-6), todayOf(0))
		s.change("days: working", `days: ["`+todayOf(-1)+`"]`)
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		lines, students := s.week(message)
		all := make(search)

		// Into the ledger's log, an entry of which is damaged, and one into the spool.
		v := s.serve("--run", "ingest")
		s.strangeRequests(v, message)
		if r != nil {
			c := r.client()
			damagedEntry(t, c, s.activity)
			all.redis(t, "redis before rollup/", c)
			check(t, c.Close())
			r.kill()
			if status, body := s.send(v, "/v1/participations", "application/json", s.submission(map[string]any{"seat": 21, "name": people[3], "message": message})); status != 202 {
				t.Fatalf("without Redis: %d %s", status, body)
			}
			all.folder(t, "spool while Redis is away/", filepath.Join(s.dir, "data", "spool"))
			r.start()
			v.eventually("the spool is empty", func() error {
				status, body, err := v.get("/readyz")
				if err == nil && (status != 200 || strings.Contains(body, "spool")) {
					err = fmt.Errorf("%d %s", status, body)
				}
				return err
			})
		}
		_, metrics, err := v.get("/metrics")
		check(t, err)
		all.add("metrics", []byte(metrics))
		check(t, v.cmd.Process.Signal(syscall.SIGQUIT)) // a crash
		v.done <- <-v.done
		if !strings.Contains(v.log.String(), "goroutine ") {
			t.Errorf("a crash leaves no stack: %.300s", v.log.String())
		}
		all.add("crash", []byte(v.log.String()+v.out.String()))
		if r == nil {
			damageLedger(t, filepath.Join(s.dir, "data", "ledger.db"), s.activity)
		}
		s.must("replay", s.file("week.ndjson", lines))
		v = s.serve()
		before := countsOf(t, v, s.activity)
		v.eventually("the report is sent, by the server or by this", func() error {
			if out := s.must("report", "send", "--region", "341800", "--date", todayOf(-1)); strings.Contains(out, string(reports.Busy)) {
				return errors.New(out)
			}
			return nil
		})
		s.must("report", "render", "--region", "341802", "--date", todayOf(-1), "--out", filepath.Join(s.dir, "rendered"))

		// The search.
		salt := s.salt(t)
		left := s.remains(t, p, r, all)
		all.folder(t, "outbox/", filepath.Join(s.dir, "outbox"))
		all.folder(t, "rendered/", filepath.Join(s.dir, "rendered"))
		all.add("log", []byte(v.log.String()+v.out.String()))
		places := []string{"data/archive.db", "rendered/"}
		if r != nil {
			places = []string{"redis before rollup/", "appendonly/", "spool while Redis is away/", "data/spool/tail-", "clickhouse/submissions.message", "rendered/"}
		} else {
			s.must("backup", filepath.Join(s.dir, "backup"))
			all.folder(t, "backup/", filepath.Join(s.dir, "backup"))
			places = append(places, "data/ledger.db", "backup/")
		}
		all.wants(t, message, places...)
		all.wants(t, strings.TrimSuffix(message, "到"), "data/dead-letters/") // cut short
		for _, text := range append(append([]string{}, people...), whereabouts...) {
			if found := all.has(text); found != nil {
				t.Errorf("%s is in %q", text, found)
			}
		}

		// Who has the secret and the salt can tell every seat.
		attack := attacker{secret: s.secretOf(t), activity: s.activity, roster: s.classes(t)}
		told := attack.seats(left)
		for seat := range students {
			if !told[seat] {
				t.Fatalf("seat %v took part, and the attack does not find it: it is none", seat)
			}
		}
		remembered := left

		// The purge.
		if _, err := s.canyu("purge"); err == nil || !strings.Contains(err.Error(), "is on until") {
			t.Errorf("purge while the activity is on: %v", err)
		}
		if out := s.must("purge", "--dry-run"); !strings.Contains(out, "would be destroyed") || !bytes.Equal(s.salt(t), salt) {
			t.Errorf("a dry run: %s", out)
		}
		if out := s.must("purge", "--now"); !strings.Contains(out, "purged at") {
			t.Errorf("purge: %s", out)
		}
		v.eventually("the server knows", func() error {
			status, body, err := v.get("/readyz")
			if err == nil && (status != 200 || !strings.Contains(body, "purged")) {
				err = fmt.Errorf("readyz: %d %s", status, body)
			}
			return err
		})
		if status, body := s.send(v, "/v1/participations", "application/json", s.submission(map[string]any{"seat": 3})); status != 403 || !strings.Contains(body, "purged") {
			t.Errorf("a submission: %d %s", status, body)
		}
		if after := countsOf(t, v, s.activity); after != before {
			t.Errorf("counts are %s, were %s", after, before)
		}
		s.purgedEverywhere(t, v, before)
		v.stop()

		var rest search
		v.settles("nothing of the messages is left", func() error {
			rest = s.remains(t, p, r, make(search))
			if found := rest.has(message); found != nil {
				return fmt.Errorf("the message is in %q", found)
			}
			return nil
		})
		for what, form := range map[string][]byte{"bytes": salt, "hexadecimal": []byte(hex.EncodeToString(salt)), "base64": []byte(base64.RawStdEncoding.EncodeToString(salt))} {
			for place, content := range rest {
				if bytes.Contains(content, form) {
					t.Errorf("the salt is in %s, as %s", place, what)
				}
			}
		}
		if told := attack.seats(rest); len(told) != 0 {
			t.Errorf("%d seats can be told from what is left", len(told))
		}
		// Copies of before, without the archive's salt.
		attack.salts = attack.saltsIn(rest)
		if told := attack.seats(remembered); len(told) != 0 {
			t.Errorf("%d seats can be told from the participants of before", len(told))
		}
	})
}

// remains is what the stores have.
func (s *site) remains(t *testing.T, p pair, r *redisServer, all search) search {
	t.Helper()
	left := make(search)
	left.folder(t, "data/", filepath.Join(s.dir, "data"))
	if r != nil {
		c := r.client()
		defer c.Close()
		left.redis(t, "redis/", c)
		left.folder(t, "appendonly/", filepath.Join(r.dir, "appendonlydir"))
		left.clickhouse(t, "clickhouse/", p.dsn)
	}
	for place, content := range left {
		all[place] = content
	}
	return left
}

// purgedEverywhere: what is asked of a purged activity gets a sensible answer.
func (s *site) purgedEverywhere(t *testing.T, v *server, before string) {
	t.Helper()
	if out := s.must("verify"); !strings.Contains(out, "purged at") {
		t.Errorf("verify: %s", out)
	}
	if out := s.must("purge"); !strings.Contains(out, "purged at") {
		t.Errorf("purge again: %s", out)
	}
	s.must("report", "render", "--region", "341802", "--date", todayOf(-1), "--out", filepath.Join(s.dir, "again"))
	text, err := os.ReadFile(filepath.Join(s.dir, "again", "report.json"))
	if check(t, err); strings.Contains(string(text), `"student":{"today":0,"since_last_report":0,"total":0}`) && !strings.Contains(before, `"student":0`) {
		t.Errorf("the report has nobody: %.400s", text)
	}
	admin := newVisitors(t, s)["admin"]
	for path, want := range map[string]int{
		"/a/" + s.activity:                   200,
		"/school/3418020001":                 200,
		"/school/3418020001?grade=1&class=1": 200,
		"/bureau/341802":                     200,
		"/v1/activities/" + s.activity:       200,
		"/v1/activities/" + s.activity + "/seats?school=3418020001&grade=1&class=1":                      410,
		"/v1/activities/" + s.activity + "/receipts?school=3418020001&grade=1&class=1&receipt=ABCD-EFGH": 410,
	} {
		if status, _, body := ask(t, "GET", v.url+path, admin); status != want {
			t.Errorf("%s: %d, want %d: %.200s", path, status, want, body)
		}
	}
	if _, err := s.canyu("participant", "export", "--school", "3418020001", "--grade", "1", "--class", "1", "--seat", "1"); err == nil || !strings.Contains(err.Error(), "purged") {
		t.Errorf("export: %v", err)
	}
}

// salt is the activity's, as the archive has it.
func (s *site) salt(t *testing.T) (salt []byte) {
	t.Helper()
	s.inside(t, func(_ *settings, e *engines) {
		var err error
		salt, err = e.archive.Salt(t.Context(), s.activity)
		check(t, err)
	})
	return salt
}

// inside opens the site's engines beside what runs.
func (s *site) inside(t *testing.T, do func(*settings, *engines)) {
	t.Helper()
	f := &Flags{Config: s.config}
	settings, e, err := f.open(t.Context())
	check(t, err)
	defer func() { check(t, e.close()) }()
	do(settings, e)
}

func (s *site) secretOf(t *testing.T) (secret []byte) {
	t.Helper()
	s.inside(t, func(settings *settings, _ *engines) {
		var err error
		secret, err = settings.secret()
		check(t, err)
	})
	return secret
}

func (s *site) classes(t *testing.T) (roster *canyu.Roster) {
	t.Helper()
	s.inside(t, func(_ *settings, e *engines) {
		var err error
		roster, err = e.archive.Roster(t.Context())
		check(t, err)
	})
	return roster
}

// damageLedger puts a copy of an entry into the embedded ledger's log, cut short.
func damageLedger(t *testing.T, path, activity string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	check(t, err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), `insert into log (activity, size, before, outcomes, payload)
		select activity, size, before, outcomes, substr(payload, 1, length(payload) - 1) from log where activity = ? limit 1`, activity)
	check(t, err)
}

// settles waits for what is true soon after a server has ended.
func (v *server) settles(what string, f func() error) {
	v.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pauseABit() {
		if err = f(); err == nil {
			return
		}
	}
	v.t.Errorf("%s: %v", what, err)
}
