package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// Totals is what became of the lines of a replayed file.
type Totals struct {
	Lines    int
	Accepted int            // durable in the ledger
	Counted  int            // of those, the first of their participant
	Refused  map[string]int // by outcome: not_open, closed, invalid, …
}

// replayBatch is how many participations a replay records at once.
const replayBatch = 512

// Prepare reads the roster and attaches every activity, once: what Run does for a
// server. Errors of all activities are joined.
func (s *Server) Prepare(ctx context.Context) error {
	if err := s.readRoster(ctx); err != nil {
		return fmt.Errorf("cannot read the roster: %w", err)
	}
	var errs []error
	for _, ca := range s.Activities {
		a := s.activities[ca.ID]
		_, epoch, err := s.attachOnce(ctx, a)
		a.state.Store(&attachment{epoch: epoch, err: err})
		if !errors.Is(err, canyu.ErrPurged) { // its lines are refused, the others go on
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Replay records the submissions of r, one JSON object a line, each with its own
// time "at" (RFC 3339): paper lists, another platform's export. They are checked as
// HTTP's are, against that time. Refused lines go to refused with the reason in
// front, and can be replayed from there when they have been put right. Replaying a
// file again changes nothing. Prepare comes first.
//
// An error means that the file was not finished: what was recorded by then counts,
// and replaying it all again is safe.
func (s *Server) Replay(ctx context.Context, r io.Reader, refused io.Writer, progress func(Totals)) (Totals, error) {
	p := replay{Server: s, refused: refused, pending: make(map[*activity][]canyu.Participation), digest: sha256.New()}
	p.totals.Refused = make(map[string]int)
	for _, a := range s.activities {
		a.refusals = newRefusals()
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), MaxBody)
	d := &decoder{json: decoders.New().(*decoder).json, replay: true}
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		p.totals.Lines++
		if err := p.line(ctx, d, line); err != nil {
			return p.totals, fmt.Errorf("line %d: %w", p.totals.Lines, err)
		}
		if progress != nil && p.totals.Lines%10_000 == 0 {
			progress(p.totals)
		}
	}
	if err := lines.Err(); err != nil {
		return p.totals, fmt.Errorf("cannot read behind line %d: %w", p.totals.Lines, err)
	}
	for a := range p.pending {
		if err := p.record(ctx, a); err != nil {
			return p.totals, err
		}
	}
	return p.totals, p.keepRefusals(ctx)
}

type replay struct {
	*Server
	refused io.Writer
	pending map[*activity][]canyu.Participation
	totals  Totals
	digest  hash.Hash // of the refused lines
}

// keepRefusals stores what was refused under a name that the same refused lines
// give again: a file that is replayed twice is refused once.
func (p *replay) keepRefusals(ctx context.Context) error {
	name := "replay-" + hex.EncodeToString(p.digest.Sum(nil)[:12])
	for id, a := range p.activities {
		a.refusals.writer = name
		if err := a.refusals.flush(ctx, p.Archive, id); err != nil {
			return err
		}
	}
	return nil
}

// line takes one line; its error is not the line's but the world's.
func (p *replay) line(ctx context.Context, d *decoder, line []byte) error {
	a, participation, err := p.accept(d, line)
	if errors.Is(err, errAway) {
		return err
	}
	if err != nil {
		return p.refuse(line, problemOf(err))
	}
	p.pending[a] = append(p.pending[a], participation)
	if len(p.pending[a]) == replayBatch {
		return p.record(ctx, a)
	}
	return nil
}

func (p *replay) accept(d *decoder, line []byte) (*activity, canyu.Participation, error) {
	if err := d.decode(line); err != nil {
		return nil, canyu.Participation{}, err
	}
	if d.array {
		return nil, canyu.Participation{}, malformedError{"want one submission a line"}
	}
	item := &d.items[0]
	at, err := time.Parse(time.RFC3339, item.at)
	if err != nil {
		item.refuse("at", "want a time such as 2017-04-01T08:02:08.496+08:00")
		return nil, canyu.Participation{}, item.bad
	}
	a, participation, _, err := p.Server.accept(item, at)
	if item.ID == "" {
		// Without an id the line itself tells it from others, also next time.
		participation.ID = submissionID(string(line))
	}
	participation.Message = strings.Clone(participation.Message) // outlives the line
	return a, participation, err
}

// refuse writes the line back with why it was refused in front.
func (p *replay) refuse(line []byte, why *problem) error {
	p.totals.Refused[why.outcome]++
	reason, _ := json.Marshal(why.outcome + ": " + why.Detail)
	var err error
	if line[0] == '{' && why.outcome != "malformed" {
		// One that was refused before has its old reason replaced.
		line = withoutReason(line[1:])
		p.digest.Write(line)
		p.digest.Write([]byte{'\n'})
		_, err = fmt.Fprintf(p.refused, "{\"refused\":%s,%s\n", reason, line)
	} else {
		text, _ := json.Marshal(string(line))
		_, err = fmt.Fprintf(p.refused, "{\"refused\":%s,\"line\":%s}\n", reason, text)
	}
	if err != nil {
		return fmt.Errorf("cannot write the refused lines: %w", err)
	}
	return nil
}

// withoutReason drops a leading "refused":"…", that an earlier replay put there.
func withoutReason(rest []byte) []byte {
	trimmed := bytes.TrimLeft(rest, " ")
	after, ok := bytes.CutPrefix(trimmed, []byte(`"refused":`))
	if !ok {
		return rest
	}
	d := json.NewDecoder(bytes.NewReader(after))
	var reason string
	if d.Decode(&reason) != nil {
		return rest
	}
	after, ok = bytes.CutPrefix(after[d.InputOffset():], []byte(","))
	if !ok {
		return rest
	}
	return after
}

// record records what is pending of an activity.
func (p *replay) record(ctx context.Context, a *activity) error {
	ps := p.pending[a]
	p.pending[a] = ps[:0]
	if len(ps) == 0 {
		return nil
	}
	b := &batch{since: time.Now(), Batch: canyu.Batch{Participations: ps}}
	a.committer.record(b)
	if b.err != nil {
		return fmt.Errorf("cannot record: %w", b.err)
	}
	p.totals.Accepted += len(ps)
	for _, o := range b.Outcomes {
		if o.Counted {
			p.totals.Counted++
		}
	}
	return ctx.Err()
}
