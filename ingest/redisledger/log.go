package redisledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	start := "-"
	if after != "" {
		start = "(" + after
	}
	var entries []canyu.LogEntry
	for n, of := 0, entriesFirst; n < max; {
		count := min(of, max-n) // an entry has at least one
		messages, err := l.rdb.XRangeN(ctx, prefix(activity)+"log", start, "+", int64(count)).Result()
		if err != nil {
			return nil, fmt.Errorf("cannot read the log: %w", err)
		}
		for _, m := range messages {
			rs, err := parseEntry(m)
			e := canyu.LogEntry{Position: m.ID, Recorded: rs}
			if err != nil {
				e.Err, e.Raw = err, raw(m)
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

func parseEntry(m redis.XMessage) ([]canyu.Recorded, error) {
	payload, _ := m.Values["p"].(string)
	decided, _ := m.Values["o"].(string)
	before, outcomes, err := parseDecided(decided)
	if err != nil {
		return nil, err
	}
	return ledgerlog.Parse([]byte(payload), before, outcomes, ordinal)
}

func raw(m redis.XMessage) []byte {
	payload, _ := m.Values["p"].(string)
	decided, _ := m.Values["o"].(string)
	return ledgerlog.Raw(decided, []byte(payload))
}

// Acknowledge implements canyu.Ledger: the log is what the archive does not have.
func (l *Ledger) Acknowledge(ctx context.Context, activity string, shard int, position string) error {
	log := prefix(activity) + "log"
	// MINID keeps its id, so the entry itself goes by name.
	pipe := l.rdb.Pipeline()
	pipe.XTrimMinID(ctx, log, position)
	pipe.XDel(ctx, log, position)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("cannot trim the log: %w", err)
	}
	return nil
}

// Backlog implements canyu.Ledger, from the size of some entries: batches grow and
// shrink with the load, so they are taken from all over the time that the log covers.
func (l *Ledger) Backlog(ctx context.Context, activity string) (int, error) {
	const few, between = 4, 7
	log := prefix(activity) + "log"
	pipe := l.rdb.Pipeline()
	batches := pipe.XLen(ctx, log)
	first, last := pipe.XRangeN(ctx, log, "-", "+", few), pipe.XRevRangeN(ctx, log, "+", "-", 1)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("cannot measure the log: %w", err)
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
			return 0, fmt.Errorf("cannot measure the log: %w", err)
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
	values, err := l.rdb.MGet(ctx, prefix(activity)+"n", prefix(activity)+"gap").Result()
	if err != nil {
		return 0, fmt.Errorf("cannot read the total: %w", err)
	}
	var n [2]int
	for i, v := range values {
		if s, ok := v.(string); ok {
			if n[i], err = strconv.Atoi(s); err != nil {
				return 0, fmt.Errorf("cannot read the total: %w", err)
			}
		}
	}
	return n[0] - n[1], nil
}

// restoreAtOnce is how many participants go into one call of Restore's script.
const restoreAtOnce = 2000

// restoreScript adds participants and counts those that were not there, so that what a
// ledger still had, or an earlier try has added, is counted once.
//
// KEYS 1 ordinals given   2… sets       ARGV for each set: how many, and who
var restoreScript = redis.NewScript(`local added, at = 0, 1
for i = 2, #KEYS do
  local n = tonumber(ARGV[at])
  added = added + redis.call('SADD', KEYS[i], unpack(ARGV, at + 1, at + n))
  at = at + n + 1
end
return redis.call('INCRBY', KEYS[1], added)`)

// raise goes on numbering behind the last ordinal that the archive knows; the gap
// are those that nobody has any more.
var raise = redis.NewScript(`local n = tonumber(redis.call('GET', KEYS[1]) or '0')
local gap = tonumber(ARGV[1]) - n
if gap > 0 then redis.call('INCRBY', KEYS[1], gap) redis.call('INCRBY', KEYS[2], gap) end
return gap`)

// Restore implements canyu.Ledger.
func (l *Ledger) Restore(ctx context.Context, activity, epoch, fingerprint string, participants iter.Seq2[canyu.Recorded, error], progress func(int)) error {
	if mark, err := l.Epoch(ctx, activity); err != nil || mark != "" {
		if err == nil {
			err = fmt.Errorf("the ledger of %s is whole, in epoch %s: nothing to restore", activity, mark)
		}
		return err
	}
	n, last := 0, uint64(0)
	sets := make(map[setID][]any)
	for r, err := range participants {
		if err != nil {
			return fmt.Errorf("cannot read the archive: %w", err)
		}
		id := setID{r.Class, r.Role}
		sets[id] = append(sets[id], uint64(r.Participant))
		last = max(last, r.Ordinal)
		if n++; n%restoreAtOnce == 0 {
			if err := l.addSets(ctx, activity, sets); err != nil {
				return err
			}
			if progress != nil {
				progress(n)
			}
		}
	}
	if err := l.addSets(ctx, activity, sets); err != nil {
		return err
	}
	if err := raise.Run(ctx, l.rdb, []string{prefix(activity) + "n", prefix(activity) + "gap"}, last).Err(); err != nil {
		return fmt.Errorf("cannot restore the ordinals: %w", err)
	}
	if progress != nil {
		progress(n)
	}
	mark, err := l.mark(ctx, activity, "", epoch, fingerprint)
	if err == nil && mark != epoch {
		err = errors.New("another process has marked the ledger meanwhile")
	}
	return err
}

// addSets empties sets into Redis.
func (l *Ledger) addSets(ctx context.Context, activity string, sets map[setID][]any) error {
	keys := []string{prefix(activity) + "n"}
	var args []any
	for id, members := range sets {
		keys = append(keys, setKey(activity, id.class, id.role))
		args = append(append(args, len(members)), members...)
	}
	clear(sets)
	if err := restoreScript.Run(ctx, l.rdb, keys, args...).Err(); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	return nil
}
