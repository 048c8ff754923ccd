package ingest

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// A class at one screen (班班通): the seats, one after the other. Without scripts each
// seat is a link to the form with the seat filled in, and the thanks lead back.

// gridView is the class as its seats.
type gridView struct {
	Seats      []gridSeat
	Tally      string // as the ledger has it; "" where that is not told
	Left       string // the seats that are still to come, once they are the fewer; or who is told
	Steps      []stepView
	Messages   bool
	SeatsURL   string // who is done; "" for browsers that opened no class link
	Submission gridSubmission
	Leave      string
}

type gridSeat struct {
	Number int
	URL    string
	Done   bool
}

// gridSubmission is what all submissions of the class have in common.
type gridSubmission struct {
	Activity string `json:"activity"`
	School   string `json:"school"`
	Grade    int    `json:"grade"`
	Class    int    `json:"class"`
	Role     string `json:"role"`
}

// oneScreen reports whether the class can be shown as seats.
func (p *pageRequest) oneScreen() bool {
	return p.a.Identify == canyu.BySeat && (p.at.role == "" || p.at.role == canyu.Student.String())
}

func (c choice) oneScreen() choice {
	return choice{school: c.school, grade: c.grade, class: c.class, mode: "class"}
}

// atSeat is the seat of the address, where it is a number.
func (p *pageRequest) atSeat() string {
	seat := string(p.ctx.QueryArgs().Peek("seat"))
	if n, err := strconv.Atoi(seat); err != nil || n < 1 || n > canyu.MaxEnrolled {
		return ""
	}
	return seat
}

func (p *pageRequest) classGrid(s *Server, sc *canyu.School, grade uint8, class uint16) {
	enrolled, _ := sc.Enrolled(grade, class)
	at := p.at.oneScreen()
	v := &gridView{
		Steps:      p.steps(),
		Submission: gridSubmission{p.a.ID, at.school, int(grade), int(class), canyu.Student.String()},
		Leave:      p.url(choice{school: at.school, grade: at.grade, class: at.class}),
	}
	for _, step := range p.a.Steps {
		v.Messages = v.Messages || step == messageStep
	}
	var done []bool
	link := canyu.Scope{Kind: canyu.ClassScope, Activity: p.a.ID, Region: sc.Region, School: sc.Code, Grade: int(grade), Class: int(class)}
	switch {
	case p.a.Policy(sc.Region).NoNotYet: // nobody is told
	case s.gate.Check(p.ctx, link) == nil:
		v.SeatsURL = "/v1/activities/" + p.a.ID + "/seats?school=" + sc.Code.String() + "&grade=" + strconv.Itoa(int(grade)) + "&class=" + strconv.Itoa(int(class))
		done, _ = s.seatsDone(s.activities[p.a.ID], canyu.Class{School: sc.Code, Grade: grade, Number: class}, enrolled) // it will be asked again
	default:
		v.Left = p.T.Say("class.link")
	}
	var left []string
	for n := 1; n <= enrolled; n++ {
		at.seat = strconv.Itoa(n)
		seat := gridSeat{n, p.url(at), n < len(done) && done[n]}
		v.Seats = append(v.Seats, seat)
		if !seat.Done {
			left = append(left, at.seat)
		}
	}
	if count := enrolled - len(left); done != nil {
		v.Tally = p.T.Say("class.all", count, enrolled)
		if len(left) > 0 {
			v.Tally = p.T.Say("class.tally", count, enrolled)
		}
		if len(left) > 0 && len(left) <= count {
			v.Left = p.T.Say("class.left", strings.Join(left, ", "))
		}
	}
	p.tell(canyu.Student, p.a.Policy(sc.Region), v.Messages)
	p.Class = v
	p.Where = &where{Text: sc.Name + " · " + p.T.classOf(grade, class)}
	if len(v.Seats) == 0 {
		p.notice(fasthttp.StatusOK, "class.none", "")
		return
	}
	p.write(fasthttp.StatusOK, "class")
}

// thanks prepares what stands around a receipt.
func (p *pageRequest) thanks(role canyu.Role, policy canyu.Policy) {
	again := p.at
	if p.at.mode != "" {
		again = p.at.oneScreen()
	}
	p.Thanks = thanksView{
		Again:  p.url(again),
		Role:   role.String(),
		Day:    p.T.day(p.today),
		Seated: role == canyu.Student && p.a.Identify.BySeat(role),
	}
	if !policy.NoWall && !p.switches.Down(canyu.SwitchWall) {
		p.Thanks.Wall = wallURL(p.a, "school", p.at.school, "lang", p.lang)
	}
	if policy.Public.Counts != canyu.NoCounts && !p.switches.Down(canyu.SwitchPage) {
		p.Thanks.Counts = "/v1/activities/" + p.a.ID + "/counts?school=" + url.QueryEscape(p.at.school)
	}
}

// schoolCount says how many of the school have taken part in this role, as the ledger
// knows right after. It is no ordinal: two who are counted at the same moment may
// be told the same number.
func (p *pageRequest) schoolCount(s *Server, r *canyu.Roster, role canyu.Role) string {
	sc, _, _ := p.at.find(r)
	if sc == nil || p.switches.Down(canyu.SwitchPage) {
		return ""
	}
	public := p.a.Policy(sc.Region).Public
	if public.Counts == canyu.NoCounts || public.AtLeast > 0 && s.discretion(s.activities[p.a.ID]).hides[scope{sc.Code, sc.Region}] {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	tallies, err := s.tallies(ctx, s.activities[p.a.ID], classesOf([]*canyu.School{sc}))
	if err != nil {
		return "" // an ornament
	}
	n := 0
	for _, t := range tallies {
		n += t[role]
	}
	if n == 0 {
		return ""
	}
	return p.T.Say("thanks.school."+role.String(), grouped(uint64(n)))
}
