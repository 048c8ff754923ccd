package ingest

import (
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// What no class does. Nothing here refuses: it holds apart, for a person to look at,
// and it is remembered by this process alone. Each number is far from what the sample
// week (cmd/canyu/testdata) has, and from what people can do at all.
const (
	// Seats of a class one after the other, each by a request of its own: a pupil needs
	// some seconds for the steps. The week's longest run of neighbouring seats, even
	// within five seconds of each other, is two.
	paceGap = time.Second
	// On a page a class takes turns, or its teacher goes through it in order: there the
	// steps have to be clicked, and nobody does that for four pupils in a second.
	paceGapPage = time.Second / 4
	paceStep    = 3 // seats apart, at most
	paceRun     = 9 // steps in the same direction: the tenth seat is held
	// From a place that may stand for everybody, steps that are quicker are none: a
	// proxy, or a program on this machine, may hand on at once what has piled up, and
	// who carries over a list from there does it seat by seat.
	paceLeast   = 12 * time.Millisecond
	paceRunHere = 30

	// Of classes that one sender has run through like that: from then on it is held
	// wherever it goes.
	paceClasses = 2

	// Schools, classes and seats that there are not. In the week a school sends one
	// such line in ten seconds at the most, and all schools together two.
	inventedMost   = 20
	inventedWithin = 10 * time.Second
	inventedShare  = 25 // percent of what the sender sends
	// where nothing tells him from others, behind a proxy that is not known
	inventedMostAll  = 200
	inventedShareAll = 75
	// Of an address, where many are behind it.
	inventedMostOf   = 400
	inventedWithinOf = time.Minute
	inventedShareOf  = 50

	// heldFor is how long a sender is held after the last sign of it.
	heldFor = 10 * time.Minute
)

// One page sends for one pupil at a time, or, with all that has piled up, for many at
// once. The second of these are for those without a page: all lab computers of a
// school, as far as they look alike.
var (
	paceAlone    = limit{every: time.Second, burst: 60}
	paceArrays   = limit{every: 2 * time.Second, burst: 30}
	paceArraysOf = limit{every: time.Second / 2, burst: 200}
)

// lookout remembers how those behave who send.
type lookout struct {
	*clients
	tokens   *pageTokens
	buckets  buckets
	floods   floods
	runs     runs
	suspects suspects
	log      *slog.Logger
	said     atomic.Int64 // minute in which it was last logged

	held, flags, limits *prometheus.CounterVec
}

func newLookout(s *Server) *lookout {
	return &lookout{
		clients: &s.clients, tokens: newPageTokens(s.Secret),
		buckets: buckets{newSlots(16)}, floods: floods{newSlots(17)}, runs: runs{newSlots(16)}, log: s.Log,
		held:   counter("canyu_held_total", "Submissions that were accepted and held apart, by reason.", "activity", "reason"),
		flags:  counter("canyu_flagged_total", "Senders, or senders in one class, that began to be held, by reason.", "activity", "reason"),
		limits: counter("canyu_limited_total", "Requests that were told to come later, by what there was too much of.", "of"),
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (w *lookout) collectors() []prometheus.Collector {
	if w == nil {
		return nil
	}
	return []prometheus.Collector{w.held, w.flags, w.limits}
}

// visitor of a request; token is that of its page, if it sent one.
func (s *Server) visitor(ctx *fasthttp.RequestCtx, token []byte, now time.Time) (v visitor) {
	if s.watch == nil {
		return v
	}
	v = s.watch.of(ctx, now)
	if len(token) > 0 {
		v.page = s.watch.tokens.read(token, now)
	}
	return v
}

// take is accept for one who sends now: it is watched how he behaves. alone says that
// the submission came by itself, not as one of an array.
func (s *Server) take(v *visitor, item *decoded, at time.Time, alone bool) (a *activity, p canyu.Participation, rc receipt, err error) {
	a, p, rc, err = s.accept(item, at)
	switch {
	case s.watch == nil:
	case err != nil:
		s.watch.refused(v, s.activities[item.Activity], err, at)
	default:
		err = s.watch.suspect(v, a, &p, item.Seat, alone)
	}
	return a, p, rc, err
}

// flag says that a sender is held from now on.
func (w *lookout) flag(a *activity, why canyu.Suspicion) {
	w.flags.WithLabelValues(a.ID, why.String()).Inc()
	if minute, said := time.Now().Unix()/60, w.said.Load(); minute == said || !w.said.CompareAndSwap(said, minute) {
		return // a script may be flagged with every request
	}
	w.log.Warn("what somebody sends is held apart from now on: see the pages of the schools", "activity", a.ID, "reason", why)
}

// suspect holds a participation that was accepted, where there is reason to.
func (w *lookout) suspect(v *visitor, a *activity, p *canyu.Participation, seat int, alone bool) error {
	p.Held = w.judge(v, a, p, seat, alone)
	if p.Message != "" {
		switch n := w.floods.add(mix(uint64(p.Participant), uint64(a.pages)), p.Day); {
		case n > messagesMost:
			w.limits.WithLabelValues("seat").Inc()
			return errTooOften
		case n > messagesUsual && p.Held == canyu.Unsuspected:
			p.Held = canyu.Flooding
		}
	}
	if p.Role == canyu.Parent && p.Held == canyu.Unsuspected && w.floods.add(mix(classHash(p.Class), uint64(seat)), p.Day) > parentsUsual {
		p.Held = canyu.Flooding // each name is somebody else, and anybody can make up names
	}
	if p.Held != canyu.Unsuspected {
		w.held.WithLabelValues(a.ID, p.Held.String()).Inc()
	}
	return nil
}

func (w *lookout) judge(v *visitor, a *activity, p *canyu.Participation, seat int, alone bool) canyu.Suspicion {
	client, class, at := v.client(a), classHash(p.Class), p.At
	own := client != v.fine
	least, gap, most := time.Duration(0), paceGap, paceRun
	if own {
		gap = paceGapPage
	}
	if !own && v.place == 0 {
		least, most = paceLeast, paceRunHere
	}
	run := 0
	if alone && seat > 0 {
		of := mix(class, uint64(p.Role))
		run = w.runs.step(mix(v.fine, of), seat, at, least, gap)
		if own { // a script may ask for a page each time, or call itself another browser
			run = max(run, w.runs.step(mix(client, of), seat, at, least, gap))
		}
	}
	if run >= most {
		if w.suspects.hold(mix(client, class), canyu.MachinePace, at) {
			w.flag(a, canyu.MachinePace)
			if w.suspects.again(client, at) >= paceClasses {
				w.suspects.hold(client, canyu.MachinePace, at)
			}
		}
		return canyu.MachinePace
	}
	if alone && own && w.buckets.take(mix(client, 2), paceAlone, at) > 0 {
		return canyu.MachinePace
	}
	if !w.suspects.any(at) {
		return canyu.Unsuspected
	}
	why := w.suspects.held(client, at)
	if why == canyu.Unsuspected {
		why = w.suspects.held(mix(client, class), at)
	}
	if why == canyu.Unsuspected && !own && v.place != 0 {
		why = w.suspects.held(v.place, at)
	}
	if why == canyu.Unsuspected {
		w.suspects.good(v, client, at)
	}
	return why
}

// arrived is told of an array of submissions before they are judged.
func (s *Server) arrived(v *visitor, items []decoded, at time.Time) {
	if s.watch == nil || len(items) == 0 || s.activities[items[0].Activity] == nil {
		return
	}
	w, a := s.watch, s.activities[items[0].Activity]
	client := v.client(a)
	most := paceArrays
	switch {
	case client != v.fine:
	case v.place == 0:
		return // it may be a proxy that stands for every school
	default:
		most = paceArraysOf
	}
	if w.buckets.take(mix(client, 3), most, at) > 0 && w.suspects.hold(client, canyu.MachinePace, at) {
		w.flag(a, canyu.MachinePace)
	}
}

// refused is told of a submission that was refused.
func (w *lookout) refused(v *visitor, a *activity, why error, at time.Time) {
	if a == nil || !invented(why) {
		return
	}
	client := v.client(a)
	most, share := inventedMost, inventedShare
	if client == v.fine && v.place == 0 {
		most, share = inventedMostAll, inventedShareAll
	}
	flagged := w.suspects.bad(client, most, share, inventedWithin, at)
	if client == v.fine && v.place != 0 {
		flagged = w.suspects.bad(v.place, inventedMostOf, inventedShareOf, inventedWithinOf, at) || flagged
	}
	if flagged {
		w.flag(a, canyu.Invented)
	}
}

// invented reports whether a submission named a school, class or seat that there is not.
func invented(why error) bool {
	var fields canyu.InvalidError
	return errors.As(why, &fields) && slices.ContainsFunc(fields, func(f canyu.FieldError) bool {
		return f.Field == "school" || f.Field == "grade" || f.Field == "class" || f.Field == "seat"
	})
}

func classHash(c canyu.Class) uint64 {
	return mix(uint64(c.School), uint64(c.Grade)<<16|uint64(c.Number))
}
