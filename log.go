package canyu

import (
	"context"
	"iter"
)

// logAtOnce is how many participations of a log are in memory at a time, about.
const logAtOnce = 50_000

// ReadLog yields what is in a shard's log now, and an error last.
func ReadLog(ctx context.Context, l Ledger, activity string, shard int) iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		after := ""
		for {
			entries, err := l.Log(ctx, activity, shard, after, logAtOnce)
			if err != nil {
				yield(LogEntry{}, err)
				return
			}
			n := 0
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
				after, n = e.Position, n+e.Size()
			}
			if n < logAtOnce {
				return
			}
		}
	}
}

// LogEnd is the last entry of a shard's log at some time, and the position before it.
type LogEnd struct {
	shard        int
	before, last string // before is "" where there is none
}

// LogEnds are where the logs of an activity end now, of the shards that have something
// in theirs.
func LogEnds(ctx context.Context, l Ledger, activity string) (ends []LogEnd, err error) {
	for shard := range l.Shards() {
		end := LogEnd{shard: shard}
		for e, err := range ReadLog(ctx, l, activity, shard) {
			if err != nil {
				return nil, err
			}
			end.before, end.last = end.last, e.Position
		}
		if end.last != "" {
			ends = append(ends, end)
		}
	}
	return ends, nil
}

// StillInLog are those of ends that rollup has not acknowledged yet. It acknowledges a
// log from its front: where the end is gone, so is all that was before it.
func StillInLog(ctx context.Context, l Ledger, activity string, ends []LogEnd) (still []LogEnd, err error) {
	for _, end := range ends {
		entries, err := l.Log(ctx, activity, end.shard, end.before, 1)
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 && entries[0].Position == end.last {
			still = append(still, end)
		}
	}
	return still, nil
}
