package ingest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canyu/canyu"
)

// hub has one watch for each school or region that somebody looks at.
type hub struct {
	s       *Server
	most    int
	closing chan struct{}
	running sync.WaitGroup
	boards  map[string]*board // by activity
	reads   prometheus.Histogram
	turn    chan struct{} // who holds it reads a large region

	mu      sync.Mutex
	closed  bool
	viewers int
	watches map[watchKey]*watch
}

type watchKey struct {
	activity string
	scope
}

// watch reads one school or region, once for all its viewers.
type watch struct {
	hub     *hub
	a       *activity
	board   *board
	where   scope
	viewers [shownKinds]int // guarded by hub.mu
	out     [shownKinds]atomic.Pointer[event]

	// What was read last; only the watch's own goroutine knows it.
	roster  *canyu.Roster
	schools []*canyu.School
	classes []canyu.Class
	tallies []canyu.Tally // nil: never read
	archive *archived
	view    liveView
	told    time.Time // when the newest event was made
	readAt  time.Time
	took    time.Duration
}

// event is the newest that a watch has to tell, ready for the wire.
type event struct {
	number uint64 // of the counts; a beat has that of the counts before it
	counts []byte
	beat   []byte        // nil where the counts are new
	last   bool          // there are no more
	next   chan struct{} // closed when there is a newer one
}

type liveView struct {
	countsView
	liveState
}

type liveState struct {
	Live  bool   `json:"live"`
	State string `json:"state"` // live, away, spooled
	Now   string `json:"now"`
	Every int    `json:"every"` // seconds between two readings
}

// States of a watch.
const (
	stateLive    = "live"
	stateAway    = "away"    // the ledger cannot be read, or may lack what it had
	stateSpooled = "spooled" // submissions of this node are not in it yet
)

// perClass is what a busy ledger may take for a class: the deadline of a province.
const perClass = 100 * time.Microsecond

func newHub(s *Server, most int) *hub {
	if most == 0 {
		most = mostViewers
	}
	h := &hub{
		s: s, most: most, closing: make(chan struct{}), turn: make(chan struct{}, 1),
		watches: make(map[watchKey]*watch), boards: make(map[string]*board),
		reads: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "canyu_live_read_seconds",
			Help:    "Time to read a watched school or region from the ledger, once for all its viewers.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 13),
		}),
	}
	for id, a := range s.activities {
		h.boards[id] = newBoard(s, a)
	}
	return h
}

func (h *hub) collectors() []prometheus.Collector {
	gauge := func(name, help string, n func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(n())
		})
	}
	return []prometheus.Collector{
		h.reads,
		gauge("canyu_live_viewers", "Live streams that are open.", func() int { return h.viewers }),
		gauge("canyu_live_watched", "Schools and regions that somebody watches.", func() int { return len(h.watches) }),
	}
}

func (h *hub) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed || h.viewers >= h.most
}

// join adds a viewer, to a watch that is made if it is the first; nil when the server
// ends.
func (h *hub) join(key watchKey, how shown) *watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	w := h.watches[key]
	if w == nil {
		w = &watch{hub: h, a: h.s.activities[key.activity], board: h.boards[key.activity], where: key.scope}
		for i := range w.out {
			w.out[i].Store(&event{next: make(chan struct{})})
		}
		h.watches[key] = w
		h.running.Go(func() { w.run(key) })
	}
	h.viewers++
	w.viewers[how]++
	return w
}

func (h *hub) leave(w *watch, how shown) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers--
	w.viewers[how]--
}

// run keeps the boards until ctx ends.
func (h *hub) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, b := range h.boards {
		wg.Go(func() { b.run(ctx, h) })
	}
	wg.Wait()
}

// schools are all that are watched of an activity.
func (h *hub) schools(activity string) []canyu.SchoolCode {
	h.mu.Lock()
	var scopes []scope
	for key := range h.watches {
		if key.activity == activity {
			scopes = append(scopes, key.scope)
		}
	}
	h.mu.Unlock()
	var codes []canyu.SchoolCode
	for _, where := range scopes {
		for _, sc := range where.in(h.s.roster()) {
			codes = append(codes, sc.Code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// close ends every stream.
func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.closing)
	}
	h.mu.Unlock()
	h.running.Wait()
}

// watched is who looks at it; a watch that nobody looks at is forgotten.
func (h *hub) watched(key watchKey, w *watch) (viewers [shownKinds]int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	viewers = w.viewers
	if viewers == [shownKinds]int{} {
		delete(h.watches, key)
		return viewers, false
	}
	return viewers, true
}

// run reads once a second, and less often what takes long to read: a county of 9,000
// classes takes some 60 ms of two processors in Redis, a province ten times that. One
// region is read for no more than a twentieth of the time, and all that are large
// together for no more than a tenth; the first reading waits for nobody. The second
// comes after any part of a second: what many begin to watch at once, as after a
// restart, is read all through the second from then on, and not in one rush that
// submissions would have to wait for.
func (w *watch) run(key watchKey) {
	for first := true; ; first = false {
		viewers, ok := w.hub.watched(key, w)
		if !ok {
			return
		}
		if w.hub.s.down(key.activity, canyu.SwitchPage) {
			w.hub.end(key, w)
			return
		}
		large := len(w.classes) > largeRegion
		if large {
			select {
			case w.hub.turn <- struct{}{}:
			case <-w.hub.closing:
				return
			}
		}
		started := time.Now()
		w.look(viewers)
		if large {
			time.AfterFunc(9*w.took, func() { <-w.hub.turn })
		}
		every := max(w.hub.every(w.a), 20*w.took)
		if first {
			every = rand.N(every)
		}
		next := time.NewTimer(every - time.Since(started))
		select {
		case <-next.C:
		case <-w.hub.closing:
			next.Stop()
			return
		}
	}
}

// largeRegion is how many classes are read in turn.
const largeRegion = 1000

// look reads, and tells the viewers if anything has changed.
func (w *watch) look(viewers [shownKinds]int) {
	changed := w.read()
	fresh := changed
	for how := range w.out {
		fresh = fresh || viewers[how] > 0 && w.out[how].Load().number == 0
	}
	if !fresh && time.Since(w.told) < beatEvery-liveEvery/2 {
		return
	}
	w.told = time.Now()
	for how := range w.out {
		if viewers[how] > 0 || w.out[how].Load().number > 0 {
			w.tell(shown(how), fresh)
		}
	}
}

// tell makes the next event.
func (w *watch) tell(how shown, fresh bool) {
	was := w.out[how].Load()
	e := &event{number: was.number, counts: was.counts, next: make(chan struct{})}
	if fresh {
		e.number++
		e.counts = sse("", w.shown(how))
	} else {
		e.beat = sse("beat", struct {
			AsOf string `json:"as_of"`
			liveState
		}{w.view.AsOf, w.view.liveState})
	}
	w.out[how].Store(e)
	close(was.next)
}

// end tells the viewers of a watch to go; those who come later have another one.
func (h *hub) end(key watchKey, w *watch) {
	h.mu.Lock()
	delete(h.watches, key)
	h.mu.Unlock()
	for how := range w.out {
		was := w.out[how].Load()
		w.out[how].Store(&event{number: was.number, counts: was.counts, last: true, next: make(chan struct{})})
		close(was.next)
	}
}

// shown is the view as it is told; numbers that were never read are null.
func (w *watch) shown(how shown) any {
	if w.tallies == nil {
		return struct {
			Activity     string           `json:"activity"`
			School       canyu.SchoolCode `json:"school,omitzero"`
			Region       canyu.Region     `json:"region,omitzero"`
			Participants *people          `json:"participants"`
			Spooled      int              `json:"spooled,omitempty"`
			AsOf         *string          `json:"as_of"`
			liveState
		}{w.a.ID, w.where.school, w.where.region, nil, w.view.Spooled, nil, w.view.liveState}
	}
	v := w.view
	v.countsView = w.hub.s.public(w.a, v.countsView, w.where, how)
	return v
}

func sse(name string, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // made of our own types
		panic("BUG: " + err.Error())
	}
	var b []byte
	if name != "" {
		b = append(append(append(b, "event: "...), name...), '\n')
	}
	return append(append(append(b, "data: "...), body...), "\n\n"...)
}

// read asks the ledger and reports whether there is anything to tell.
func (w *watch) read() (changed bool) {
	s := w.hub.s
	schools, classes, roster := w.schools, w.classes, s.roster()
	if roster != w.roster { // read anew every few seconds, and mostly the same
		if found := w.where.in(roster); !slices.EqualFunc(found, schools, sameSchool) {
			schools, classes, changed = found, classesOf(found), true
		}
	}
	deadline, cancel := context.WithTimeout(context.Background(), attempt+time.Duration(len(classes))*perClass)
	defer cancel()
	started := time.Now()
	tallies, err := s.tallies(deadline, w.a, classes)
	w.took = time.Since(started)
	every := max(w.hub.every(w.a), 20*w.took)
	if !w.readAt.IsZero() {
		every = max(every, started.Sub(w.readAt))
	}
	w.readAt = started
	w.hub.reads.Observe(w.took.Seconds())
	now := s.now().In(w.a.Zone).Format(time.RFC3339)
	spooled, state := w.a.spooled(), stateLive
	if spooled > 0 {
		state = stateSpooled
	}
	if err != nil {
		state, changed = stateAway, false
	} else {
		archive := w.board.sum(schools, w.tallies == nil)
		changed = changed || w.tallies == nil || !slices.Equal(tallies, w.tallies) || !archive.same(w.archive)
		w.roster, w.schools, w.classes, w.tallies, w.archive = roster, schools, classes, tallies, archive
		if changed {
			w.view.countsView = w.a.view(w.where, schools, tallies)
			if len(w.view.Regions) > 0 {
				w.view.Schools = nil
			}
			if archive != nil {
				w.view.archived(w.a, *archive)
			}
		}
		w.view.AsOf = now
	}
	changed = changed || state != w.view.State || spooled != w.view.Spooled
	w.view.Spooled = spooled
	w.view.liveState = liveState{state == stateLive, state, now, int(every.Round(time.Second).Seconds())}
	return changed
}

// in is the schools of the scope.
func (w scope) in(r *canyu.Roster) []*canyu.School {
	if w.school == 0 {
		return r.Schools(w.region)
	}
	if sc := r.School(w.school); sc != nil {
		return []*canyu.School{sc}
	}
	return nil
}

func sameSchool(x, y *canyu.School) bool {
	return x == y || x.Code == y.Code && x.Region == y.Region && x.Name == y.Name && slices.Equal(x.Classes, y.Classes)
}
