package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest/chaos"
)

// Redis as a cluster and under sentinels, a master lost and slots moved under load:
// nothing is lost, nothing counts twice. With CANYU_TEST_SLOW every Redis is restarted
// as well, and for longer; canyu loadtest chaos --redis is the real thing.
func TestChaosRedis(t *testing.T) {
	t.Parallel()
	duration, faults := 4*time.Second, []chaos.Fault{chaos.Failover, chaos.Reshard}
	if os.Getenv("CANYU_TEST_SLOW") != "" {
		duration, faults = time.Minute, append(faults, chaos.Kill, chaos.Rolling)
	}
	for _, topology := range []chaos.Topology{chaos.Cluster, chaos.Sentinel} {
		t.Run(string(topology), func(t *testing.T) {
			t.Parallel()
			res, err := chaos.Run(t.Context(), chaos.Options{
				Canyu: program(t, false), Env: []string{"CANYU_TEST_IS_CANYU=1"}, Pair: chaos.Distributed, Redis: topology, Faults: faults,
				Seed: 1, Duration: duration, Kills: 8, Clients: 8, Rate: 400, Patience: time.Minute,
			})
			if err != nil && !errors.Is(err, chaos.ErrDifference) {
				t.Fatal(err)
			}
			var text strings.Builder
			res.Write(&text)
			if err != nil {
				t.Errorf("%v\n%s", err, text.String())
			}
			if res.Acknowledged < 100 || res.Looks == 0 || res.Moves.Masters == 0 || topology == chaos.Cluster && res.Moves.Keys == 0 {
				t.Errorf("too little happened:\n%s", text.String())
			}
			t.Log("\n" + text.String())
		})
	}
}
