package redisledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// eachMaster calls f with every master, and returns the first error.
func (l *Ledger) eachMaster(ctx context.Context, f func(ctx context.Context, c *redis.Client) error) error {
	if l.cluster != nil {
		return l.cluster.ForEachMaster(ctx, f)
	}
	return f(ctx, l.rdb.(*redis.Client))
}

// eachReplica calls f with every replica that is known.
func (l *Ledger) eachReplica(ctx context.Context, f func(ctx context.Context, c *redis.Client) error) error {
	if l.cluster != nil {
		return l.cluster.ForEachSlave(ctx, f)
	}
	master := l.rdb.(*redis.Client)
	info, err := master.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(info) {
		// slave0:ip=127.0.0.1,port=6380,state=online,…
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		parts := strings.Split(value, ",")
		if !strings.HasPrefix(name, "slave") || len(parts) < 2 || !strings.HasPrefix(parts[0], "ip=") {
			continue
		}
		o := *master.Options()
		o.Addr = net.JoinHostPort(strings.TrimPrefix(parts[0], "ip="), strings.TrimPrefix(parts[1], "port="))
		o.Network, o.Dialer, o.OnConnect = "tcp", nil, nil // those find the master
		o.DialTimeout, o.DialerRetries = dialTimeout, 1
		replica := redis.NewClient(&o)
		errs = append(errs, f(ctx, replica))
		_ = replica.Close()
	}
	return errors.Join(errs...)
}

// safe are the settings without which what was acknowledged can be lost.
var safe = map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}

// Check refuses servers that would lose what they acknowledged (promise 1). ErrAway
// where one cannot be asked; a replica may be away.
func (l *Ledger) Check(ctx context.Context) error {
	if l.checked.Load() {
		return nil
	}
	if err := l.rdb.Ping(ctx).Err(); redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS") {
		return fmt.Errorf("redis: %w", err)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	var mu sync.Mutex
	var errs []error
	all := true
	look := func(ctx context.Context, c *redis.Client) error {
		wrong, err := l.settings(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, wrong...)
		all = all && err == nil
		return err
	}
	if err := l.eachMaster(ctx, look); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if l.address.single == nil || l.replicas > 0 {
		if err := l.eachReplica(ctx, look); err != nil {
			all = false // it is asked again when it is next begun
		}
	}
	l.checked.Store(errs == nil && all)
	return errors.Join(errs...)
}

// settings is what is wrong with those of a server.
func (l *Ledger) settings(ctx context.Context, c *redis.Client) (wrong []error, err error) {
	for name, value := range safe {
		got, err := c.ConfigGet(ctx, name).Result()
		var hidden redis.Error
		if errors.As(err, &hidden) {
			return wrong, nil // managed servers hide CONFIG: then it is the operator's word
		}
		if err != nil {
			return wrong, err
		}
		if got[name] != value {
			at := ""
			if l.address.single == nil {
				at = " of " + c.Options().Addr
			}
			wrong = append(wrong, fmt.Errorf("redis: %s%s is %q: want %q, or what was acknowledged can be lost", name, at, got[name], value))
		}
	}
	return wrong, nil
}

// State is what the servers say of themselves; bytes, 0 where they do not say.
type State struct {
	Version string    // the oldest
	Now     time.Time // the clock that is furthest from ours
	Masters int
	Used    int64 // memory of all masters
	Limit   int64 // maxmemory of all masters, 0 where one has none
	Machine int64 // memory of their machines
}

// State asks the masters.
func (l *Ledger) State(ctx context.Context) (State, error) {
	var mu sync.Mutex
	var all State
	unlimited := false
	err := l.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		s, err := stateOf(ctx, c)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if all.Masters == 0 || olderVersion(s.Version, all.Version) {
			all.Version = s.Version
		}
		if time.Since(s.Now).Abs() > time.Since(all.Now).Abs() || all.Masters == 0 {
			all.Now = s.Now
		}
		all.Masters++
		all.Used, all.Limit, all.Machine = all.Used+s.Used, all.Limit+s.Limit, all.Machine+s.Machine
		unlimited = unlimited || s.Limit == 0
		return nil
	})
	if err != nil {
		return all, fmt.Errorf("%w: %w", ErrAway, err)
	}
	if unlimited {
		all.Limit = 0
	}
	return all, nil
}

func stateOf(ctx context.Context, c *redis.Client) (s State, err error) {
	if s.Now, err = c.Time(ctx).Result(); err != nil {
		return s, err
	}
	info, err := c.Info(ctx, "server", "memory").Result()
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "redis_version":
			s.Version = value
		case "used_memory":
			s.Used = n
		case "maxmemory":
			s.Limit = n
		case "total_system_memory":
			s.Machine = n
		}
	}
	return s, nil
}

func olderVersion(a, b string) bool {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		n, _ := strconv.Atoi(x)
		m, _ := strconv.Atoi(y)
		return cmp.Compare(n, m)
	}) < 0
}
