package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// injector makes the faults of a plan happen to a world.
type injector struct {
	w    *world
	log  func(format string, args ...any)
	book *book

	// power is held by a fault that takes from an ingest node what it has not synced,
	// or from Redis what it has: see alone.
	power sync.Mutex
	cut   bool // an ingest node's power, at least once

	redis sync.Mutex // held by a fault of several Redis processes: see together
	moves Moves      // under redis

	mu     sync.Mutex
	active []int // rows of the book, the newest last
}

// longGone are the kinds that Away happens to, in the order of its targets.
var longGone = []string{"clickhouse", "redis", "zookeeper"}

// nodesOf are the processes that a fault can happen to. Each kind gets its share:
// of two nodes of one kind every second turn.
func (w *world) nodesOf(f Fault) []*node {
	if w.several != nil && !slices.Contains(w.several.can(), f) {
		return nil
	}
	var kinds []string
	disk := false
	switch f {
	case Kill, Stop:
		kinds = []string{"ingest", "rollup", "redis", "clickhouse", "server", "sentinel"}
	case Failover, Reshard, Rolling:
		if w.several != nil {
			kinds = []string{"redis"}
		}
	case Power, Full, Blackout:
		kinds, disk = []string{"redis", "ingest", "server"}, f != Blackout || w.fsync == fsyncAlways
	case Memory, ReadOnly, Empty, Older:
		kinds = []string{"redis"}
	case Clock:
		if w.clock != nil {
			kinds = []string{"redis"}
		}
	case Away:
		kinds = longGone
	}
	byKind := make(map[string][]*node)
	for _, n := range w.nodes {
		if !disk || n.disk.real() {
			byKind[n.kind] = append(byKind[n.kind], n)
		}
	}
	most := 0
	for _, k := range kinds {
		most = max(most, len(byKind[k]))
	}
	var nodes []*node
	for i := range most {
		for _, k := range kinds {
			if of := byKind[k]; len(of) > 0 {
				nodes = append(nodes, of[i%len(of)])
			}
		}
	}
	return nodes
}

func (w *world) targets(f Fault) int {
	if f == Network && w.several == nil {
		return len(w.breakable)
	}
	return len(w.nodesOf(f))
}

// run makes every event happen at its time, and returns when all are over.
func (in *injector) run(ctx context.Context, plan []Event) {
	began := time.Now()
	var wait sync.WaitGroup
	for _, e := range plan {
		wait.Go(func() {
			if !sleep(ctx, time.Until(began.Add(e.At))) {
				return
			}
			switch e.Fault {
			case Network:
				in.network(ctx, in.w.breakable[e.Target], e)
			case Blackout:
				in.alone(ctx, e, func() { in.blackout(ctx, e) })
			default:
				n := in.w.nodesOf(e.Fault)[e.Target]
				if in.w.several != nil && slices.Contains(in.w.several.nodes(), n) {
					in.together(ctx, n, e)
					return
				}
				if e.Fault == Empty || e.Fault == Older || e.Fault == Power && n.kind == "ingest" {
					in.alone(ctx, e, func() { in.happen(ctx, n, e) })
					return
				}
				in.happen(ctx, n, e)
			}
		})
	}
	wait.Wait()
}

// alone keeps two faults apart that no promise stands up to together: what Redis
// acknowledged and the archive does not have yet is on the ingest node as well, where
// it survives a kill and not a power cut. So Redis does not lose its data until what
// was recorded before the last power cut is archived, and no power is cut until the
// nodes have given back.
func (in *injector) alone(ctx context.Context, e Event, happen func()) {
	in.power.Lock()
	defer in.power.Unlock()
	if e.Fault == Power || e.Fault == Blackout {
		in.cut = true
		happen()
		return
	}
	if in.cut && !in.archived(ctx) {
		in.log("%s did not happen: the archive does not come up to the last power cut", e.Fault)
		return
	}
	in.cut = false
	happen()
	sleep(ctx, min(5*time.Second, e.For*5))
}

// archived waits until everything that Redis has now is in the archive.
func (in *injector) archived(ctx context.Context) bool {
	const log = "canyu{" + activityID + "/0}log"
	newest := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && sleep(ctx, 50*time.Millisecond); {
		if newest == "" {
			if last, err := in.w.redis.XRevRangeN(ctx, log, "+", "-", 1).Result(); err == nil {
				if len(last) == 0 {
					return true
				}
				newest = last[0].ID
			}
			continue
		}
		if left, err := in.w.redis.XRangeN(ctx, log, "-", newest, 1).Result(); err == nil && len(left) == 0 {
			return true
		}
	}
	return false
}

func (in *injector) network(ctx context.Context, p *Proxy, e Event) {
	p.fault.Lock()
	defer p.fault.Unlock()
	defer in.during(string(e.Mode) + ", " + p.Name)()
	in.log("%s: %s for %s", p.Name, e.Mode, e.For.Round(time.Millisecond))
	p.Set(e.Condition)
	sleep(ctx, e.For)
	p.Set(Condition{Mode: Pass})
}

// blackout is a power cut of everything. Without disks of its own a harness cannot
// know what was not synced; where Redis does not sync at all, it is the last second, and
// what the nodes keep to give back to a Redis that lost it, which they never sync.
func (in *injector) blackout(ctx context.Context, e Event) {
	for _, n := range in.w.nodes {
		n.fault.Lock()
		defer n.fault.Unlock()
	}
	defer in.during("blackout, everything")()
	in.log("blackout for %s", e.For.Round(time.Millisecond))
	cut := func(d *disk) error { return d.cut() }
	if !in.w.nodes[0].disk.real() {
		redis, kept := in.w.nodes[0].disk, filepath.Join(in.w.dir, "synced")
		if err := redis.keep(kept); err != nil {
			in.book.differ("setup", "blackout: %v", err)
		}
		sleep(ctx, time.Second)
		cut = func(d *disk) error {
			if d != redis {
				return d.forget("spool/tail-*")
			}
			return errors.Join(d.bring(kept), os.RemoveAll(kept))
		}
	}
	for _, n := range in.w.nodes {
		n.allowed.Lock()
		defer n.allowed.Unlock()
	}
	for _, n := range in.w.nodes {
		if r := n.alive(); r != nil {
			_ = r.cmd.Process.Kill() // it may have ended just now
		}
	}
	for _, n := range in.w.nodes {
		if r := n.alive(); r != nil {
			<-r.exited
		}
		if n.disk != nil {
			if err := cut(n.disk); err != nil {
				in.book.differ("setup", "blackout: %v", err)
			}
		}
	}
	sleep(ctx, e.For)
}

// happen lets a fault happen to a process, after those that it is busy with.
func (in *injector) happen(ctx context.Context, n *node, e Event) {
	n.fault.Lock()
	defer n.fault.Unlock()
	patience := 30 * time.Second
	if e.Early && (e.Fault == Kill || e.Fault == Power) {
		patience = 50 * time.Millisecond // also while it starts
	}
	r := n.serving(ctx, patience)
	if ctx.Err() != nil {
		return
	}
	for looks := 0; r == nil && looks < 1000; looks++ { // between two starts
		if r = n.alive(); r == nil && !sleep(ctx, 10*time.Millisecond) {
			return
		}
	}
	name := map[Fault]string{Kill: "kill -9", Stop: "SIGSTOP", Power: "power cut", Full: "disk full", Memory: "out of memory",
		ReadOnly: "read-only", Clock: "wrong clock", Away: "away", Empty: "lost its data", Older: "older data",
		Failover: "failover"}[e.Fault]
	if r == nil {
		in.log("%s: %s did not happen: the process does not start", n.name, name)
		in.book.differ("setup", "%s: %s did not happen: the process does not start", n.name, name)
		return
	}
	defer in.during(name + ", " + n.kind)()
	in.log("%s: %s for %s", n.name, name, e.For.Round(time.Millisecond))
	if err := in.apply(ctx, n, r, e); err != nil {
		in.log("%s: %s: %v", n.name, name, err)
		in.book.differ("setup", "%s: %s: %v", n.name, name, err)
	}
}

func (in *injector) apply(ctx context.Context, n *node, r *run, e Event) error {
	gone := func(what func() error) error {
		for range 500 { // a process may end by itself just when it was looked at
			err := n.kill(ctx, func() error {
				err := what()
				sleep(ctx, e.For)
				return err
			})
			if !errors.Is(err, errNotThere) || !sleep(ctx, 20*time.Millisecond) {
				return err
			}
		}
		return errNotThere
	}
	nothing := func() error { return nil }
	switch e.Fault {
	case Kill, Away:
		return gone(nothing)
	case Failover:
		return gone(func() error { return in.followed(ctx, n) })
	case Stop:
		if err := freeze(r.cmd.Process); err != nil {
			return nil // it has ended by itself
		}
		sleep(ctx, e.For)
		_ = thaw(r.cmd.Process) // nobody else ends a process that is stopped
		return nil
	case Power:
		return gone(n.disk.cut)
	case Full:
		err := n.disk.fill()
		sleep(ctx, e.For)
		return errors.Join(err, n.disk.free())
	case Memory:
		return in.setting(ctx, e, "maxmemory", "1", "0")
	case ReadOnly:
		return in.setting(ctx, e, "min-replicas-to-write", "1", "0")
	case Clock:
		err := in.w.clock.set(e.Skew)
		sleep(ctx, e.For)
		return errors.Join(err, in.w.clock.set(0))
	case Empty:
		return gone(n.disk.empty)
	case Older:
		kept := filepath.Join(in.w.dir, "older")
		if err := n.disk.keep(kept); err != nil {
			return err
		}
		sleep(ctx, 3*time.Second)
		return errors.Join(gone(func() error { return n.disk.bring(kept) }), os.RemoveAll(kept))
	}
	return fmt.Errorf("nobody knows how to make %s", e.Fault)
}

// setting changes one of Redis, and changes it back.
func (in *injector) setting(ctx context.Context, e Event, name, broken, whole string) error {
	if err := in.w.redis.ConfigSet(ctx, name, broken).Err(); err != nil {
		return err
	}
	sleep(ctx, e.For)
	return in.w.redis.ConfigSet(context.WithoutCancel(ctx), name, whole).Err()
}

// during names a fault for as long as it lasts and a moment longer; what clients
// meet meanwhile is put down to the newest one.
func (in *injector) during(name string) (end func()) {
	row := in.book.begin(name)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.active = append(in.active, row)
	in.book.fault.Store(int32(row))
	return func() {
		time.AfterFunc(time.Second, func() {
			in.mu.Lock()
			defer in.mu.Unlock()
			i := slices.Index(in.active, row)
			in.active = slices.Delete(in.active, i, i+1)
			newest := 0
			if n := len(in.active); n > 0 {
				newest = in.active[n-1]
			}
			in.book.fault.Store(int32(newest))
		})
	}
}

// heal undoes what an interrupted run left broken.
func (in *injector) heal() {
	for _, p := range in.w.edges {
		p.Set(Condition{Mode: Pass})
	}
	for _, n := range in.w.nodes {
		if r := n.alive(); r != nil {
			_ = thaw(r.cmd.Process) // it was not stopped, most likely
		}
	}
}

// sleep is false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
