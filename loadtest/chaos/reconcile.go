package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

var roleOf = map[string]canyu.Role{"student": canyu.Student, "parent": canyu.Parent, "teacher": canyu.Teacher}

// reconciliation holds the book against a world in which nothing is broken any more.
type reconciliation struct {
	*book
	w        *world
	crowd    *crowd
	patience time.Duration // for what needs a moment: drained, rolled up
	log      func(format string, args ...any)
	h        conn
}

// run finds every difference.
func (r *reconciliation) run(ctx context.Context) {
	defer r.h.close()
	if err := r.w.whole(ctx, r.patience); err != nil {
		r.differ("unsettled", "after the faults: %v", err)
	}
	r.examine()

	// Acknowledged ⊆ counted ⊆ sent.
	short := r.bounds(ctx)

	// Those who do not know send once more, and then everything is known.
	open := r.unsettled()
	r.log("sending %d submissions again whose outcome is unknown", len(open))
	r.settle(ctx, open)
	for i, s := range r.unsettled() {
		if i < 20 {
			r.differ("unsettled", "%s is never acknowledged", r.name(s))
		}
	}

	r.log("comparing")
	r.exact(ctx)
	r.verify(ctx)
	r.report(ctx)
	r.crashes()
	if len(short) > 0 {
		r.find(short)
	}
}

// eventually repeats until f finds nothing; what it found last is what there is.
func (r *reconciliation) eventually(ctx context.Context, f func() []Difference) {
	end := time.Now().Add(r.patience)
	for {
		found := f()
		if len(found) == 0 {
			return
		}
		if time.Now().After(end) || !sleep(ctx, 500*time.Millisecond) {
			for _, d := range found {
				r.differ(d.Kind, "%s", d.Text)
			}
			return
		}
	}
}

func (r *reconciliation) door() string { return r.w.doors[0].Addr() }

// group is a class and role as they are told.
func (r *reconciliation) group(g group) string {
	c := r.classes[g.class]
	return fmt.Sprintf("school %s, class %d(%d), %s", c.school, c.grade, c.number, g.role)
}

// bounds compares before the unknown are sent again, and returns the groups that
// have too few.
func (r *reconciliation) bounds(ctx context.Context) (short []group) {
	r.eventually(ctx, func() (found []Difference) {
		short = nil
		counts, _, err := live(&r.h, r.door(), r.classes)
		if err != nil {
			return []Difference{{"live", err.Error()}}
		}
		groups, _ := r.groups()
		for g, n := range groups {
			if counts[g] < n.acknowledged {
				short = append(short, g)
				found = append(found, Difference{"lost", fmt.Sprintf("%s: %d acknowledged, %d counted", r.group(g), n.acknowledged, counts[g])})
			}
		}
		for g, n := range counts {
			if n > groups[g].sent {
				found = append(found, Difference{"twice", fmt.Sprintf("%s: %d were sent, %d counted", r.group(g), groups[g].sent, n)})
			}
		}
		return found
	})
	return short
}

// settle sends submissions again, a class's worth in a request.
func (r *reconciliation) settle(ctx context.Context, open []submission) {
	todo := make(chan []submission)
	var hands sync.WaitGroup
	for i := range 8 {
		hands.Go(func() {
			var h conn
			defer h.close()
			for some := range todo {
				for end := time.Now().Add(r.patience); len(some) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
					some = r.crowd.submit(some, &h, i)
				}
			}
		})
	}
	for some := range slices.Chunk(open, seats) {
		todo <- some
	}
	close(todo)
	hands.Wait()
}

// exact compares when everything is known.
func (r *reconciliation) exact(ctx context.Context) {
	r.eventually(ctx, func() (found []Difference) {
		counts, submissions, err := live(&r.h, r.door(), r.classes)
		if err != nil {
			return []Difference{{"live", err.Error()}}
		}
		groups, sent := r.groups()
		for g := range counts {
			if counts[g] != groups[g].sent {
				found = append(found, Difference{"live", fmt.Sprintf("%s: %d acknowledged, %d counted", r.group(g), groups[g].sent, counts[g])})
			}
		}
		for g := range groups {
			if _, there := counts[g]; !there {
				found = append(found, Difference{"live", r.group(g) + ": is not in the live counts"})
			}
		}
		for school, n := range submissions {
			if n != sent[school] {
				found = append(found, Difference{"archive", fmt.Sprintf("school %s: %d submissions acknowledged, %d archived",
					r.classes[school*perSchool].school, sent[school], n)})
			}
		}
		return found
	})
	total := 0
	groups, _ := r.groups()
	for _, n := range groups {
		total += n.sent
	}
	shards := 1 // each numbers its own: that of S shards leaves gaps, where schools are not spread evenly
	if r.w.several != nil {
		shards = r.w.several.shards()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.people {
		if p := &r.people[i]; int(p.ordinal) > total*shards {
			r.differs("ordinal", "%s is number %d of %d in %d shards", r.name(submission{int32(i), 1}), p.ordinal, total, shards)
		}
	}
}

// verify is canyu verify.
func (r *reconciliation) verify(ctx context.Context) {
	r.eventually(ctx, func() []Difference {
		out, err := r.w.command(ctx, "verify")
		if err != nil {
			return []Difference{{"verify", fmt.Sprintf("%v: %.2000s", err, out)}}
		}
		return nil
	})
}

// report holds the numbers of the report against the book.
func (r *reconciliation) report(ctx context.Context) {
	type count struct{ Total int }
	type schoolReport struct {
		School      string
		Parent      count
		Teacher     count
		Submissions count
		Classes     []struct{ Grade, Class, Student int }
	}
	var report struct{ Schools []schoolReport }
	dir := filepath.Join(r.w.dir, "report")
	out, err := r.w.command(ctx, "report", "render", "--region", region, "--date", time.Now().In(shanghai).Format(time.DateOnly), "--out", dir)
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(filepath.Join(dir, "report.json")); err == nil {
			err = json.Unmarshal(text, &report)
		}
	}
	if err != nil {
		r.differ("report", "%v: %.2000s", err, out)
		return
	}
	groups, submissions := r.groups()
	schools := make(map[string]schoolReport)
	for _, s := range report.Schools {
		schools[s.School] = s
	}
	for school, code := range schoolsOf(r.classes) {
		s, there := schools[code]
		if !there {
			r.differ("report", "school %s is not in it", code)
			continue
		}
		if s.Submissions.Total != submissions[school] {
			r.differ("report", "school %s: %d submissions acknowledged, %d reported", code, submissions[school], s.Submissions.Total)
		}
		parents, teachers := 0, 0
		for class := school * perSchool; class < min((school+1)*perSchool, len(r.classes)); class++ {
			parents += groups[group{int32(class), canyu.Parent}].sent
			teachers += groups[group{int32(class), canyu.Teacher}].sent
		}
		if s.Parent.Total != parents || s.Teacher.Total != teachers {
			r.differ("report", "school %s: %d parents and %d teachers acknowledged, %d and %d reported", code, parents, teachers, s.Parent.Total, s.Teacher.Total)
		}
		for _, c := range s.Classes {
			g := group{int32(school*perSchool + (c.Grade-1)*classesOf + c.Class - 1), canyu.Student}
			if want := groups[g].sent; c.Student != want {
				r.differ("report", "%s: %d acknowledged, %d reported", r.group(g), want, c.Student)
			}
		}
	}
}

// crashes looks into the logs for what no fault from outside explains.
func (r *reconciliation) crashes() {
	for _, n := range r.w.nodes {
		if n.server() {
			continue
		}
		text, err := os.ReadFile(n.log)
		if err != nil {
			r.differ("setup", "%v", err)
			continue
		}
		for _, sign := range []string{"panic:", "DATA RACE", "fatal error:"} {
			if at := bytes.Index(text, []byte(sign)); at >= 0 {
				r.differ("crash", "%s: %.3000s", n.name, text[at:])
			}
		}
	}
}

// find asks for each acknowledged participant of groups that have too few, with a
// new submission: who counts now did not count before. It is the last thing that is
// done, because it changes the counts.
func (r *reconciliation) find(short []group) {
	if len(short) > 40 {
		short = short[:40]
	}
	wanted := make(map[group]bool)
	for _, g := range short {
		wanted[g] = true
	}
	for i := range r.people {
		p := &r.people[i]
		if !p.acked || !wanted[group{p.class, p.role}] {
			continue
		}
		body := bytes.Replace(r.crowd.body([]submission{{int32(i), p.ids}}), []byte(`"id":"`), []byte(`"id":"probe-`), 1)
		if a := r.h.post(r.door(), body, 1)[0]; a.status == 201 {
			r.blame(int32(i), fmt.Sprintf("asked again, it became number %d with receipt %s", a.ordinal, a.receipt))
		}
	}
}
