package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// result is what became of a submission.
type result struct {
	Counted bool
	Ordinal uint64 // of the counted, 0 where the activity keeps its count to itself
	Receipt receipt
	// Accepted: durable in the spool, while the ledger is away. Whether it is the
	// first of its participant, and its ordinal, are not known yet.
	Accepted bool
	Held     bool // durable, and kept apart until a person has looked at it
}

// participations is POST /v1/participations.
func (s *Server) participations(ctx *fasthttp.RequestCtx) {
	if p := s.unreadable(ctx); p != nil {
		s.metrics.refused(p.outcome)
		p.write(ctx)
		return
	}
	now := s.now()
	v := s.visitor(ctx, ctx.Request.Header.Peek(pageHeader), now)
	if p := s.limited(&v, now); p != nil {
		s.metrics.refused(p.outcome)
		p.write(ctx)
		return
	}
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	if err := d.decode(ctx.PostBody()); err != nil {
		p := problemOf(err)
		s.metrics.refused(p.outcome)
		p.write(ctx)
		return
	}
	if d.array {
		s.arrived(&v, d.items, now)
		s.participationArray(ctx, &v, d.items)
		return
	}
	item := &d.items[0]
	a, p, rc, err := s.take(&v, item, now, true)
	if err == nil {
		var outcomes []canyu.Outcome
		if outcomes, err = a.commit(p); err == nil {
			res := a.result(outcomes, 0, rc, p.Held)
			ctx.SetStatusCode(res.status())
			ctx.Response.Header.SetContentTypeBytes(contentTypeJSON)
			ctx.SetBody(append(res.append(make([]byte, 0, 80)), '}'))
			return
		}
	}
	refusal := problemOf(err)
	s.metrics.refused(refusal.outcome)
	refusal.write(ctx)
}

var (
	contentTypeJSON = []byte("application/json")
	jsonCharset     = []byte("application/json;")
)

// unreadable is why a request cannot carry submissions, or nil.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx) *problem {
	kind := ctx.Request.Header.ContentType()
	if !bytes.EqualFold(kind, contentTypeJSON) &&
		(len(kind) < len(jsonCharset) || !bytes.EqualFold(kind[:len(jsonCharset)], jsonCharset)) {
		return newProblem(415, "media_type", "Wrong content type", "Content-Type: want application/json")
	}
	if len(ctx.Request.Header.ContentEncoding()) > 0 {
		return newProblem(415, "media_type", "Wrong content encoding", "Content-Encoding: want none")
	}
	return nil
}

// accept checks a submission that arrived at instant at, and makes the
// participation that is to be recorded.
func (s *Server) accept(item *decoded, at time.Time) (a *activity, p canyu.Participation, rc receipt, err error) {
	a = s.activities[item.Activity]
	if a == nil {
		if item.Activity == "" {
			return nil, p, rc, append(item.bad, canyu.FieldError{Field: "activity", Reason: "missing"})
		}
		return nil, p, rc, canyu.ErrUnknownActivity
	}
	if s.classes.Load() == nil {
		return nil, p, rc, errAway // nobody can be checked against a roster that is not there
	}
	class, role, err := item.Validate(a.Activity, s.roster(), at)
	if err == nil && item.bad != nil {
		err = item.bad
	}
	if err != nil {
		err = joined(item.bad, err)
		a.refusals.add(a.Activity, s.roster(), item.School, at, err)
		return nil, p, rc, err
	}
	id, err := a.identity()
	if err != nil {
		return nil, p, rc, err
	}
	participant, rc := id.participant(&item.Submission, class, role)
	at = at.Truncate(time.Millisecond)
	return a, canyu.Participation{
		Class:       class,
		Role:        role,
		Participant: participant,
		ID:          submissionID(item.ID),
		At:          at,
		Day:         a.DayOf(at),
		Message:     item.Message,
	}, rc, nil
}

// joined adds to the fields that could not be read those that are wrong.
func joined(bad canyu.InvalidError, err error) error {
	var invalid canyu.InvalidError
	if len(bad) == 0 || !errors.As(err, &invalid) {
		return err
	}
	named := make(map[string]bool)
	for _, f := range bad {
		named[f.Field] = true
	}
	for _, f := range invalid {
		if !named[f.Field] {
			bad = append(bad, f)
		}
	}
	return bad
}

// result of participation i of a commit, which is told to the metrics.
func (a *activity) result(outcomes []canyu.Outcome, i int, rc receipt, held canyu.Suspicion) result {
	if held != canyu.Unsuspected {
		return result{Held: true, Receipt: rc} // the watch has its own metrics
	}
	if outcomes == nil {
		a.outcomes.accepted.Inc()
		return result{Accepted: true, Receipt: rc}
	}
	a.outcomes.tell(outcomes[i])
	r := result{Counted: outcomes[i].Counted, Receipt: rc}
	if !a.unnumbered.Load() {
		r.Ordinal = outcomes[i].Ordinal
	}
	return r
}

func (r *result) status() int {
	switch {
	case r.Accepted, r.Held:
		return fasthttp.StatusAccepted
	case r.Counted:
		return fasthttp.StatusCreated
	}
	return fasthttp.StatusOK
}

// append appends {"counted":true,"ordinal":…,"receipt":"…" without the last brace.
func (r *result) append(b []byte) []byte {
	switch {
	case r.Held:
		b = append(b, `{"state":"held"`...)
	case r.Accepted:
		b = append(b, `{"state":"accepted"`...)
	case r.Counted:
		b = append(b, `{"counted":true`...)
		if r.Ordinal != 0 {
			b = strconv.AppendUint(append(b, `,"ordinal":`...), r.Ordinal, 10)
		}
	default:
		b = append(b, `{"counted":false`...)
	}
	b = append(b, `,"receipt":"`...)
	b = append(b, r.Receipt[:]...)
	return append(b, '"')
}

// participationArray answers one result for each item, in order, each with its
// status. Items of one activity are recorded together.
func (s *Server) participationArray(ctx *fasthttp.RequestCtx, v *visitor, items []decoded) {
	type slot struct {
		result
		a    *activity
		held canyu.Suspicion
		err  error
	}
	slots := make([]slot, len(items))
	groups := make(map[*activity][]canyu.Participation)
	at := s.now()
	for i := range items {
		var p canyu.Participation
		slots[i].a, p, slots[i].Receipt, slots[i].err = s.take(v, &items[i], at, false)
		if slots[i].err == nil {
			slots[i].held = p.Held
			groups[slots[i].a] = append(groups[slots[i].a], p)
		}
	}
	for a, ps := range groups {
		outcomes, err := a.commit(ps...)
		n := 0
		for i := range slots {
			if sl := &slots[i]; sl.a == a && sl.err == nil {
				if sl.err = err; err == nil {
					sl.result = a.result(outcomes, n, sl.Receipt, sl.held)
				}
				n++
			}
		}
	}
	body := append(make([]byte, 0, 100*len(items)+20), `{"results":[`...)
	for i, sl := range slots {
		if i > 0 {
			body = append(body, ',')
		}
		if sl.err != nil {
			p := problemOf(sl.err)
			s.metrics.refused(p.outcome)
			text, _ := json.Marshal(p) // strings and numbers only
			body = append(body, text...)
			if p.retryAfter != "" {
				ctx.Response.Header.Set("Retry-After", p.retryAfter)
			}
			continue
		}
		body = append(sl.append(body), `,"status":`...)
		body = append(strconv.AppendInt(body, int64(sl.status()), 10), '}')
	}
	body = append(body, `]}`...)
	ctx.Response.Header.SetContentTypeBytes(contentTypeJSON)
	ctx.SetBody(body)
}

// submit takes one submission of the student page the same way.
func (s *Server) submit(v *visitor, sub *canyu.Submission) (result, error) {
	a, p, rc, err := s.take(v, &decoded{Submission: *sub}, s.now(), true)
	if err == nil {
		var outcomes []canyu.Outcome
		if outcomes, err = a.commit(p); err == nil {
			return a.result(outcomes, 0, rc, p.Held), nil
		}
	}
	s.metrics.refused(problemOf(err).outcome)
	return result{}, err
}
