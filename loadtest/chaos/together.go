package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// patience is for what a Redis of several processes has to come to by itself.
const patience = time.Minute

// Moves is what a Redis of several processes went through.
type Moves struct {
	Masters     int // a replica became the master
	Restarts    int // nodes restarted one after the other
	Slots, Keys int // resharded
}

func (m *Moves) String() string {
	return fmt.Sprintf("Redis: %d times another master, %d nodes restarted in turn, %d slots with %d keys moved under load", m.Masters, m.Restarts, m.Slots, m.Keys)
}

// together makes one fault of several Redis processes happen at a time, each to a whole
// one.
func (in *injector) together(ctx context.Context, n *node, e Event) {
	in.redis.Lock()
	defer in.redis.Unlock()
	if ctx.Err() != nil {
		return
	}
	several := in.w.several
	if err := poll(ctx, patience, several.whole); err != nil {
		in.unless(ctx, "%s did not happen: redis is not whole: %v", e, err)
		return
	}
	before, err := several.masters(ctx)
	if err != nil || len(before) == 0 {
		in.unless(ctx, "%s did not happen: no master: %v", e, err)
		return
	}
	switch e.Fault {
	case Kill:
		e.Early = false
		e.For *= 4 // up to some seconds: it is followed, or comes back before that
		in.happen(ctx, n, e)
	case Failover:
		in.happen(ctx, before[e.Target%len(before)], e)
	case Reshard:
		in.reshard(ctx)
	case Rolling:
		in.rolling(ctx)
	}
	if err := poll(ctx, patience, several.whole); err != nil {
		in.unless(ctx, "redis does not become whole after %s: %v", e, err)
		return
	}
	after, err := several.masters(ctx)
	if err != nil {
		in.unless(ctx, "no master after %s: %v", e, err)
		return
	}
	for _, m := range after {
		if !slices.Contains(before, m) {
			in.moves.Masters++
			in.log("%s is a master now", m.name)
		}
	}
}

// unless the run was interrupted, what did not go as planned is a difference.
func (in *injector) unless(ctx context.Context, format string, args ...any) {
	in.log(format, args...)
	if ctx.Err() == nil {
		in.book.differ("setup", format, args...)
	}
}

// followed waits until another has taken the place of one that is gone.
func (in *injector) followed(ctx context.Context, gone *node) error {
	began := time.Now()
	err := poll(ctx, patience, func(ctx context.Context) error {
		if !in.w.several.followed(ctx, gone) {
			return errors.New("nobody takes its place")
		}
		return nil
	})
	if err == nil {
		in.log("%s is followed after %s", gone.name, time.Since(began).Round(time.Millisecond))
	}
	return err
}

// reshard is of a cluster.
func (in *injector) reshard(ctx context.Context) {
	c, ok := in.w.several.(*cluster)
	if !ok {
		return
	}
	defer in.during("reshard, redis")()
	in.log("resharding %d slots", resharded)
	keys, err := c.reshard(ctx, in.w)
	if err != nil {
		in.unless(ctx, "cannot reshard: %v", err)
		return
	}
	in.moves.Slots += resharded
	in.moves.Keys += keys
	in.log("resharded %d slots with %d keys", resharded, keys)
}

// rolling restarts every Redis, each when the one before is back and nothing lags.
func (in *injector) rolling(ctx context.Context) {
	defer in.during("rolling restart, redis")()
	for _, n := range in.w.several.nodes() {
		in.log("%s: restarted", n.name)
		err := n.restart(30 * time.Second)
		if err == nil && n.serving(ctx, patience) == nil {
			err = fmt.Errorf("%s does not serve", n.name)
		}
		if err == nil {
			err = poll(ctx, patience, in.w.several.whole)
		}
		if err != nil {
			in.unless(ctx, "rolling restart: %v", err)
			return
		}
		in.moves.Restarts++
	}
}
