package rollup

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

const (
	idle    = 200 * time.Millisecond // between looks at an empty log
	pace    = time.Second            // after a store that left nothing waiting: fewer, larger ones
	inBurst = 8                      // times as long as a step took, while ingest needs the machine,
	behind  = 3 * time.Second        // but no longer: the archive is to be at most five seconds behind
	longest = 5 * time.Second        // between two tries of what fails
	grace   = 10 * time.Second       // for the last step, after Run was told to end
)

// Worker brings the archives of its activities up to their ledgers. Several
// processes may run one: each activity is done by one of them at a time, and one that
// has some under way leaves others to the rest.
type Worker struct {
	Ledger     canyu.Ledger
	Archive    canyu.Archive
	Activities []*canyu.Activity
	Holder     string // names this process in claims, for whoever looks at them
	// DeadLetters is the folder for entries of the log that cannot go into the
	// archive: see DeadLetter. "": they stay, and hold up what is behind them.
	DeadLetters string
	// GiveWay: ingest is in the same process, and its processors are wanted there first.
	GiveWay bool
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now

	underWay atomic.Int32 // activities whose duty is held or asked for

	mu     sync.Mutex
	status map[string]Status
}

// Status is how far the worker is with one activity, since it was made.
type Status struct {
	Activity       string
	Done           time.Time     // when it last left nothing behind: stored, restated, acknowledged
	Newest         time.Time     // the newest participation that is in the archive
	Lag            time.Duration // age of the oldest participation read that no rollup has yet; 0 when there is none
	Stores         int           // calls of Store that succeeded
	Participations int           // in those calls, repeated ones too
	Rate           float64       // participations a second, lately, while there were any to carry; 0: not known
	Errors         int
	LastError      string // "" after a success

	oldest         time.Time
	carried, spent float64 // participations and seconds, older ones weighing less
}

// worked counts a step of n participations into the rate.
func (s *Status) worked(n int, took time.Duration) {
	const weight = 0.9
	s.carried = s.carried*weight + float64(n)
	s.spent = s.spent*weight + took.Seconds()
	if s.carried > 0 && s.spent > 0 {
		s.Rate = s.carried / s.spent
	}
}

// Status is the state of every activity, in their order.
func (w *Worker) Status() []Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]Status, len(w.Activities))
	for i, a := range w.Activities {
		all[i] = w.status[a.ID]
		all[i].Activity = a.ID
		if oldest := all[i].oldest; !oldest.IsZero() {
			all[i].Lag = max(0, w.now().Sub(oldest))
		}
	}
	return all
}

func (w *Worker) note(activity string, change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == nil {
		w.status = make(map[string]Status)
	}
	s := w.status[activity]
	change(&s)
	w.status[activity] = s
}

func (w *Worker) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

func (w *Worker) log() *slog.Logger { return cmp.Or(w.Log, slog.Default()) }

// Run works until ctx ends, then carries what is left of the log into the archive
// if that is quick, and returns nil. Errors are logged and tried again: they
// concern one activity and end nothing.
func (w *Worker) Run(ctx context.Context) error {
	var activities sync.WaitGroup
	for _, a := range w.Activities {
		activities.Go(func() { w.run(ctx, a.ID) })
	}
	activities.Wait()
	return nil
}

func (w *Worker) run(ctx context.Context, activity string) {
	if w.GiveWay {
		if err := giveWay(); err != nil {
			w.log().Warn("the archive's work takes processors from visitors", "activity", activity, "error", err)
		}
	}
	// A step that has begun is finished after ctx has ended, within the grace.
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()

	s := w.shipment(activity)
	defer func() { s.release(working) }()
	failures := 0
	var b burst
	for ctx.Err() == nil {
		b.begin(w.now(), w.cameSoFar(working, activity))
		n, more, err := s.step(working, false)
		wait := idle
		switch {
		case err != nil:
			failures++
			wait = backoff(failures)
			w.log().Warn("cannot carry participations into the archive; trying again", "activity", activity, "wait", wait, "error", err)
		case n > 0:
			wait = b.rest(w.now(), w.cameSoFar(working, activity), n, more)
		}
		if err == nil && failures > 0 {
			w.log().Info("participations reach the archive again", "activity", activity)
			failures = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	for until := w.now().Add(grace / 2); ; {
		_, more, err := s.step(working, true)
		if err != nil && !errors.Is(err, errBusy) {
			w.log().Warn("the last participations stay in the ledger until the next start", "activity", activity, "error", err)
		}
		if err != nil || !more || w.now().After(until) {
			return
		}
	}
}

// burst tells how long to rest between two steps, from how many take part meanwhile.
type burst struct {
	began, ended         time.Time // of the newest step
	cameBegan, cameEnded int       // into the ledger until then
	slower               float64   // participations a second while resting ÷ while working
}

// begin: a step begins, and came have come into the ledger so far.
func (b *burst) begin(now time.Time, came int) {
	b.slower = 0
	if rested := now.Sub(b.ended); b.cameBegan > 0 && rested >= idle/2 && b.cameEnded > b.cameBegan {
		b.slower = float64(came-b.cameEnded) / rested.Seconds() * b.ended.Sub(b.began).Seconds() / float64(b.cameEnded-b.cameBegan)
	}
	b.began, b.cameBegan = now, came
}

// rest is for how long the machine is ingest's after a step of n participations. That is
// most of the time where fewer come in while rollup works than while it rests: they want
// the same machine, and the archive catches up when the burst ends. Else the archive may
// be a little behind, for larger steps cost less.
func (b *burst) rest(now time.Time, came, n int, more bool) time.Duration {
	const harm = 1.25
	took := now.Sub(b.began)
	fresh := came - b.cameEnded // since the end of the step before
	first := b.ended.IsZero()
	b.ended, b.cameEnded = now, came

	burst := !first && fresh > n/2
	switch {
	case burst && b.slower > harm:
		return max(pace, min(behind, inBurst*took))
	case burst && more:
		return idle
	case more:
		return 0
	case burst: // who comes now waits for the rest, for one step and perhaps for another
		return max(idle, min(max(pace, inBurst*took), behind-2*took))
	default:
		return pace
	}
}

// cameSoFar is how many took part until now; 0 where the ledger does not say.
func (w *Worker) cameSoFar(ctx context.Context, activity string) int {
	total, err := w.Ledger.Total(ctx, activity)
	if err != nil {
		return 0
	}
	return total
}

// backoff doubles from the idle time, and differs a little each time so that many
// workers do not come back at once.
func backoff(failures int) time.Duration {
	d := min(longest, idle<<min(failures, 10))
	return d/2 + rand.N(d/2)
}

// Drain carries everything that is in the logs now into the archive: stored,
// restated and acknowledged when it returns nil. Where another process is at it,
// it waits for that one.
func (w *Worker) Drain(ctx context.Context) error {
	for _, a := range w.Activities {
		s := w.shipment(a.ID)
		err := s.drain(ctx)
		s.release(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
	}
	return nil
}

// Await waits until what is in the logs now was carried over, as Drain leaves it, by
// the process whose work that is.
func (w *Worker) Await(ctx context.Context) error {
	for _, a := range w.Activities {
		o := others{ledger: w.Ledger, activity: a.ID}
		for done := false; !done; {
			var err error
			if done, err = o.done(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shipment) drain(ctx context.Context) error {
	o := others{ledger: s.w.Ledger, activity: s.activity}
	for {
		_, more, err := s.step(ctx, true)
		switch {
		case err == nil && !more:
			return nil
		case err == nil:
			continue
		case !errors.Is(err, errBusy):
			return err
		}
		if done, err := o.done(ctx); done || err != nil {
			return err
		}
	}
}

// others is what somebody else carries over: what was in the logs at the first look.
type others struct {
	ledger   canyu.Ledger
	activity string
	looked   bool
	ends     []canyu.LogEnd
}

// done looks whether nothing of it is left, and waits a moment where something is.
func (o *others) done(ctx context.Context) (bool, error) {
	var err error
	if !o.looked {
		o.ends, err = canyu.LogEnds(ctx, o.ledger, o.activity)
		o.looked = err == nil
	} else {
		o.ends, err = canyu.StillInLog(ctx, o.ledger, o.activity, o.ends)
	}
	if err != nil || len(o.ends) == 0 {
		return true, err
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(idle):
		return false, nil
	}
}
