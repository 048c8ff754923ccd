package main

import (
	"errors"
	"os"
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
				Canyu: os.Args[0], Env: []string{"CANYU_TEST_IS_CANYU=1"}, Pair: pair,
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
			if res.Acknowledged < 300 || res.Participants == 0 || res.Looks == 0 {
				t.Errorf("too little happened:\n%s", text.String())
			}
			t.Log("\n" + text.String())
		})
	}
}
