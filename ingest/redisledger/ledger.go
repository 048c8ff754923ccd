// Package redisledger is the ledger past one machine: Redis 7.0 or later, alone, watched
// by Sentinel or as a Cluster, with appendonly yes, appendfsync always and noeviction,
// which canyu checks.
//
// One set of 63-bit integers for each class and role stays an intset: eight bytes
// a participant. All keys of a shard carry its hash tag, so that a batch is one
// script call for each shard and a script never leaves its node.
//
//	canyu/shards/qingming-2017         how many there are, fixed when the activity begins
//	canyu{qingming-2017/0}epoch        the mark
//	canyu{qingming-2017/0}key          fingerprint of the participants' key
//	canyu{qingming-2017/0}n            ordinals given
//	canyu{qingming-2017/0}gap          of those, lost before a restore
//	canyu{qingming-2017/0}log          stream: what rollup has not archived yet
//	canyu{qingming-2017/0}w/<writer>   the writer's newest reply, 30 days
//	canyu{qingming-2017/0}3418020001/3/2/1   set: school, grade, class, role
//
// Of three shards the first has {qingming-2017/3.0}, or {qingming-2017/3.0.7}: see tag.
//
// Every batch goes to every shard, also where it has nothing for it: so a writer's
// sequence means the same in all of them, and a shard that has gone back in time is found
// by the next batch, as a ledger of one shard is.
//
// What is acknowledged is on the disk of the master. Without replicas=1 a replica that is
// promoted may lack the newest batches: that is noticed, and nothing is counted until the
// ledger is rebuilt and the nodes have given back what they recorded last. With it nothing
// that was acknowledged is lost with one server.
package redisledger

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

var (
	//go:embed record.lua
	recordLua string
	record    = redis.NewScript(recordLua)

	// begin sets a mark unless there is one, or one is remembered (ARGV 3), and
	// replies with what there is.
	begin = redis.NewScript(`if ARGV[3] == '' and redis.call('SET', KEYS[1], ARGV[1], 'NX') then redis.call('SET', KEYS[2], ARGV[2]) end
return {redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or ''}`)

	claim = redis.NewScript(`local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1`)

	release = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0`)
)

// ErrAway: the server does not answer, or is not ready to.
var ErrAway = errors.New("cannot reach redis")

// Ledger is a canyu.Ledger in Redis.
type Ledger struct {
	rdb      redis.UniversalClient
	cluster  *redis.ClusterClient // the same, or nil
	address  *address
	shards   int
	replicas int
	checked  atomic.Bool

	mu       sync.Mutex
	layouts  map[string]*layout  // by activity
	writings map[string]*writing // by activity
}

// Open connects to one server, to the master of some, or to a cluster; rediss… for TLS:
//
//	redis://[user:password@]host:6379/0
//	redis+sentinel://[user:password@]host:26379/0?addr=host2:26379&master_name=canyu
//	redis+cluster://[user:password@]host:6379?addr=host2:6379
//
// With sentinel_username and sentinel_password for sentinels that want them. shards is how
// many an activity that begins is divided into: 1 unless it is given; as many as a cluster
// has masters, or a few times that, to use them all. replicas is how many of them have a
// batch before it is acknowledged: 0 unless it is given.
//
// Servers that would lose what they acknowledged are refused.
func Open(ctx context.Context, url string) (*Ledger, error) {
	l, err := Later(url)
	if err != nil {
		return nil, err
	}
	if err := l.Check(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Later is Open for a process that may start before the server: it is checked before
// the first Begin, and so before anything is counted.
func Later(url string) (*Ledger, error) {
	a, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	l := &Ledger{address: a, shards: a.shards, replicas: a.replicas, layouts: make(map[string]*layout), writings: make(map[string]*writing)}
	switch {
	case a.cluster != nil:
		l.cluster = redis.NewClusterClient(a.cluster)
		l.rdb = l.cluster
	case a.sentinel != nil:
		l.rdb = redis.NewFailoverClient(a.sentinel)
	default:
		l.rdb = redis.NewClient(a.single)
	}
	return l, nil
}

// Epoch implements canyu.Ledger: the mark that every shard has.
func (l *Ledger) Epoch(ctx context.Context, activity string) (string, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return "", err
	}
	pipe := l.rdb.Pipeline()
	marks := make([]*redis.StringCmd, len(prefixes))
	for s, p := range prefixes {
		marks[s] = pipe.Get(ctx, p+"epoch")
	}
	_, _ = pipe.Exec(ctx) // each has its own error
	epoch, whole := marks[0].Val(), true
	for _, mark := range marks {
		if err := mark.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return "", fmt.Errorf("cannot read the epoch: %w", err)
		}
		whole = whole && mark.Val() == epoch
	}
	if !whole {
		return "", nil
	}
	return epoch, nil
}

// Begin implements canyu.Ledger.
func (l *Ledger) Begin(ctx context.Context, activity, epoch, fingerprint string) (string, error) {
	if err := l.Check(ctx); err != nil {
		return "", err
	}
	prefixes, err := l.where(ctx, activity)
	if err == nil && epoch == "" {
		prefixes, err = l.divide(ctx, activity)
	}
	if err != nil {
		return "", err
	}
	mark, err := l.mark(ctx, prefixes, epoch, rand.Text(), fingerprint)
	if err == nil && epoch != "" { // an earlier version did not write the number down
		_, err = l.divide(ctx, activity)
	}
	return mark, err
}

// mark sets the mark to fresh, unless there is one or one is remembered. What the first
// shard has is everybody's: a crash on the way is gone on with.
func (l *Ledger) mark(ctx context.Context, prefixes []string, remembered, fresh, fingerprint string) (string, error) {
	for s, p := range prefixes {
		found, err := begin.Run(ctx, l.rdb, []string{p + "epoch", p + "key"}, fresh, fingerprint, remembered).StringSlice()
		switch {
		case err != nil:
			return "", fmt.Errorf("cannot mark the ledger: %w", err)
		case found[0] == "" || remembered != "" && found[0] != remembered || s > 0 && found[0] != fresh:
			return "", canyu.ErrLost
		case found[1] != fingerprint:
			return "", canyu.ErrKey
		}
		fresh = found[0]
	}
	return fresh, nil
}

// Unmark implements canyu.Ledger.
func (l *Ledger) Unmark(ctx context.Context, activity string) error {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		if err := l.rdb.Del(ctx, p+"epoch").Err(); err != nil {
			return fmt.Errorf("cannot take the mark away: %w", err)
		}
	}
	return nil
}

// Claim implements canyu.Ledger.
func (l *Ledger) Claim(ctx context.Context, duty, holder string, ttl time.Duration) (bool, error) {
	n, err := claim.Run(ctx, l.rdb, []string{"canyu/claim/" + duty}, holder, ttl.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("cannot claim %s: %w", duty, err)
	}
	return n == 1, nil
}

// Release implements canyu.Ledger.
func (l *Ledger) Release(ctx context.Context, duty, holder string) error {
	if err := release.Run(ctx, l.rdb, []string{"canyu/claim/" + duty}, holder).Err(); err != nil {
		return fmt.Errorf("cannot release %s: %w", duty, err)
	}
	return nil
}

// Close implements canyu.Ledger.
func (l *Ledger) Close() error { return l.rdb.Close() }
