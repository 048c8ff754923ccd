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
	args     []any
	keys     []string // of the sets
	text     []byte   // of the keys
	members  []uint64
	payload  []byte
	several  []byte
	sequence uint64
	after    uint64
	prefix   string
	mark     string            // key of the epoch
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
		w = &writing{prefix: prefix(activity), mark: prefix(activity) + "epoch", writers: make(map[string]string)}
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

// arguments are the script's (see record.lua). Neighbours of one class and role, as an
// array of a class at its screen brings them, share a key.
func (w *writing) arguments(b *canyu.Batch) []any {
	if b.Payload == nil {
		w.payload = ledgerlog.Append(w.payload[:0], b.Participations)
		b.Payload = slices.Clone(w.payload) // no larger than it is: it may be kept for long
	}
	w.members, w.several, w.keys, w.text = w.members[:0], w.several[:0], w.keys[:0], w.text[:0]
	w.sequence, w.after = b.Sequence, b.After
	writer, ok := w.writers[b.Writer]
	if !ok {
		writer = w.prefix + "w/" + b.Writer
		w.writers[b.Writer] = writer
	}
	const keysFrom = 3
	args := append(w.args[:0], "evalsha", record.Hash(), 0, w.mark, writer, w.prefix+"n", w.prefix+"log")
	var last setID
	row := 0 // how many the newest key has
	for i := range b.Participations {
		p := &b.Participations[i]
		w.members = append(w.members, uint64(p.Participant))
		id := setID{p.Class, p.Role}
		if p.Held != canyu.Unsuspected {
			id = setID{}
		}
		if i == 0 || id != last {
			w.end(len(args)-keysFrom, row)
			args = append(args, w.key(id))
			last, row = id, 0
		}
		row++
	}
	w.end(len(args)-keysFrom, row)
	args[2] = len(args) - keysFrom
	args = append(args, b.Epoch, &w.sequence, &w.after, b.Payload, w.several)
	for i := range w.members {
		args = append(args, &w.members[i])
	}
	w.args = args
	return args
}

// end notes how many participations a key has, where it is not one.
func (w *writing) end(key, n int) {
	if n > 1 {
		w.several = strconv.AppendInt(append(w.several, ' '), int64(key), 10)
		w.several = strconv.AppendInt(append(w.several, ':'), int64(n), 10)
	}
}

// key is that of the mark for the zero id, which those have who are held. To write a key
// anew takes less time than to find it among those of all classes.
func (w *writing) key(id setID) *string {
	if id == (setID{}) {
		return &w.mark
	}
	from := len(w.text)
	w.text = appendSetKey(w.text, w.prefix, id.class, id.role)
	w.keys = append(w.keys, unsafe.String(&w.text[from], len(w.text)-from))
	return &w.keys[len(w.keys)-1]
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
