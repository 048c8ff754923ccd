package redisledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// writing is what recording for one activity keeps from batch to batch, so that a
// batch makes next to no garbage: an argument that points at something kept here
// needs no room of its own.
type writing struct {
	sync.Mutex
	keys     map[setID]*string // of the sets, as they stand in a command
	args     []any
	members  []uint64
	payload  []byte
	sequence uint64
	after    uint64
	prefix   string
	writers  map[string]string // key by writer
}

type setID struct {
	class canyu.Class
	role  canyu.Role
}

func (l *Ledger) writing(activity string) *writing {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.writings[activity]
	if w == nil {
		w = &writing{prefix: prefix(activity), keys: make(map[setID]*string), writers: make(map[string]string)}
		l.writings[activity] = w
	}
	return w
}

// Record implements canyu.Ledger.
func (l *Ledger) Record(ctx context.Context, b *canyu.Batch) error {
	w := l.writing(b.Activity)
	w.Lock()
	defer w.Unlock()

	reply, err := w.run(ctx, l.rdb, b)
	if err != nil {
		return fmt.Errorf("cannot record the batch: %w", err)
	}
	switch reply {
	case "LOST":
		return canyu.ErrLost
	case "STALE":
		return canyu.ErrStale
	}
	_, decided, _ := strings.Cut(reply, " ")
	before, outcomes, err := parseDecided(decided)
	if err != nil {
		return err
	}
	if len(outcomes) != len(b.Participations) {
		return fmt.Errorf("%w: batch %d had %d participations", canyu.ErrStale, b.Sequence, len(outcomes))
	}
	b.Outcomes = ledgerlog.Outcomes(b.Outcomes[:0], before, outcomes, ordinal)
	return nil
}

// run calls the script by its hash, and with its text where the server does not
// have it (yet, or any more).
func (w *writing) run(ctx context.Context, rdb redis.UniversalClient, b *canyu.Batch) (string, error) {
	args := w.arguments(b)
	cmd := redis.NewCmd(ctx, args...)
	err := rdb.Process(ctx, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		args[0], args[1] = "eval", recordLua
		cmd = redis.NewCmd(ctx, args...)
		err = rdb.Process(ctx, cmd)
	}
	if err != nil {
		return "", err
	}
	return cmd.Text()
}

func (w *writing) arguments(b *canyu.Batch) []any {
	n := len(b.Participations)
	w.payload = ledgerlog.Append(w.payload[:0], b.Participations)
	w.members = w.members[:0]
	w.sequence, w.after = b.Sequence, b.After
	writer, ok := w.writers[b.Writer]
	if !ok {
		writer = w.prefix + "w/" + b.Writer
		w.writers[b.Writer] = writer
	}
	args := append(w.args[:0], "evalsha", record.Hash(), 4+n, w.prefix+"epoch", writer, w.prefix+"n", w.prefix+"log")
	for i := range b.Participations {
		p := &b.Participations[i]
		args = append(args, w.key(b.Activity, setID{p.Class, p.Role}))
		w.members = append(w.members, uint64(p.Participant))
	}
	args = append(args, b.Epoch, &w.sequence, &w.after, w.payload)
	for i := range w.members {
		args = append(args, &w.members[i])
	}
	w.args = args
	return args
}

func (w *writing) key(activity string, id setID) *string {
	key := w.keys[id]
	if key == nil {
		s := setKey(activity, id.class, id.role)
		key = &s
		w.keys[id] = key
	}
	return key
}

// parseDecided reads "<ordinals given before> <outcomes>".
func parseDecided(s string) (before uint64, outcomes string, err error) {
	n, outcomes, ok := strings.Cut(s, " ")
	before, err = strconv.ParseUint(n, 10, 64)
	if err != nil || !ok {
		return 0, "", errors.New("redis: the ledger's reply makes no sense: " + s)
	}
	return before, outcomes, nil
}

func ordinal(n uint64) uint64 { return n }

// countsAtOnce bounds a pipeline, so that reading a province's classes never
// keeps a batch waiting for long.
const countsAtOnce = 1000

// Counts implements canyu.Ledger.
func (l *Ledger) Counts(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Tally, error) {
	tallies := make([]canyu.Tally, len(classes))
	for from := 0; from < len(classes); from += countsAtOnce {
		some := classes[from:min(from+countsAtOnce, len(classes))]
		pipe := l.rdb.Pipeline()
		mark := pipe.Exists(ctx, prefix(activity)+"epoch")
		counts := make([]*redis.IntCmd, 0, len(some)*len(canyu.Roles))
		for _, c := range some {
			for _, r := range canyu.Roles {
				counts = append(counts, pipe.SCard(ctx, setKey(activity, c, r)))
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("cannot count: %w", err)
		}
		if mark.Val() == 0 {
			return nil, canyu.ErrLost
		}
		for i, n := range counts {
			tallies[from+i/len(canyu.Roles)][canyu.Roles[i%len(canyu.Roles)]] = int(n.Val())
		}
	}
	return tallies, nil
}

// Participants implements canyu.Ledger.
func (l *Ledger) Participants(ctx context.Context, activity string, class canyu.Class, role canyu.Role) ([]canyu.Participant, error) {
	pipe := l.rdb.Pipeline()
	mark := pipe.Exists(ctx, prefix(activity)+"epoch")
	set := pipe.SMembers(ctx, setKey(activity, class, role))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("cannot read the participants of a class: %w", err)
	}
	if mark.Val() == 0 {
		return nil, canyu.ErrLost
	}
	var members []canyu.Participant
	for _, text := range set.Val() {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the participants of a class: %w", err)
		}
		members = append(members, canyu.Participant(n))
	}
	slices.Sort(members) // an intset is sorted already, a larger set is not
	return members, nil
}
