package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// What shards cost, as small as it can be measured: a cluster is made, a replica followed,
// and two processes write to one ledger.
func TestLoadtestShards(t *testing.T) {
	t.Parallel()
	if os.Getenv("CANYU_TEST_CLICKHOUSE") == "" {
		t.Fatal("needs ClickHouse: set CANYU_TEST_CLICKHOUSE, or run make test")
	}
	p, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	args := strings.Fields("loadtest growth --tables shards --shards 2 --masters 2 --processes 1 --quiet --patience 0s --rounds 1 --round 3s --warmup 50ms --connections 8 --program " + p)
	if err := run(t.Context(), args, &out, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 1 Redis, 2 shards, 1 ingest ", "| 1 Redis + 1 replica, 1 shards, 1 ingest ", "| cluster of 2, 2 shards, 2 ingest ", "- masters: 2, each with a core: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
