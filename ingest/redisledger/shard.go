package redisledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// ErrShards: the ledger was begun with another number of shards than the address says.
// Nothing is lost, and nothing is counted until they agree.
var ErrShards = errors.New("the ledger is divided otherwise")

// slots is how many a Redis cluster has.
const slots = 16384

// layout is where the ledger of an activity is.
type layout struct {
	prefixes []string    // how the keys of each shard begin
	agreed   atomic.Bool // it was begun with as many
}

func shardsKey(activity string) string { return "canyu/shards/" + activity }

func prefix(tag string) string { return "canyu{" + tag + "}" }

// tag is what the keys of a shard have in common. Of several shards each has a tag in
// its part of the slots, so that they lie evenly on as many masters. It may never change.
func tag(activity string, shard, shards int) string {
	if shards == 1 {
		return activity + "/0"
	}
	first := activity + "/" + strconv.Itoa(shards) + "." + strconv.Itoa(shard)
	t := first
	for i := 1; slot(t)*shards/slots != shard; i++ {
		t = first + "." + strconv.Itoa(i)
	}
	return t
}

// slot is that of a hash tag in a Redis cluster: CRC-16/XMODEM.
func slot(tag string) int {
	var crc uint16
	for i := range len(tag) {
		x := byte(crc>>8) ^ tag[i]
		x ^= x >> 4
		crc = crc<<8 ^ uint16(x)<<12 ^ uint16(x)<<5 ^ uint16(x)
	}
	return int(crc) % slots
}

// shardOf is where all classes of a school are: neighbours have codes in a row, so they
// are mixed (by the end of SplitMix64). It may never change.
func shardOf(school canyu.SchoolCode, shards int) int {
	x := uint64(school)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(shards)) //nolint:gosec // below shards
}

// Shards implements canyu.Ledger.
func (l *Ledger) Shards() int { return l.shards }

func (l *Ledger) layout(activity string) *layout {
	l.mu.Lock()
	defer l.mu.Unlock()
	y := l.layouts[activity]
	if y == nil {
		y = &layout{prefixes: make([]string, l.shards)}
		for s := range y.prefixes {
			y.prefixes[s] = prefix(tag(activity, s, l.shards))
		}
		l.layouts[activity] = y
	}
	return y
}

// forget is told that an activity may begin anew, with another number.
func (l *Ledger) forget(activity string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.layouts, activity)
}

// where is how the keys of each shard begin; ErrShards where there are not as many.
func (l *Ledger) where(ctx context.Context, activity string) ([]string, error) {
	y := l.layout(activity)
	if y.agreed.Load() {
		return y.prefixes, nil
	}
	n, err := l.begunWith(ctx, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read the number of shards: %w", err)
	}
	if n != 0 && n != l.shards {
		return nil, fmt.Errorf("activity %s: %w: it was begun with shards=%d, and the address says shards=%d: set that back to %d", activity, ErrShards, n, l.shards, n)
	}
	y.agreed.Store(n != 0)
	return y.prefixes, nil
}

// begunWith is how many shards the activity has, 0 where it has not begun. Before there
// could be several, it was not written down.
func (l *Ledger) begunWith(ctx context.Context, activity string) (int, error) {
	n, err := l.rdb.Get(ctx, shardsKey(activity)).Int()
	if !errors.Is(err, redis.Nil) {
		return n, err
	}
	only := prefix(tag(activity, 0, 1))
	found, err := l.rdb.Exists(ctx, only+"epoch", only+"n").Result()
	return int(min(found, 1)), err
}

// divide writes down the number of shards of an activity that begins, or is restored.
func (l *Ledger) divide(ctx context.Context, activity string) ([]string, error) {
	if _, err := l.where(ctx, activity); err != nil {
		return nil, err
	}
	if err := l.rdb.SetNX(ctx, shardsKey(activity), l.shards, 0).Err(); err != nil {
		return nil, fmt.Errorf("cannot write the number of shards: %w", err)
	}
	return l.where(ctx, activity)
}
