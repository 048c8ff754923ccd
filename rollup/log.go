package rollup

import (
	"context"
	"iter"

	"github.com/canyu/canyu"
)

// log yields what is in a shard's log now, and an error last.
func log(ctx context.Context, l canyu.Ledger, activity string, shard int) iter.Seq2[canyu.LogEntry, error] {
	return func(yield func(canyu.LogEntry, error) bool) {
		after := ""
		for {
			entries, err := l.Log(ctx, activity, shard, after, participationsPerStep)
			if err != nil {
				yield(canyu.LogEntry{}, err)
				return
			}
			n := 0
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
				after, n = e.Position, n+e.Size()
			}
			if n < participationsPerStep {
				return
			}
		}
	}
}
