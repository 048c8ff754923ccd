package redisledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// membersAtOnce bounds a pipeline, so that a batch never waits for long behind it.
const membersAtOnce = 50

// Members implements canyu.Ledger.
func (l *Ledger) Members(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Members, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return nil, err
	}
	all := make([]canyu.Members, 0, len(classes))
	for some := range slices.Chunk(classes, membersAtOnce) {
		pipe := l.rdb.Pipeline()
		marks := make(map[int]*redis.IntCmd) // by shard
		sets := make([]*redis.StringSliceCmd, 0, len(some)*len(canyu.Roles))
		for _, c := range some {
			s := shardOf(c.School, l.shards)
			if marks[s] == nil {
				marks[s] = pipe.Exists(ctx, prefixes[s]+"epoch")
			}
			for _, r := range canyu.Roles {
				sets = append(sets, pipe.SMembers(ctx, setKey(prefixes[s], c, r)))
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("cannot read the participants of classes: %w", err)
		}
		for _, mark := range marks {
			if mark.Val() == 0 {
				return nil, canyu.ErrLost
			}
		}
		for i := range some {
			var of canyu.Members
			for j, r := range canyu.Roles {
				if of[r], err = participants(sets[i*len(canyu.Roles)+j]); err != nil {
					return nil, fmt.Errorf("cannot read the participants of class %s: %w", some[i], err)
				}
			}
			all = append(all, of)
		}
	}
	return all, nil
}

// participants are the members of a set, ascending.
func participants(set *redis.StringSliceCmd) ([]canyu.Participant, error) {
	var all []canyu.Participant
	for _, text := range set.Val() {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, canyu.Participant(n))
	}
	slices.Sort(all) // an intset is sorted already, a larger set is not
	return all, nil
}
