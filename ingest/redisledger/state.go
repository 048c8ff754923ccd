package redisledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is what a server says of itself; bytes, 0 where it does not say.
type State struct {
	Version string
	Now     time.Time // its clock
	Used    int64     // memory
	Limit   int64     // maxmemory
	Machine int64     // memory of its machine
}

// State asks the server.
func (l *Ledger) State(ctx context.Context) (s State, err error) {
	if s.Now, err = l.rdb.Time(ctx).Result(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrAway, err)
	}
	info, err := l.rdb.Info(ctx, "server", "memory").Result()
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrAway, err)
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
