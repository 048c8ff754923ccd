package redisledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// purgeAtOnce is how many keys are looked at, and destroyed, at once.
const purgeAtOnce = 1000

// Purge implements canyu.Ledger. The mark goes first: nothing is recorded while the
// rest follows. The number of shards goes last: until then the purge can be repeated.
func (l *Ledger) Purge(ctx context.Context, activity string) error {
	if err := l.Unmark(ctx, activity); err != nil {
		return err
	}
	err := l.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		keys := c.Scan(ctx, 0, "canyu{"+activity+"/*", purgeAtOnce).Iterator()
		pipe := c.Pipeline() // of single keys: those of two slots are not taken in one command
		for keys.Next(ctx) {
			if pipe.Unlink(ctx, keys.Val()); pipe.Len() == purgeAtOnce {
				if _, err := pipe.Exec(ctx); err != nil {
					return err
				}
			}
		}
		err := keys.Err()
		if err == nil && pipe.Len() > 0 {
			_, err = pipe.Exec(ctx)
		}
		return err
	})
	if err == nil {
		err = l.rdb.Del(ctx, shardsKey(activity)).Err()
	}
	if err != nil {
		return fmt.Errorf("cannot purge the ledger: %w", err)
	}
	l.forget(activity)
	return l.Scrub(ctx, activity)
}

// Scrub implements canyu.Ledger: the append-only file is written anew, in Redis' own
// time. Where that is refused (it is at it already, or the service does not let us) the
// file has what was until its next rewrite; so has that of a replica that is away.
func (l *Ledger) Scrub(ctx context.Context, _ string) error {
	rewrite := func(ctx context.Context, c *redis.Client) error {
		var refused redis.Error
		if err := c.BgRewriteAOF(ctx).Err(); err != nil && !errors.As(err, &refused) {
			return err
		}
		return nil
	}
	if err := l.eachMaster(ctx, rewrite); err != nil {
		return fmt.Errorf("cannot rewrite the append-only file: %w", err)
	}
	_ = l.eachReplica(ctx, rewrite)
	return nil
}

// eraseScript keeps Total what the sets hold: an ordinal without a participant is a gap.
var eraseScript = redis.NewScript(`if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local n = redis.call('SREM', KEYS[2], ARGV[1])
if n == 1 then redis.call('INCR', KEYS[3]) end
return n`)

// Erase implements canyu.Ledger.
func (l *Ledger) Erase(ctx context.Context, activity string, class canyu.Class, role canyu.Role, p canyu.Participant) (bool, error) {
	if mark, err := l.Epoch(ctx, activity); err != nil || mark == "" {
		return false, cmp.Or(err, canyu.ErrLost)
	}
	shard := shardOf(class.School, l.shards)
	log, err := l.Log(ctx, activity, shard, "", 1<<30)
	if err != nil {
		return false, err
	}
	for _, e := range log {
		for i := range e.Recorded {
			if r := &e.Recorded[i]; r.Class == class && r.Role == role && r.Participant == p {
				return false, canyu.ErrPending
			}
		}
	}
	prefix := l.layout(activity).prefixes[shard]
	keys := []string{prefix + "epoch", setKey(prefix, class, role), prefix + "gap"}
	n, err := eraseScript.Run(ctx, l.rdb, keys, strconv.FormatUint(uint64(p), 10)).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("cannot erase a participant: %w", err)
	case n < 0:
		return false, canyu.ErrLost
	}
	return n == 1, nil
}
