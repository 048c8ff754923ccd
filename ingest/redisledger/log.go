package redisledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// One read of the log is bounded so that a reply stays within a few megabytes: a batch
// holds some hundred participations, or some thousand where a spool was drained.
const (
	entriesFirst         = 16
	entriesAtOnce        = 256
	participationsAtOnce = 25_000
)

// Log implements canyu.Ledger.
func (l *Ledger) Log(ctx context.Context, activity string, shard int, after string, max int) ([]canyu.LogEntry, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return nil, err
	}
	start := "-"
	if after != "" {
		start = "(" + after
	}
	var entries []canyu.LogEntry
	for n, of := 0, entriesFirst; n < max; {
		count := min(of, max-n) // an entry has at least one
		messages, err := l.rdb.XRangeN(ctx, prefixes[shard]+"log", start, "+", int64(count)).Result()
		if err != nil {
			return nil, fmt.Errorf("cannot read the log: %w", err)
		}
		for _, m := range messages {
			rs, err := parseEntry(m, ledgerlog.Ordinal(shard, l.shards))
			e := canyu.LogEntry{Position: m.ID, Recorded: rs}
			if err != nil {
				e.Err, e.Raw = err, raw(m, shard, l.shards)
			}
			entries = append(entries, e)
			if n += e.Size(); n >= max {
				break
			}
			start = "(" + m.ID
		}
		if len(messages) < count {
			break
		}
		of = min(entriesAtOnce, 1+participationsAtOnce*len(entries)/n)
	}
	return entries, nil
}

func parseEntry(m redis.XMessage, ordinal func(uint64) uint64) ([]canyu.Recorded, error) {
	payload, _ := m.Values["p"].(string)
	decided, _ := m.Values["o"].(string)
	before, outcomes, err := parseDecided(decided)
	if err != nil {
		return nil, err
	}
	return ledgerlog.Parse([]byte(payload), before, outcomes, ordinal)
}

func raw(m redis.XMessage, shard, shards int) []byte {
	payload, _ := m.Values["p"].(string)
	decided, _ := m.Values["o"].(string)
	if shards > 1 {
		decided += fmt.Sprintf(" %d/%d", shard, shards)
	}
	return ledgerlog.Raw(decided, []byte(payload))
}

// Acknowledge implements canyu.Ledger: the log is what the archive does not have.
func (l *Ledger) Acknowledge(ctx context.Context, activity string, shard int, position string) error {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return err
	}
	log := prefixes[shard] + "log"
	// MINID keeps its id, so the entry itself goes by name.
	pipe := l.rdb.Pipeline()
	pipe.XTrimMinID(ctx, log, position)
	pipe.XDel(ctx, log, position)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("cannot trim the log: %w", err)
	}
	return nil
}

// Backlog implements canyu.Ledger.
func (l *Ledger) Backlog(ctx context.Context, activity string) (int, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, p := range prefixes {
		n, err := l.backlog(ctx, p+"log")
		if err != nil {
			return 0, fmt.Errorf("cannot measure the log: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// backlog measures one log, from the size of some entries: batches grow and shrink with
// the load, so they are taken from all over the time that the log covers.
func (l *Ledger) backlog(ctx context.Context, log string) (int, error) {
	const few, between = 4, 7
	pipe := l.rdb.Pipeline()
	batches := pipe.XLen(ctx, log)
	first, last := pipe.XRangeN(ctx, log, "-", "+", few), pipe.XRevRangeN(ctx, log, "+", "-", 1)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, err
	}
	if len(first.Val()) == 0 || len(last.Val()) == 0 {
		return 0, nil
	}
	samples := [][]redis.XMessage{first.Val()}
	if batches.Val() > few { // else these are all
		from, to := moment(first.Val()[0].ID), moment(last.Val()[0].ID)
		var some [between]*redis.XMessageSliceCmd
		for i := range some {
			at := from + (to-from)*int64(i)/between
			some[i] = pipe.XRangeN(ctx, log, strconv.FormatInt(at, 10), "+", 2)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, err
		}
		samples = [][]redis.XMessage{last.Val()}
		for _, s := range some {
			samples = append(samples, s.Val())
		}
	}
	n, of := 0, 0
	for _, messages := range samples {
		for _, m := range messages {
			decided, _ := m.Values["o"].(string)
			_, outcomes, err := parseDecided(decided)
			if err != nil {
				outcomes = "0" // damaged: as much as Log takes it for
			}
			n += len(outcomes)
			of++
		}
	}
	if batches.Val() <= few {
		return n, nil
	}
	return n * int(batches.Val()) / of, nil
}

// moment is the milliseconds of a stream's id.
func moment(id string) int64 {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64) // Redis made it
	return n
}

// Total implements canyu.Ledger.
func (l *Ledger) Total(ctx context.Context, activity string) (int, error) {
	prefixes, err := l.where(ctx, activity)
	if err != nil {
		return 0, err
	}
	pipe := l.rdb.Pipeline()
	given := make([]*redis.SliceCmd, len(prefixes))
	for s, p := range prefixes {
		given[s] = pipe.MGet(ctx, p+"n", p+"gap")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("cannot read the total: %w", err)
	}
	total := 0
	for _, values := range given {
		var n [2]int
		for i, v := range values.Val() {
			if s, ok := v.(string); ok {
				if n[i], err = strconv.Atoi(s); err != nil {
					return 0, fmt.Errorf("cannot read the total: %w", err)
				}
			}
		}
		total += n[0] - n[1]
	}
	return total, nil
}
