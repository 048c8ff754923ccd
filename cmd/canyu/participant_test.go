package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// One participant is exported and erased: rows, messages, place in the ledger. The
// others stay, everything agrees, and a ledger that is rebuilt has the same.
func TestParticipant(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, p pair, r *redisServer) {
		const message, parents = "这一句是座号五的", "这一句是家长的"
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		s.seats(v, 1, 4, 201)
		for _, fields := range []map[string]any{
			{"seat": 5, "message": message},
			{"seat": 5, "message": message + "又"},
			{"seat": 5, "role": "parent", "name": "张　伟", "message": parents},
		} {
			fields["grade"], fields["class"] = 1, 1
			if status, body := v.post("application/json", s.submission(fields)); status >= 300 {
				t.Fatalf("%d %s", status, body)
			}
		}
		who := []string{"--school", "3418020001", "--grade", "1", "--class", "1", "--seat", "5"}
		export := func(more ...string) (x exported) {
			t.Helper()
			check(t, json.Unmarshal([]byte(s.must(append(append([]string{"participant", "export"}, who...), more...)...)), &x))
			return x
		}
		if x := export(); len(x.Submissions) != 2 {
			t.Errorf("export right after taking part: %+v", x)
		}
		if p.dsn == "" { // the embedded ledger is the server's
			if _, err := s.canyu(append([]string{"participant", "erase"}, who...)...); err == nil {
				t.Error("erased beside the server that holds the ledger")
			}
			v.stop()
		}
		x := export()
		if !x.Ledger || x.CountedAt == "" || x.Ordinal != 5 || len(x.Submissions) != 2 || x.Receipt == "" ||
			!slices.ContainsFunc(x.Submissions, func(s *exportedSubmission) bool { return s.Message == message }) { // one millisecond has both at times
			t.Errorf("export: %+v", x)
		}
		if x := export("--role", "parent", "--name", "张伟"); !x.Ledger || len(x.Submissions) != 1 || x.Submissions[0].Message != parents {
			t.Errorf("export of a parent: %+v", x)
		}
		if x := export("--role", "parent", "--name", "李娜"); x.Ledger || len(x.Submissions) != 0 {
			t.Errorf("export of nobody: %+v", x)
		}
		if _, err := s.canyu(append([]string{"participant", "export", "--role", "parent"}, who...)...); err == nil || !strings.Contains(err.Error(), "told by the name") {
			t.Errorf("a parent without a name: %v", err)
		}
		if out := s.must(append([]string{"participant", "erase"}, who...)...); !strings.Contains(out, "counted true, 2 submissions, 2 messages") {
			t.Errorf("erase: %s", out)
		}
		if x := export(); x.Ledger || x.CountedAt != "" || len(x.Submissions) != 0 {
			t.Errorf("left: %+v", x)
		}
		if x := export("--role", "parent", "--name", "张伟"); !x.Ledger || len(x.Submissions) != 1 {
			t.Errorf("the parent is gone too: %+v", x)
		}
		if out := s.must(append([]string{"participant", "erase"}, who...)...); !strings.Contains(out, "nothing is stored") {
			t.Errorf("erased twice: %s", out)
		}
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
		if p.dsn != "" {
			s.awaitStudents(v, 4)
			v.stop()
		}
		if found := s.remains(t, p, r, make(search)).has(message); p.dsn == "" && found != nil {
			t.Errorf("the message is in %q", found)
		}

		// Lost and rebuilt.
		if r != nil {
			r.kill()
			check(t, os.RemoveAll(filepath.Join(r.dir, "appendonlydir")))
			r.start()
			check(t, os.RemoveAll(filepath.Join(s.dir, "data", "spool"))) // or the node gives back what it recorded last
		} else {
			for _, end := range []string{"", "-wal", "-shm"} {
				check(t, os.RemoveAll(filepath.Join(s.dir, "data", "ledger.db"+end)))
			}
		}
		if out := s.must("rebuild"); !strings.Contains(out, "restored, 5 participants") {
			t.Errorf("rebuild: %s", out)
		}
		v = s.serve()
		s.awaitStudents(v, 4)
		s.seats(v, 4, 4, 200)
		s.seats(v, 5, 5, 201) // and may come again
		s.awaitStudents(v, 5)
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
	})
}
