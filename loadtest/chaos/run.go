package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Pair is which engines are under test.
type Pair string

// The pairs of engines.
const (
	Embedded    Pair = "embedded"
	Distributed Pair = "distributed"
)

// Options are what a run is made of.
type Options struct {
	Canyu    string   // the program under test
	Env      []string // added to its environment
	Pair     Pair
	Seed     uint64
	Duration time.Duration // of load and faults; reconciliation comes after it
	Kills    int
	Faults   []Fault
	Modes    []Mode        // of the network, each at least once; all by default
	Edge     string        // how the names of the edges begin that faults happen to
	Away     time.Duration // how long the fault Away lasts
	Outage   *Outage       // instead of all other faults; of the distributed pair
	Clients  int
	Rate     float64       // submissions per second, at most
	Redis    Topology      // of the distributed pair: single
	Archive  Topology      // of the distributed pair, which is ClickHouse: single
	Fsync    string        // Redis' appendfsync: always
	Patience time.Duration // at the end, for what must come right by itself
	Keep     bool          // the folder; it is kept anyway where something differs
	Log      io.Writer
}

// Result is what a run found.
type Result struct {
	Pair         Pair
	Redis        Topology
	Seed         uint64
	Took         time.Duration // all of it
	Load         time.Duration
	Kills        int
	Faults       int
	Looks        int // at live counts during the faults
	Acknowledged int // submissions answered 2xx
	Participants int
	Rows         []Row
	Differences  []Difference   // the first of each kind
	Found        map[string]int // how many there are of each kind
	Outage       *Outage        // with what was seen
	Left         []Fault        // that cannot be made here
	Moves        *Moves         // of a Redis of several processes
	Dir          string         // "" where it is gone
}

// ErrDifference is returned where a promise was not kept.
var ErrDifference = errors.New("what was acknowledged and what was counted differ")

// Run breaks a world and reconciles. The error is nil, ErrDifference, or about the
// harness itself.
func Run(ctx context.Context, o Options) (res *Result, err error) {
	if o.Fsync == "" {
		o.Fsync = fsyncAlways
	}
	if o.Redis == "" {
		o.Redis = Single
	}
	if o.Faults == nil {
		o.Faults = usual
		if o.Redis != Single {
			o.Faults = slices.Concat(usual, together)
		}
	}
	if o.Outage != nil {
		o.Faults, o.Duration = nil, o.Outage.duration(o.Patience)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	began := time.Now()
	dir, err := os.MkdirTemp("", "canyu-chaos-")
	if err != nil {
		return nil, err
	}
	res = &Result{Pair: o.Pair, Redis: o.Redis, Seed: o.Seed, Dir: dir}
	defer func() {
		if err == nil && !o.Keep {
			err = os.RemoveAll(dir)
			res.Dir = ""
		}
		res.Took = time.Since(began)
	}()
	journal, err := os.Create(filepath.Join(dir, "journal"))
	if err != nil {
		return res, err
	}
	defer journal.Close()
	log := func(format string, args ...any) {
		fmt.Fprintf(journal, "%8.3f %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}

	// Nobody runs out of people: those who took part at full rate all the time.
	classes := makeClasses(int(o.Rate*o.Duration.Seconds()*0.8) + 1000)
	people := makePeople(classes)
	w, err := newWorld(ctx, &o, dir, classes)
	if err != nil {
		return res, fmt.Errorf("cannot start (see %s): %w", dir, err)
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, w.close())
		}
	}()
	began = time.Now()
	plan := Plan(PlanOptions{Seed: o.Seed, Duration: o.Duration, Kills: o.Kills, Faults: o.Faults, Modes: o.Modes, Away: o.Away, Targets: w.targets})
	if o.Outage != nil {
		res.Outage, plan = o.Outage, o.Outage.plan()
	}
	for _, e := range plan {
		log("planned: %s", e)
	}
	for _, f := range o.Faults {
		if w.targets(f) == 0 && (f == Power || f == Blackout || f == Full || f == Clock && w.redis != nil || w.several != nil || slices.Contains(together, f)) {
			res.Left = append(res.Left, f)
		}
	}
	b := newBook(classes, people)
	in := &injector{w: w, log: log, book: b}
	c := &crowd{book: b, source: newSource(o.Seed, people, len(classes)), rate: o.Rate}
	for _, d := range w.doors {
		c.doors = append(c.doors, d.Addr())
	}
	res.Looks = breakAndLoad(ctx, &o, in, c, plan)
	in.heal()
	if w.several != nil {
		res.Moves = &in.moves
	}
	res.Load = time.Since(b.began)
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	log("faults are over")

	r := &reconciliation{book: b, w: w, crowd: c, patience: o.Patience, log: log}
	r.run(ctx)
	closed = true
	if err := w.close(); err != nil {
		b.differ("unsettled", "at the end: %v", err)
	}
	b.fill(res, plan)
	for _, d := range res.Differences {
		log("DIFFERENCE %s", d)
	}
	if len(res.Differences) > 0 {
		return res, ErrDifference
	}
	return res, nil
}

// breakAndLoad returns when both are over, and how often live counts were seen.
func breakAndLoad(ctx context.Context, o *Options, in *injector, c *crowd, plan []Event) (looks int) {
	ctx, over := context.WithCancel(ctx)
	defer over()
	loading, enough := context.WithCancel(ctx)
	defer enough()
	if in.w.several == nil {
		defer time.AfterFunc(o.Duration, enough).Stop()
	}
	var outage sync.WaitGroup
	defer outage.Wait()
	if o.Outage != nil {
		outage.Go(func() { o.Outage.watch(loading, in.book, c.doors[0], enough) })
	}
	progress := time.NewTicker(10 * time.Second)
	defer progress.Stop()
	loaded, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(loaded)
		in.run(ctx, plan)
		if in.w.several != nil { // one fault after the other: the load lasts as long as they do
			sleep(loading, time.Until(in.book.began.Add(o.Duration)))
			enough()
		}
		<-loading.Done()
	}()
	go func() {
		defer close(watched)
		looks = in.book.watch(ctx, c.doors)
	}()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		c.run(loading, o.Clients)
	}()
	for {
		select {
		case <-loaded:
			<-finished
			over()
			<-watched
			return looks
		case <-progress.C:
			fmt.Fprintf(o.Log, "%s: %s\n", o.Pair, in.book.progress())
		}
	}
}

func (b *book) progress() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults := 0
	for _, r := range b.rows {
		faults += r.Times
	}
	return fmt.Sprintf("%.0f s, %d faults, %d submissions acknowledged, %d unknown, %d differences",
		time.Since(b.began).Seconds(), faults, b.acknowledged, len(b.open), len(b.differences))
}

// fill is what the book says at the end.
func (b *book) fill(res *Result, plan []Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range plan {
		res.Faults++
		if e.Fault == Kill {
			res.Kills++
		}
	}
	for i := range b.people {
		if b.people[i].acked {
			res.Participants++
		}
	}
	res.Acknowledged, res.Rows, res.Differences, res.Found = b.acknowledged, b.rows, b.differences, b.found
}
