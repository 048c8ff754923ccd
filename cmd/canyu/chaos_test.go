package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest/chaos"
)

// Ten kills and some of every other fault, on servers of its own: nothing is lost,
// nothing counts twice. make chaos does the same for longer.
func TestChaos(t *testing.T) {
	t.Parallel()
	for _, pair := range []chaos.Pair{chaos.Embedded, chaos.Distributed} {
		t.Run(string(pair), func(t *testing.T) {
			t.Parallel()
			res, err := chaos.Run(t.Context(), chaos.Options{
				Canyu: program(t, true), Env: []string{"CANYU_TEST_IS_CANYU=1"}, Pair: pair,
				Seed: 6, Duration: 8 * time.Second, Kills: 5, Clients: 16, Rate: 800, Patience: time.Minute,
			})
			if err != nil && !errors.Is(err, chaos.ErrDifference) {
				t.Fatal(err)
			}
			var text strings.Builder
			res.Write(&text)
			if err != nil {
				t.Errorf("%v\n%s", err, text.String())
			}
			if res.Acknowledged < 100 || res.Participants == 0 || res.Looks == 0 {
				t.Errorf("too little happened:\n%s", text.String())
			}
			t.Log("\n" + text.String())
		})
	}
}

// TestOutage is ClickHouse away under load in short: the archive catches up, exactly.
// With --outage clickhouse=10m it is the real thing,
// which wants a lag of five seconds; a machine that runs all tests at once gets more.
func TestOutage(t *testing.T) {
	t.Parallel()
	res, err := chaos.Run(t.Context(), chaos.Options{
		Canyu: program(t, false), Env: []string{"CANYU_TEST_IS_CANYU=1"}, Pair: chaos.Distributed,
		Seed: 7, Outage: &chaos.Outage{Of: "clickhouse", For: 8 * time.Second, Lag: 20 * time.Second}, Clients: 8, Rate: 300, Patience: time.Minute,
	})
	if err != nil && !errors.Is(err, chaos.ErrDifference) {
		t.Fatal(err)
	}
	var text strings.Builder
	res.Write(&text)
	if err != nil || res.Outage.Most < 300 || res.Outage.Oldest < 7*time.Second || res.Outage.Back == 0 {
		t.Errorf("%v\n%s", err, text.String())
	}
	t.Log("\n" + text.String())
}
