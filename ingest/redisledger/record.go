package redisledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

// writing is what recording for one activity keeps from batch to batch, so that a
// batch makes next to no garbage: an argument that points at something kept here
// needs no room of its own.
type writing struct {
	sync.Mutex
	parts    []part // by shard
	calls    []*redis.Cmd
	payload  []byte
	sequence uint64
	after    uint64
}

// part is that of one shard.
type part struct {
	args    []any
	keys    []string // of the sets
	text    []byte   // of the keys
	members []uint64
	payload []byte
	several []byte
	prefix  string
	mark    string            // key of the epoch
	writers map[string]string // key by writer

	// Where there are several shards:
	participations []canyu.Participation // its own of the batch,
	at             []int                 // and where they stand there
	outcomes       []canyu.Outcome
}

type setID struct {
	class canyu.Class
	role  canyu.Role
}

func (l *Ledger) writing(activity string) *writing {
	prefixes := l.layout(activity).prefixes
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.writings[activity]
	if w == nil {
		w = &writing{parts: make([]part, len(prefixes)), calls: make([]*redis.Cmd, len(prefixes))}
		for s, p := range prefixes {
			w.parts[s] = part{prefix: p, mark: p + "epoch", writers: make(map[string]string)}
		}
		l.writings[activity] = w
	}
	return w
}

// Record implements canyu.Ledger.
func (l *Ledger) Record(ctx context.Context, b *canyu.Batch) error {
	w := l.writing(b.Activity)
	w.Lock()
	defer w.Unlock()

	w.sequence, w.after = b.Sequence, b.After
	if len(w.parts) == 1 {
		return l.recordWhole(ctx, w, b)
	}
	return l.recordParts(ctx, w, b)
}

func (l *Ledger) recordWhole(ctx context.Context, w *writing, b *canyu.Batch) error {
	if b.Payload == nil {
		w.payload = ledgerlog.Append(w.payload[:0], b.Participations)
		b.Payload = slices.Clone(w.payload) // no larger than it is: it may be kept for long
	}
	w.calls[0] = redis.NewCmd(ctx, w.parts[0].arguments(w, b, b.Participations, b.Payload)...)
	l.run(ctx, recordLua, w.calls, l.replicas)
	if err := l.refusal(ctx, w.calls); err != nil {
		return err
	}
	before, outcomes, err := decided(w.calls[0], b, len(b.Participations))
	if err == nil {
		b.Outcomes = ledgerlog.Outcomes(b.Outcomes[:0], before, outcomes, ledgerlog.Ordinal(0, 1))
	}
	return err
}

// recordParts records in every shard, also where it has nothing for it: each holds the
// sequence and the mark against its own.
func (l *Ledger) recordParts(ctx context.Context, w *writing, b *canyu.Batch) error {
	for i := range b.Participations {
		p := &w.parts[shardOf(b.Participations[i].Class.School, l.shards)]
		p.participations, p.at = append(p.participations, b.Participations[i]), append(p.at, i)
	}
	defer func() {
		for s := range w.parts {
			p := &w.parts[s]
			clear(p.participations) // they borrow from what the caller has
			p.participations, p.at = p.participations[:0], p.at[:0]
		}
	}()
	for s := range w.parts {
		p := &w.parts[s]
		p.payload = p.payload[:0]
		if len(p.participations) > 0 {
			p.payload = ledgerlog.Append(p.payload, p.participations)
		}
		w.calls[s] = redis.NewCmd(ctx, p.arguments(w, b, p.participations, p.payload)...)
	}
	l.run(ctx, recordLua, w.calls, l.replicas)
	if err := l.refusal(ctx, w.calls); err != nil {
		return err
	}
	b.Outcomes = slices.Grow(b.Outcomes[:0], len(b.Participations))[:len(b.Participations)]
	for s := range w.parts {
		p := &w.parts[s]
		before, outcomes, err := decided(w.calls[s], b, len(p.participations))
		if err != nil {
			return err
		}
		p.outcomes = ledgerlog.Outcomes(p.outcomes[:0], before, outcomes, ledgerlog.Ordinal(s, l.shards))
		for i, at := range p.at {
			b.Outcomes[at] = p.outcomes[i]
		}
	}
	return nil
}

// refusal is why a batch is not recorded: a loss in any shard goes before all else.
func (l *Ledger) refusal(ctx context.Context, calls []*redis.Cmd) error {
	var refused error
	for _, c := range calls {
		switch c.Val() {
		case "LOST":
			return canyu.ErrLost
		case "STALE":
			refused = canyu.ErrStale
		}
	}
	if err := l.firstError(ctx, calls); err != nil && refused == nil {
		refused = fmt.Errorf("cannot record the batch: %w", err)
	}
	return refused
}

// decided reads what a script replied for n participations.
func decided(c *redis.Cmd, b *canyu.Batch, n int) (before uint64, outcomes string, err error) {
	reply, err := c.Text()
	if err != nil {
		return 0, "", fmt.Errorf("cannot record the batch: %w", err)
	}
	_, reply, _ = strings.Cut(reply, " ")
	if before, outcomes, err = parseDecided(reply); err != nil {
		return 0, "", err
	}
	if len(outcomes) != n {
		return 0, "", fmt.Errorf("%w: batch %d had %d participations", canyu.ErrStale, b.Sequence, len(outcomes))
	}
	return before, outcomes, nil
}

// arguments are the script's (see record.lua). Neighbours of one class and role, as an
// array of a class at its screen brings them, share a key.
func (p *part) arguments(w *writing, b *canyu.Batch, participations []canyu.Participation, payload []byte) []any {
	p.members, p.several, p.keys, p.text = p.members[:0], p.several[:0], p.keys[:0], p.text[:0]
	writer, ok := p.writers[b.Writer]
	if !ok {
		writer = p.prefix + "w/" + b.Writer
		p.writers[b.Writer] = writer
	}
	const keysFrom = 3
	args := append(p.args[:0], "evalsha", record.Hash(), 0, p.mark, writer, p.prefix+"n", p.prefix+"log")
	var last setID
	row := 0 // how many the newest key has
	for i := range participations {
		q := &participations[i]
		p.members = append(p.members, uint64(q.Participant))
		id := setID{q.Class, q.Role}
		if q.Held != canyu.Unsuspected {
			id = setID{}
		}
		if i == 0 || id != last {
			p.end(len(args)-keysFrom, row)
			args = append(args, p.key(id))
			last, row = id, 0
		}
		row++
	}
	p.end(len(args)-keysFrom, row)
	args[2] = len(args) - keysFrom
	args = append(args, b.Epoch, &w.sequence, &w.after, payload, p.several)
	for i := range p.members {
		args = append(args, &p.members[i])
	}
	p.args = args
	return args
}

// end notes how many participations a key has, where it is not one.
func (p *part) end(key, n int) {
	if n > 1 {
		p.several = strconv.AppendInt(append(p.several, ' '), int64(key), 10)
		p.several = strconv.AppendInt(append(p.several, ':'), int64(n), 10)
	}
}

// key is that of the mark for the zero id, which those have who are held. To write a key
// anew takes less time than to find it among those of all classes.
func (p *part) key(id setID) *string {
	if id == (setID{}) {
		return &p.mark
	}
	from := len(p.text)
	p.text = appendSetKey(p.text, p.prefix, id.class, id.role)
	p.keys = append(p.keys, unsafe.String(&p.text[from], len(p.text)-from))
	return &p.keys[len(p.keys)-1]
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
