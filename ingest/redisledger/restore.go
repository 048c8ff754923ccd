package redisledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// restoreAtOnce is how many participants go into one call of Restore's script.
const restoreAtOnce = 2000

// restoreLua adds participants and counts those that were not there, so that what a
// ledger still had, or an earlier try has added, is counted once.
//
// KEYS 1 ordinals given   2… sets       ARGV for each set: how many, and who
const restoreLua = `local added, at = 0, 1
for i = 2, #KEYS do
  local n = tonumber(ARGV[at])
  added = added + redis.call('SADD', KEYS[i], unpack(ARGV, at + 1, at + n))
  at = at + n + 1
end
return redis.call('INCRBY', KEYS[1], added)`

// raiseLua goes on numbering behind the last ordinal that the archive knows; the gap
// are those that nobody has any more.
const raiseLua = `local n = tonumber(redis.call('GET', KEYS[1]) or '0')
local gap = tonumber(ARGV[1]) - n
if gap > 0 then redis.call('INCRBY', KEYS[1], gap) redis.call('INCRBY', KEYS[2], gap) end
return gap`

var restoreScript, raise = redis.NewScript(restoreLua), redis.NewScript(raiseLua)

// Restore implements canyu.Ledger. A ledger of which one shard has lost its data has lost
// it as a whole: what the others have stays, without their marks.
func (l *Ledger) Restore(ctx context.Context, activity, epoch, fingerprint string, participants iter.Seq2[canyu.Recorded, error], progress func(int)) error {
	if mark, err := l.Epoch(ctx, activity); err != nil || mark != "" {
		if err == nil {
			err = fmt.Errorf("the ledger of %s is whole, in epoch %s: nothing to restore", activity, mark)
		}
		return err
	}
	if err := l.Unmark(ctx, activity); err != nil {
		return err
	}
	prefixes, err := l.divide(ctx, activity)
	if err != nil {
		return err
	}
	n, last := 0, uint64(0)
	sets := make(map[setID][]any)
	for r, err := range participants {
		if err != nil {
			return fmt.Errorf("cannot read the archive: %w", err)
		}
		id := setID{r.Class, r.Role}
		sets[id] = append(sets[id], uint64(r.Participant))
		last = max(last, r.Ordinal)
		if n++; n%restoreAtOnce == 0 {
			if err := l.addSets(ctx, prefixes, sets); err != nil {
				return err
			}
			if progress != nil {
				progress(n)
			}
		}
	}
	if err := l.addSets(ctx, prefixes, sets); err != nil {
		return err
	}
	if err := l.goOn(ctx, prefixes, last); err != nil {
		return err
	}
	if progress != nil {
		progress(n)
	}
	mark, err := l.mark(ctx, prefixes, "", epoch, fingerprint)
	if err == nil && mark != epoch {
		err = errors.New("another process has marked the ledger meanwhile")
	}
	return err
}

// addSets empties sets into Redis.
func (l *Ledger) addSets(ctx context.Context, prefixes []string, sets map[setID][]any) error {
	keys, args := make([][]string, len(prefixes)), make([][]any, len(prefixes)) // by shard
	for id, members := range sets {
		s := shardOf(id.class.School, l.shards)
		if keys[s] == nil {
			keys[s] = []string{prefixes[s] + "n"}
		}
		keys[s] = append(keys[s], setKey(prefixes[s], id.class, id.role))
		args[s] = append(append(args[s], len(members)), members...)
	}
	clear(sets)
	var calls []*redis.Cmd
	for s := range keys {
		if keys[s] != nil {
			calls = append(calls, call(ctx, "evalsha", restoreScript, keys[s], args[s]...))
		}
	}
	l.run(ctx, restoreLua, calls, 0)
	if err := l.firstError(ctx, calls); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	return nil
}

// goOn has every shard number on behind the last ordinal that was given, also where it
// was given when there was another number of shards.
func (l *Ledger) goOn(ctx context.Context, prefixes []string, last uint64) error {
	of := uint64(len(prefixes))
	var calls []*redis.Cmd
	for _, p := range prefixes {
		calls = append(calls, call(ctx, "evalsha", raise, []string{p + "n", p + "gap"}, (last+of-1)/of))
	}
	l.run(ctx, raiseLua, calls, 0)
	if err := l.firstError(ctx, calls); err != nil {
		return fmt.Errorf("cannot restore the ordinals: %w", err)
	}
	return nil
}
