// Package redisledger is the ledger past one machine: Redis 7.0 or later, with
// appendonly yes, appendfsync always and noeviction, which canyu checks.
//
// One set of 63-bit integers for each class and role stays an intset: eight bytes
// a participant. All keys of a shard carry its hash tag, so that a batch is one
// script call for each shard and a script never leaves its node.
//
//	canyu{qingming-2017/0}epoch        the mark
//	canyu{qingming-2017/0}key          fingerprint of the participants' key
//	canyu{qingming-2017/0}n            ordinals given
//	canyu{qingming-2017/0}gap          of those, lost before a restore
//	canyu{qingming-2017/0}log          stream: what rollup has not archived yet
//	canyu{qingming-2017/0}w/<writer>   the writer's newest reply, 30 days
//	canyu{qingming-2017/0}3418020001/3/2/1   set: school, grade, class, role
package redisledger

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
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
	rdb     redis.UniversalClient
	checked atomic.Bool

	mu       sync.Mutex
	writings map[string]*writing // by activity
}

// Open connects to url: redis://[user:password@]host:port/db, or rediss for TLS.
// A server that would lose what it acknowledged is refused.
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
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	// A lost reply is for the writer to repeat, with the same sequence: it knows
	// whether it still has time. The library would repeat behind its back.
	o.MaxRetries = -1
	o.ReadTimeout = 3 * time.Second
	o.ContextTimeoutEnabled = true
	return &Ledger{rdb: redis.NewClient(o), writings: make(map[string]*writing)}, nil
}

// Check refuses a server that would lose what it acknowledged (promise 1). ErrAway
// where it cannot be asked.
func (l *Ledger) Check(ctx context.Context) error {
	if l.checked.Load() {
		return nil
	}
	if err := l.rdb.Ping(ctx).Err(); redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS") {
		return fmt.Errorf("redis: %w", err)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	want := map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
	var errs []error
	for name, value := range want {
		got, err := l.rdb.ConfigGet(ctx, name).Result()
		var hidden redis.Error
		if errors.As(err, &hidden) {
			break // managed servers hide CONFIG: then it is the operator's word
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		if got[name] != value {
			errs = append(errs, fmt.Errorf("redis: %s is %q: want %q, or what was acknowledged can be lost", name, got[name], value))
		}
	}
	l.checked.Store(errs == nil)
	return errors.Join(errs...)
}

// Shards implements canyu.Ledger.
func (l *Ledger) Shards() int { return 1 }

// shardOf is where all classes of a school are. With one shard there is no choice;
// ordinals of shard s of S are s+1, s+1+S, s+1+2S…
const shard = 0

func prefix(activity string) string { return "canyu{" + activity + "/" + strconv.Itoa(shard) + "}" }

func setKey(activity string, c canyu.Class, r canyu.Role) string {
	return string(appendSetKey(make([]byte, 0, 64), prefix(activity), c, r))
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

// Epoch implements canyu.Ledger.
func (l *Ledger) Epoch(ctx context.Context, activity string) (string, error) {
	epoch, err := l.rdb.Get(ctx, prefix(activity)+"epoch").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("cannot read the epoch: %w", err)
	}
	return epoch, nil
}

// Begin implements canyu.Ledger.
func (l *Ledger) Begin(ctx context.Context, activity, epoch, fingerprint string) (string, error) {
	if err := l.Check(ctx); err != nil {
		return "", err
	}
	return l.mark(ctx, activity, epoch, rand.Text(), fingerprint)
}

// mark sets the mark to fresh, unless there is one or one is remembered.
func (l *Ledger) mark(ctx context.Context, activity, remembered, fresh, fingerprint string) (string, error) {
	keys := []string{prefix(activity) + "epoch", prefix(activity) + "key"}
	found, err := begin.Run(ctx, l.rdb, keys, fresh, fingerprint, remembered).StringSlice()
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot mark the ledger: %w", err)
	case found[0] == "" || remembered != "" && found[0] != remembered:
		return "", canyu.ErrLost
	case found[1] != fingerprint:
		return "", canyu.ErrKey
	}
	return found[0], nil
}

// Unmark implements canyu.Ledger.
func (l *Ledger) Unmark(ctx context.Context, activity string) error {
	if err := l.rdb.Del(ctx, prefix(activity)+"epoch").Err(); err != nil {
		return fmt.Errorf("cannot take the mark away: %w", err)
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
