package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest/chaos"
)

// A harness that finds nothing proves nothing. Each test here builds a canyu that
// breaks one promise, in a way that somebody could break it by mistake, and wants to
// be told. The product has no switches for this: its text is replaced, for one build.

// edit replaces a text that must be there, everywhere in one file.
type edit struct{ file, old, new string }

// broken builds canyu with edits laid over its source.
func broken(t *testing.T, edits ...edit) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for i, e := range edits {
		path := filepath.Join(root, e.file)
		from := path
		if earlier, ok := overlay.Replace[path]; ok {
			from = earlier
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), e.old) {
			t.Fatalf("%s has changed, it does not say %q any more: break it in another way", e.file, e.old)
		}
		to := filepath.Join(dir, string(rune('a'+i))+filepath.Ext(e.file))
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), e.old, e.new)), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = to
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "canyu")
	cmd := exec.Command("go", "build", "-overlay", config, "-ldflags=-s -w", "-o", program, "./cmd/canyu")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	return program
}

// found runs chaos and wants a difference of the kind. On a machine too busy for a
// fault to meet what is broken, the next seed may.
func found(t *testing.T, kind string, o chaos.Options) {
	t.Helper()
	o.Clients, o.Rate = 16, 1000
	o.Patience = 15 * time.Second // a ledger that lost its data settles before it is counted
	var text strings.Builder
	for o.Seed = 1; o.Seed <= 3; o.Seed++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		res, err := chaos.Run(ctx, o)
		cancel()
		if err != nil && !errors.Is(err, chaos.ErrDifference) {
			t.Fatal(err)
		}
		os.RemoveAll(res.Dir)
		res.Write(&text)
		if res.Found["setup"] > 0 {
			t.Errorf("the faults did not happen as planned:\n%s", text.String())
		}
		if res.Found[kind] > 0 {
			t.Logf("seed %d found %v", o.Seed, res.Found)
			return
		}
	}
	t.Fatalf("nothing of kind %q was found:\n%s", kind, text.String())
}

// A library that repeats what had no answer, and no guard in the ledger.
func TestFindsMissingGuard(t *testing.T) {
	t.Parallel()
	found(t, "never", chaos.Options{
		Canyu: broken(t,
			edit{"ingest/redisledger/record.lua", "if sequence == ARGV[2] then", "if false then"},
			edit{"ingest/redisledger/record.lua", "if tonumber(sequence) > tonumber(ARGV[2]) then return 'STALE' end", ""},
			edit{"ingest/redisledger/address.go", "o.ContextTimeoutEnabled = -1,", "o.ContextTimeoutEnabled = 3,"}),
		Pair: chaos.Distributed, Duration: 5 * time.Second,
		Faults: []chaos.Fault{chaos.Network}, Edge: "ingest → redis",
		Modes: []chaos.Mode{chaos.LostReply, chaos.LostReply, chaos.LostReply, chaos.LostReply, chaos.LostReply, chaos.LostReply, chaos.LostReply, chaos.LostReply},
	})
}

// Redis answers before the disk has it, and nobody minds.
func TestFindsMissingSync(t *testing.T) {
	t.Parallel()
	found(t, "lost", chaos.Options{
		Canyu: broken(t, edit{"ingest/redisledger/nodes.go", `"appendfsync": "always", `, ""}),
		Fsync: "no",
		Pair:  chaos.Distributed, Duration: 5 * time.Second, Faults: []chaos.Fault{chaos.Blackout},
	})
}

// The embedded ledger commits now and then.
func TestFindsAcknowledgementBeforeCommit(t *testing.T) {
	t.Parallel()
	found(t, "lost", chaos.Options{
		Canyu: broken(t,
			edit{"ingest/embeddedledger/record.go", "if _, err := l.stmts.begin.ExecContext(ctx); err != nil {",
				"if begun {\n\t} else if _, err := l.stmts.begin.ExecContext(ctx); err != nil {"},
			edit{"ingest/embeddedledger/record.go", "_, err = l.stmts.commit.ExecContext(ctx)",
				"if begun = time.Since(committed) < time.Second; !begun {\n\t\t\tcommitted = time.Now()\n\t\t\t_, err = l.stmts.commit.ExecContext(ctx)\n\t\t}"},
			edit{"ingest/embeddedledger/record.go", "func ordinal(", "var begun bool\n\nvar committed time.Time\n\nfunc ordinal("}),
		Pair: chaos.Embedded, Duration: 5 * time.Second, Kills: 4, Faults: []chaos.Fault{chaos.Kill},
	})
}

// The archive keeps every row that it is given.
func TestFindsMissingDeduplication(t *testing.T) {
	t.Parallel()
	found(t, "archive", chaos.Options{
		Canyu: broken(t,
			edit{"rollup/clickhousearchive/migrations/0001_archive.sql", "ENGINE = ReplacingMergeTree(earliest)", "ENGINE = MergeTree"},
			edit{"rollup/clickhousearchive/rollup.go", " FINAL", ""},
			edit{"rollup/clickhousearchive/participation.go", " FINAL", ""}),
		Pair: chaos.Distributed, Duration: 5 * time.Second, Faults: []chaos.Fault{chaos.Network},
		Modes: []chaos.Mode{chaos.LostReply}, Edge: "rollup → clickhouse",
	})
}
