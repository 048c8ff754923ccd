package redisledger

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

var (
	//go:embed counts.lua
	countsLua string
	counts    = redis.NewScript(countsLua)
)

// countsAtOnce bounds a call, so that reading a province's classes never keeps a
// batch waiting for long: 1,000 sets take Redis some 0.3 ms.
const countsAtOnce = 250

// Counts implements canyu.Ledger.
func (l *Ledger) Counts(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Tally, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return nil, err
	}
	tallies := make([]canyu.Tally, len(classes))
	for from := 0; from < len(classes); from += countsAtOnce {
		to := min(from+countsAtOnce, len(classes))
		if err := l.count(ctx, prefixes, classes[from:to], tallies[from:to]); err != nil {
			return nil, err
		}
	}
	return tallies, nil
}

func (l *Ledger) count(ctx context.Context, prefixes []string, classes []canyu.Class, tallies []canyu.Tally) error {
	keys := make([][]string, len(prefixes)) // by shard
	for _, c := range classes {
		s := shardOf(c.School, l.shards)
		if keys[s] == nil {
			keys[s] = []string{prefixes[s] + "epoch"}
		}
		for _, r := range canyu.Roles {
			keys[s] = append(keys[s], setKey(prefixes[s], c, r))
		}
	}
	var calls []*redis.Cmd
	var of []int // shard of each
	for s := range keys {
		if keys[s] != nil {
			calls, of = append(calls, call(ctx, "evalsha_ro", counts, keys[s])), append(of, s)
		}
	}
	l.run(ctx, countsLua, calls, 0)
	if err := l.firstError(ctx, calls); err != nil {
		return fmt.Errorf("cannot count: %w", err)
	}
	replies := make([]string, len(prefixes))
	for i, c := range calls {
		reply, err := c.Text()
		if err != nil {
			return fmt.Errorf("cannot count: %w", err)
		}
		if reply == "LOST" {
			return canyu.ErrLost
		}
		replies[of[i]] = reply
	}
	for i, c := range classes {
		reply := &replies[shardOf(c.School, l.shards)]
		for _, r := range canyu.Roles {
			n, rest, _ := strings.Cut(*reply, " ")
			*reply = rest
			var err error
			if tallies[i][r], err = strconv.Atoi(n); err != nil {
				return fmt.Errorf("cannot count: %w", err)
			}
		}
	}
	return nil
}

// Participants implements canyu.Ledger.
func (l *Ledger) Participants(ctx context.Context, activity string, class canyu.Class, role canyu.Role) ([]canyu.Participant, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return nil, err
	}
	prefix := prefixes[shardOf(class.School, l.shards)]
	pipe := l.rdb.Pipeline()
	mark := pipe.Exists(ctx, prefix+"epoch")
	set := pipe.SMembers(ctx, setKey(prefix, class, role))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("cannot read the participants of a class: %w", err)
	}
	if mark.Val() == 0 {
		return nil, canyu.ErrLost
	}
	members, err := participants(set)
	if err != nil {
		return nil, fmt.Errorf("cannot read the participants of a class: %w", err)
	}
	return members, nil
}

func setKey(prefix string, c canyu.Class, r canyu.Role) string {
	return string(appendSetKey(make([]byte, 0, 64), prefix, c, r))
}

func appendSetKey(b []byte, prefix string, c canyu.Class, r canyu.Role) []byte {
	var room [20]byte
	school := strconv.AppendUint(room[:0], uint64(c.School), 10)
	b = append(b, prefix...)
	b = append(b, "0000000000"[min(len(school), 10):]...)
	b = append(b, school...)
	b = strconv.AppendUint(append(b, '/'), uint64(c.Grade), 10)
	b = strconv.AppendUint(append(b, '/'), uint64(c.Number), 10)
	return strconv.AppendUint(append(b, '/'), uint64(r), 10)
}
