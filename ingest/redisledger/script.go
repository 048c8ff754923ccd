package redisledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// waitFor is how long replicas may take: less than a batch may.
const waitFor = time.Second

// call is a script in one shard; the first key is never missing. The arguments may be
// used again when it has run.
func call(ctx context.Context, name string, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, script.Hash(), len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return redis.NewCmd(ctx, append(all, args...)...)
}

// run runs calls of one script side by side: by its hash, and with its text where a
// server does not have it (yet, or any more). replicas have what they wrote then. What
// went wrong is the error of the call.
func (l *Ledger) run(ctx context.Context, text string, calls []*redis.Cmd, replicas int) {
	l.send(ctx, calls, replicas)
	var unknown []*redis.Cmd
	for i, c := range calls {
		if redis.HasErrorPrefix(c.Err(), "NOSCRIPT") {
			args := c.Args()
			args[0], args[1] = strings.Replace(args[0].(string), "evalsha", "eval", 1), text
			calls[i] = redis.NewCmd(ctx, args...)
			unknown = append(unknown, calls[i])
		}
	}
	if unknown != nil {
		l.send(ctx, unknown, replicas)
	}
}

func (l *Ledger) send(ctx context.Context, calls []*redis.Cmd, replicas int) {
	switch {
	case replicas > 0:
		l.sendToMasters(ctx, calls, replicas)
	case len(calls) == 1:
		_ = l.rdb.Process(ctx, calls[0])
	default:
		pipe := l.rdb.Pipeline()
		for _, c := range calls {
			_ = pipe.Process(ctx, c)
		}
		_, _ = pipe.Exec(ctx)
	}
}

// sendToMasters sends the calls of each master on one connection, and WAIT after them:
// it is for what its own connection wrote.
func (l *Ledger) sendToMasters(ctx context.Context, calls []*redis.Cmd, replicas int) {
	by := make(map[*redis.Client][]*redis.Cmd)
	for _, c := range calls {
		master, err := l.master(ctx, c.Args()[3].(string))
		if err != nil {
			c.SetErr(err)
			continue
		}
		by[master] = append(by[master], c)
	}
	var wg sync.WaitGroup
	for master, calls := range by {
		wg.Go(func() { sendAndWait(ctx, master, calls, replicas) })
	}
	wg.Wait()
}

func sendAndWait(ctx context.Context, master *redis.Client, calls []*redis.Cmd, replicas int) {
	pipe := master.Pipeline()
	for _, c := range calls {
		_ = pipe.Process(ctx, c)
	}
	wait := redis.NewIntCmd(ctx, "wait", replicas, waitFor.Milliseconds())
	_ = pipe.Process(ctx, wait)
	_, _ = pipe.Exec(ctx)
	n, err := wait.Result()
	if err == nil && int(n) < replicas {
		err = fmt.Errorf("%d replicas have it, want %d", n, replicas)
	}
	for _, c := range calls {
		if err != nil && c.Err() == nil && !isRefusal(c.Val()) {
			c.SetErr(err)
		}
	}
}

// isRefusal: nothing was written, so there is nothing to wait for.
func isRefusal(reply any) bool { return reply == "LOST" || reply == "STALE" }

// master is the server of a key.
func (l *Ledger) master(ctx context.Context, key string) (*redis.Client, error) {
	if l.cluster != nil {
		return l.cluster.MasterForKey(ctx, key)
	}
	return l.rdb.(*redis.Client), nil
}

// firstError is what went wrong with calls, if anything did. In a cluster the servers are
// looked at anew: another may be master now.
func (l *Ledger) firstError(ctx context.Context, calls []*redis.Cmd) error {
	for _, c := range calls {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			if l.cluster != nil {
				l.cluster.ReloadState(ctx)
			}
			return err
		}
	}
	return nil
}
