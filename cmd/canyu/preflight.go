package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup"
)

type preflightCommand struct {
	Flags
	BellShare   float64 `help:"Share of all pupils that submits in the busiest lesson." default:"0.25"`
	BellMinutes float64 `help:"How long that lasts." default:"10"`
}

// Run looks at everything that a busy day will need, changes nothing, and says what
// to do about each that is not as it should be. It runs beside a server, or before one
// is started, as the same user and with the same settings.
func (c *preflightCommand) Run(ctx context.Context, out stdout) error {
	s, err := c.settings()
	if err != nil {
		return fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	if err := s.needActivities(); err != nil {
		return err
	}
	p := &preflight{s: s, out: out, now: time.Now(), counts: make(map[finding]int)}
	p.say(fine, "configuration", "%d activities, runs %s", len(s.activities), strings.Join(s.Run, ", "))
	p.keys()
	p.calendar()
	p.machine()
	p.disk()
	var e *engines
	if s.Redis != "" {
		e = p.servers(ctx)
	} else {
		p.clock()
		e = p.embedded(ctx)
	}
	if e != nil {
		p.rosters(ctx, e.archive, c)
		p.strays(ctx, e.archive)
		p.must("engines", e.close())
	}
	if slices.Contains(s.Run, "reports") {
		p.mails(ctx)
	}
	p.certificate(ctx)
	fmt.Fprintf(out, "%d wrong, %d to look at\n", p.counts[wrong], p.counts[look])
	if p.counts[wrong] > 0 {
		return errQuiet
	}
	return nil
}

// finding is how much something matters.
type finding string

const (
	fine  finding = "fine"
	look  finding = "look"  // it may do
	wrong finding = "wrong" // it will not do
)

type preflight struct {
	s      *settings
	out    io.Writer
	now    time.Time
	redis  *redisledger.State
	counts map[finding]int
}

func (p *preflight) say(f finding, what, format string, args ...any) {
	p.counts[f]++
	fmt.Fprintf(p.out, "%-5s  %-13s  %s\n", f, what, fmt.Sprintf(format, args...))
}

// must says what is wrong if anything is.
func (p *preflight) must(what string, err error) (ok bool) {
	if err != nil {
		p.say(wrong, what, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err == nil
}

func (p *preflight) keys() {
	path := p.s.keyPath()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && p.s.Redis != "":
		p.say(look, "key", "%s is not there: the first node makes it, and every other needs a copy", path)
	case errors.Is(err, os.ErrNotExist):
		p.say(fine, "key", "%s will be made: keep a copy, apart from the data", path)
	case !p.must("key", err):
	case info.Mode().Perm()&0o077 != 0:
		p.say(wrong, "key", "others may read %s: chmod 600", path)
	default:
		_, err := p.s.secret()
		if p.must("key", err) {
			p.say(fine, "key", "%s", path)
		}
	}
}

func (p *preflight) calendar() {
	calendar, err := reports.LoadCalendar(p.s.Calendar)
	if !p.must("calendar", err) {
		return
	}
	for _, a := range p.s.activities {
		if days, err := reports.PlannedDays(a, calendar, a.LastDay); err != nil {
			p.say(look, "calendar", "no reports from that year on: %v", err)
		} else {
			p.say(fine, "calendar", "%s, %s to %s: %d days with a report", a.ID, a.FirstDay, a.LastDay, len(days))
		}
		if a.DayOf(p.now) > a.LastDay {
			p.say(look, "calendar", "%s is over", a.ID)
		}
	}
	if year := calendar.Missing(p.now); year != 0 {
		p.say(look, "calendar", "the holidays of %d are not known: put %d.json into the folder of calendar when they are published; canyu.yaml shows its form", year, year)
	}
}

// strays looks for activities that nothing will purge.
func (p *preflight) strays(ctx context.Context, archive canyu.Archive) {
	strays, err := rollup.Strays(ctx, archive, p.s.activities)
	p.must("activities", err)
	for _, id := range strays {
		p.say(wrong, "activities", "%s", rollup.StrayAdvice(id))
	}
}

// slowSync is a commit that pupils would notice in a bell, and quickSync one that no
// disk can do: what is said to be written is in memory.
const (
	slowSync  = 20 * time.Millisecond
	quickSync = 15 * time.Microsecond
	syncs     = 40
)

// embeddedRoom is enough for a county: some hundred bytes for each of 10⁶ participants in
// ledger and archive, and as much again for what SQLite writes on the way.
const embeddedRoom = 1 << 30

// disk tries the folder of the data, where the embedded engines or the spool are.
func (p *preflight) disk() {
	if !p.must("disk", os.MkdirAll(p.s.Data, 0o700)) {
		return
	}
	var at syscall.Statfs_t
	if p.must("disk", syscall.Statfs(p.s.Data, &at)) {
		free := int64(at.Bavail) * int64(at.Bsize) //nolint:unconvert // Bsize is another type elsewhere
		want, why := int64(embeddedRoom), "for ledger and archive"
		if p.s.Redis != "" {
			want, why = int64(p.s.SpoolLimit)<<20, "of spool_limit"
		}
		switch {
		case free < want:
			p.say(wrong, "disk", "%s has %s free: want the %s %s at least, for submissions are refused when it is full", p.s.Data, megabytes(free), megabytes(want), why)
		case free < 3*want:
			p.say(look, "disk", "%s has %s free", p.s.Data, megabytes(free))
		default:
			p.say(fine, "disk", "%s has %s free", p.s.Data, megabytes(free))
		}
	}
	took, err := syncTimes(p.s.Data)
	if !p.must("disk", err) {
		return
	}
	median, slowest := took[len(took)/2], took[len(took)-1]
	switch {
	case median > slowSync:
		p.say(wrong, "fsync", "a write takes %s until it is durable, up to %s: every submission waits for one; want a disk with less than %s", round(median), round(slowest), slowSync)
	case median < quickSync:
		p.say(look, "fsync", "%s is quicker than any disk: is %s in memory, or is syncing switched off? A power cut would take what was acknowledged", median, p.s.Data)
	case slowest > slowSync:
		p.say(look, "fsync", "%s, but up to %s: something else uses the disk", round(median), round(slowest))
	default:
		p.say(fine, "fsync", "%s, up to %s", round(median), round(slowest))
	}
}

// syncTimes are how long writes of a page take until they are durable, sorted.
func syncTimes(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".preflight-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	for range syncs {
		started := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	return took, nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func megabytes(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GB", n/1e9)
	}
	return fmt.Sprintf("%d MB", n/1e6)
}

// machine wants room for as many connections as the largest of bells opens.
func (p *preflight) machine() {
	const files = 20_000
	var limit syscall.Rlimit
	if !p.must("machine", syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)) {
		return
	}
	if limit.Cur < files {
		p.say(look, "machine", "%d files may be open, so %d connections: 2,000 pupils with six each want %d (LimitNOFILE, ulimit -n)", limit.Cur, limit.Cur/2, files)
		return
	}
	p.say(fine, "machine", "%d processors, %d files may be open", runtime.NumCPU(), limit.Cur)
}
