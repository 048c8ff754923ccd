package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The measurements of canyu loadtest, as small as they can be: each starts its servers,
// reconciles, prints a table and ends.
func TestLoadtestMeasures(t *testing.T) {
	t.Parallel()
	if os.Getenv("CANYU_TEST_CLICKHOUSE") == "" {
		t.Fatal("needs ClickHouse: set CANYU_TEST_CLICKHOUSE, or run make test")
	}
	script := filepath.Join(t.TempDir(), "canyu")
	text := fmt.Sprintf("#!/bin/sh\nCANYU_TEST_IS_CANYU=1 exec '%s' \"$@\"\n", program(t, false))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	f := func(args string, want ...string) {
		t.Run(strings.Fields(args)[0], func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			all := append([]string{"loadtest"}, strings.Fields(args)...)
			if err := run(t.Context(), append(all, "--program", script), &out, &out); err != nil {
				t.Fatalf("%s: %v", args, err)
			}
			for _, w := range want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%s: no %q in\n%s", args, w, out.String())
				}
			}
		})
	}
	quick := " --patience 0s --rounds 1 --round 200ms --warmup 50ms --connections 8"
	f("national --engine embedded --participants 3000 --quiet", "| arrays of 100 | 3,000", "60 classes in", "no difference")
	f("national --engine redis+clickhouse --participants 300 --array 0 --quiet", "| each for himself | 300", "no difference")
	f("latency --engines bare,embedded,redis+clickhouse --flood 100ms --duration 1s --rounds 1 --marks 3 --share 0.05 --connections 8 --patience 0s",
		"click → archive", "| bare ", "| embedded ", "| redis+clickhouse ")
	f("viewers --viewers 4 --schools 2 --apart 0 --rate 50 --rounds 1 --round 2s --warmup 200ms --connections 8 --patience 0s", "| 50/s ", "KiB of memory for each viewer", "with ÷ without")
	f("goals --parts memory,national --rounds 1 --kept 2000 --participants 2000 --patience 0s", "for each of 2,000 participants", "| national campaign, 2,000 participants")
	f("bench --rows bare,redis,redis+clickhouse --schools 200"+quick, "| redis ", "| redis+clickhouse ", "no difference")
	f("growth --tables schools,batch,reports --engines embedded --schools 1,3 --batch 1,8 --reports 2 --quiet"+quick,
		"### Schools: embedded", "| 3, ", "### Commits and load: embedded", "### Report and verify: embedded", "| 60 ")
	f("growth --tables participants,two,memory,endurance --engines redis+clickhouse --sizes 2000 --memory 1000,2000 --rate 100 --endure 1s --quiet"+quick,
		"### Endurance: redis+clickhouse, 100 submissions a second", "| empty ", "| 2,000 ", "| two ", "### Memory and disk: redis+clickhouse", "Redis used_memory")
}
