package redisledger_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgertest"
	"github.com/canyu/canyu/ingest/redisledger"
)

func url(t *testing.T) string {
	t.Helper()
	u := os.Getenv("CANYU_TEST_REDIS")
	if u == "" {
		t.Fatal("needs a Redis with appendfsync always: set CANYU_TEST_REDIS=redis://127.0.0.1:6379/0, or run make test")
	}
	return u
}

// store is where a test keeps its ledger.
type store struct {
	url     string
	masters []*redis.Client
}

// the Redis that all tests share, as a store for url.
func shared(t *testing.T, parameters string) *store {
	t.Helper()
	o, err := redis.ParseURL(url(t))
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return &store{url: url(t) + parameters, masters: []*redis.Client{c}}
}

func client(t *testing.T) *redis.Client {
	t.Helper()
	return shared(t, "").masters[0]
}

func (s *store) open(t *testing.T) canyu.Ledger {
	t.Helper()
	l, err := redisledger.Open(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// keys are those of an activity, by the master that has them.
func (s *store) keys(t *testing.T, activity string) map[*redis.Client][]string {
	t.Helper()
	keys, n := make(map[*redis.Client][]string), 0
	for _, c := range s.masters {
		for _, pattern := range []string{"canyu{" + activity + "/*", "canyu/shards/" + activity} {
			some, err := c.Keys(t.Context(), pattern).Result()
			if err != nil {
				t.Fatal(err)
			}
			keys[c] = append(keys[c], some...)
			n += len(some)
		}
	}
	if n == 0 {
		t.Fatal("nothing is kept of the activity")
	}
	return keys
}

// lose deletes the keys of one activity, as FLUSHALL would.
func (s *store) lose(t *testing.T, activity string) {
	t.Helper()
	for c, keys := range s.keys(t, activity) {
		for _, key := range keys {
			if err := c.Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// damage cuts a log entry short. A stream entry cannot be changed: all of them are
// written again, under their names.
func (s *store) damage(t *testing.T, activity, position string) {
	t.Helper()
	for c, keys := range s.keys(t, activity) {
		for _, key := range keys {
			if strings.HasSuffix(key, "}log") {
				damageLog(t, c, key, position)
			}
		}
	}
}

func damageLog(t *testing.T, c *redis.Client, log, position string) {
	t.Helper()
	entries, err := c.XRange(t.Context(), log, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	pipe := c.TxPipeline()
	pipe.Del(t.Context(), log)
	for _, e := range entries {
		if e.ID == position {
			e.Values["p"] = e.Values["p"].(string)[:10]
		}
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: log, ID: e.ID, Values: e.Values})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *store) contract(t *testing.T) {
	ledgertest.Test(t, func(t *testing.T) ledgertest.Engine {
		return ledgertest.Engine{Open: s.open, Lose: s.lose, Damage: s.damage}
	})
}

func TestContract(t *testing.T) {
	shared(t, "").contract(t)
}

func TestContractOfFourShards(t *testing.T) {
	shared(t, "?shards=4").contract(t)
}

func open(t *testing.T) canyu.Ledger { return shared(t, "").open(t) }

func lose(t *testing.T, activity string) { shared(t, "").lose(t, activity) }

// A Redis that is emptied under an open ledger is noticed by the next batch, also
// where it forgot the script.
func TestEmptiedWhileOpen(t *testing.T) {
	t.Parallel()
	activity := "emptied-" + t.Name()
	l := open(t)
	defer l.Close()
	epoch, err := l.Begin(t.Context(), activity, "", "key")
	if err != nil {
		t.Fatal(err)
	}
	b := &canyu.Batch{Activity: activity, Epoch: epoch, Writer: "w", Sequence: 1, Participations: []canyu.Participation{
		{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Role: canyu.Student, Participant: 1}}}
	if err := l.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	lose(t, activity)
	if err := client(t).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	b.Sequence++
	if err := l.Record(t.Context(), b); !errors.Is(err, canyu.ErrLost) {
		t.Fatalf("an emptied Redis counts: %v, want ErrLost", err)
	}
}

// The sets stay intsets: anything else costs six times the memory.
func TestSetsAreIntsets(t *testing.T) {
	t.Parallel()
	activity := "intset-" + t.Name()
	l := open(t)
	defer l.Close()
	epoch, err := l.Begin(t.Context(), activity, "", "key")
	if err != nil {
		t.Fatal(err)
	}
	b := &canyu.Batch{Activity: activity, Epoch: epoch, Writer: "w", Sequence: 1}
	for i := range 60 {
		b.Participations = append(b.Participations, canyu.Participation{
			Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Role: canyu.Student,
			Participant: canyu.Participant(1<<63 - 1 - i)})
	}
	if err := l.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	encoding, err := client(t).ObjectEncoding(t.Context(), "canyu{"+activity+"/0}3418020001/3/2/1").Result()
	if err != nil || encoding != "intset" {
		t.Fatalf("encoding %q, %v; want intset", encoding, err)
	}
	lose(t, activity)
}
