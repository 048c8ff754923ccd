package reports

import (
	"context"
	"crypto/hmac"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// What is held apart: /school/{code}/held and /bureau/{region}/held. Like the review of
// messages it is forms and links; a decision is about the submissions that stood on
// the page, and one line of the audit log.

// page/held.txt has the words of these pages.
//
//go:embed page/held.txt
var heldWords string

// heldAtOnce is how many cases are on a page.
const heldAtOnce = 100

// heldView is what a page of held submissions shows.
type heldView struct {
	Action, Token string
	Answer        string
	Bad           bool // the answer is that nothing was done
	Cases         []heldCase
	Pages         []pageLink
	Back          string
}

type heldCase struct {
	Key, Class, Numbers, Times, Why string

	Decided string // by whom and when, "" where nobody has
	More    string // what came after that
	Open    bool   // may be decided
	Undo    bool   // may be taken back
}

// held is everything of one school or region; want is what its visitor must hold.
func (r *visit) held(want canyu.Scope, schools []*canyu.School) error {
	want.Activity = r.activity.ID
	if r.ctx.IsPost() {
		return r.heldDecided(want, schools)
	}
	r.Kind = "held"
	v := &heldView{Action: r.address("did", ""), Token: r.formToken(want), Back: r.link(strings.TrimSuffix(string(r.ctx.Path()), "/held"))}
	r.Apart = v
	switch did := r.arg("did"); did {
	case canyu.Admitted.String(), canyu.LeftOut.String(), canyu.Undecided.String(), "stale":
		v.Answer, v.Bad = r.Say("apart.did."+did), did == "stale"
	}
	groups, err := canyu.HeldGroups(r, r.p.Archive, r.activity.ID, r.reviewedSchools(schools, ""))
	if err != nil {
		return err
	}
	// Those that wait for somebody stand first, the newest first.
	slices.SortStableFunc(groups, func(a, b canyu.HeldGroup) int {
		if (a.Waiting > 0) != (b.Waiting > 0) {
			return map[bool]int{true: -1, false: 1}[a.Waiting > 0]
		}
		return b.Last.Compare(a.Last)
	})
	names := make(map[canyu.SchoolCode]string, len(schools))
	for _, s := range schools {
		names[s.Code] = s.Name
	}
	from, to, pages := r.pageOf(len(groups), heldAtOnce)
	v.Pages = pages
	for _, g := range groups[from:to] {
		v.Cases = append(v.Cases, r.heldCase(&g, names))
	}
	r.write(fasthttp.StatusOK, "page")
	return nil
}

func (r *visit) heldCase(g *canyu.HeldGroup, names map[canyu.SchoolCode]string) heldCase {
	clock := func(t time.Time) string { return t.In(r.activity.Zone).Format("15:04:05") }
	c := heldCase{
		Key:     heldKey(g),
		Class:   strings.TrimSpace(names[g.Class.School] + " " + r.s.class(g.Class.Grade, g.Class.Number)),
		Numbers: r.Say("apart.case", number(g.Submissions), number(g.Participants)),
		Times:   g.Day.String() + " " + clock(g.First) + "–" + clock(g.Last),
		Why:     r.s.suspicion(g.Why),
		Open:    g.Waiting > 0,
	}
	d := g.Decision
	if d.By == "" {
		return c
	}
	c.Decided = r.Say("apart.decided", r.Say("apart."+d.State.String()), d.At.In(r.activity.Zone).Format("01-02 15:04"), d.By)
	if c.Undo = d.State != canyu.Undecided; c.Undo && g.Waiting > 0 {
		c.More = r.Say("apart.more", number(g.Waiting))
	}
	return c
}

// suspicion is a reason in words.
func (s speaker) suspicion(why canyu.Suspicion) string {
	if slices.Contains(canyu.Suspicions[:], why) {
		return s.page("apart." + why.String())
	}
	return s.page("apart.none.reason")
}

// heldKey names a case and what of it stands on the page.
func heldKey(g *canyu.HeldGroup) string {
	return fmt.Sprintf("%s.%d.%d.%d.%d.%d", g.Class.School, g.Class.Grade, g.Class.Number, g.Day, g.Why, g.Last.UnixMilli())
}

// parseHeldKey reads what heldKey made, of the schools alone.
func parseHeldKey(text string, schools []*canyu.School) (d canyu.HeldDecision, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 6 {
		return d, false
	}
	var n [6]int64
	for i, p := range parts {
		var err error
		if n[i], err = strconv.ParseInt(p, 10, 64); err != nil {
			return d, false
		}
	}
	d.Class = canyu.Class{School: canyu.SchoolCode(n[0]), Grade: uint8(n[1]), Number: uint16(n[2])}
	d.Day, d.Why, d.Until = canyu.Day(n[3]), canyu.Suspicion(n[4]), time.UnixMilli(n[5]).UTC()
	return d, slices.ContainsFunc(schools, func(s *canyu.School) bool { return s.Code == d.Class.School })
}

// heldDecided is a form that came back.
func (r *visit) heldDecided(want canyu.Scope, schools []*canyu.School) error {
	args := r.ctx.PostArgs()
	if !hmac.Equal(args.Peek("token"), []byte(r.formToken(want))) {
		return r.back("did", "stale")
	}
	state, what, key := canyu.Admitted, canyu.AuditCount, args.Peek("count")
	switch {
	case args.Has("leave"):
		state, what, key = canyu.LeftOut, canyu.AuditDismiss, args.Peek("leave")
	case args.Has("undo"):
		state, what, key = canyu.Undecided, canyu.AuditHold, args.Peek("undo")
	}
	d, ok := parseHeldKey(string(key), schools)
	if !ok {
		return r.back("did", "stale")
	}
	groups, err := canyu.HeldGroups(r, r.p.Archive, r.activity.ID, []canyu.SchoolCode{d.Class.School})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(groups, func(g canyu.HeldGroup) bool { return g.HeldCase == d.HeldCase })
	if i < 0 || d.Until.After(groups[i].Last) {
		return r.back("did", "stale")
	}
	before := groups[i].Decision
	d.State, d.By = state, r.signer(want)
	d.At = canyu.DecidedAt(r.now, before.At)
	if d.Until.Before(before.Until) { // what somebody has seen stays seen
		d.Until = before.Until
	}
	target := fmt.Sprintf("%s until %s", d.HeldCase, d.Until.In(r.activity.Zone).Format(time.RFC3339))
	if err := r.audit(d.By, what, target, before.State.String(), state.String()); err != nil {
		return err
	}
	if err := r.p.Archive.DecideHeld(r, r.activity.ID, []canyu.HeldDecision{d}); err != nil {
		return err
	}
	r.p.forgetHeld()
	return r.back("did", state.String())
}

// forgetHeld lets the next visitor see what was decided.
func (p *Pages) forgetHeld() {
	p.waiting.clear()
	p.censuses.clear()
}

// heldLink is how a page leads to what is held, and says how much waits there.
func (r *visit) heldLink(where place, page string, schools []*canyu.School) {
	codes := r.reviewedSchools(schools, "")
	n, _, err := r.p.waiting.get(r, r.p, where, 5*time.Second, 300*time.Millisecond, func(ctx context.Context) (heldCount, error) {
		groups, err := canyu.HeldGroups(ctx, r.p.Archive, where.activity, codes)
		var n heldCount
		for _, g := range groups {
			n.waiting += g.Waiting
		}
		n.cases = len(groups)
		return n, err
	})
	if err != nil || n.cases == 0 {
		return
	}
	url := r.link(page + "/held")
	r.Exports = append(r.Exports, pageLink{URL: url, Text: r.Say("apart.title")})
	if n.waiting > 0 {
		r.ToDecide = &pageLink{URL: url, Text: r.Say("apart.link", number(n.waiting))}
	}
}

type heldCount struct{ cases, waiting int }

// admit adds to what the ledger has what a person let count. Without the archive the
// ledger's numbers have to do.
func (c *census) admit(ctx context.Context, p *Pages, a *canyu.Activity, classes []canyu.Class, codes []canyu.SchoolCode) {
	extra, err := canyu.AdmittedRollups(ctx, p.Archive, a.ID, codes, a.FirstDay, a.LastDay)
	if err != nil {
		p.log().Warn("a page does not know what was admitted", "activity", a.ID, "error", err)
	}
	if len(extra) == 0 {
		return
	}
	index := make(map[canyu.Class]int, len(classes))
	for i, k := range classes {
		index[k] = i
	}
	for _, r := range extra {
		if i, ok := index[r.Class]; ok {
			c.tallies[i][r.Role] += r.Admitted
		}
	}
}

// clear forgets everything; a read that is under way ends for itself.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = nil
}
