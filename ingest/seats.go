package ingest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

// seats is GET /v1/activities/{activity}/seats?school=…&grade=…&class=…: which seats
// of a class have taken part and which have not. Nobody's name is in it, and by name
// nobody can be looked for.
func (s *Server) seats(ctx *fasthttp.RequestCtx, a *activity) {
	class, enrolled, ok := s.classAsked(ctx, a)
	if !ok {
		return
	}
	if a.Policy(s.roster().School(class.School).Region).NoNotYet {
		newProblem(404, "not_told", "Not told", "the activity's policy is that nobody is told which seats have taken part").write(ctx)
		guarded(ctx)
		return
	}
	now := s.now()
	done, err := s.seatsDone(a, class, enrolled)
	if err != nil {
		s.seatsAway(ctx, a, err)
		return
	}
	v := struct {
		Activity string           `json:"activity"`
		School   canyu.SchoolCode `json:"school"`
		Grade    uint8            `json:"grade"`
		Class    uint16           `json:"class"`
		Enrolled int              `json:"enrolled"`
		Done     []int            `json:"done"`
		NotYet   []int            `json:"not_yet"`
		Spooled  int              `json:"spooled,omitempty"` // accepted, of the whole activity, and not counted yet
		AsOf     string           `json:"as_of"`
	}{a.ID, class.School, class.Grade, class.Number, enrolled, []int{}, []int{}, a.spooled(), now.In(a.Zone).Format(time.RFC3339)}
	for seat := 1; seat <= enrolled; seat++ {
		if done[seat] {
			v.Done = append(v.Done, seat)
		} else {
			v.NotYet = append(v.NotYet, seat)
		}
	}
	writeJSON(ctx, v)
	guarded(ctx)
}

// receipts is GET …/receipts?school=…&grade=…&class=…&receipt=…: whose seat a pupil's
// receipt is, and whether it is counted.
func (s *Server) receipts(ctx *fasthttp.RequestCtx, a *activity) {
	class, enrolled, ok := s.classAsked(ctx, a)
	if !ok {
		return
	}
	asked, valid := parseReceipt(arg(ctx.QueryArgs(), "receipt"))
	if !valid {
		problemOf(canyu.InvalidError{{Field: "receipt", Reason: "want eight letters and digits such as 7K3M-9Q2X"}}).write(ctx)
		return
	}
	id, err := a.identity()
	if err != nil {
		s.seatsAway(ctx, a, err)
		return
	}
	whose := id.seatOf(class, enrolled, asked)
	if whose == 0 {
		newProblem(404, "unknown_receipt", "No pupil's receipt", "receipt: is of no pupil of this class").write(ctx)
		guarded(ctx)
		return
	}
	done, err := s.seatsDone(a, class, enrolled)
	if err != nil {
		s.seatsAway(ctx, a, err)
		return
	}
	writeJSON(ctx, struct {
		Receipt string `json:"receipt"`
		Seat    int    `json:"seat"`
		Counted bool   `json:"counted"` // false: accepted, and still in a spool
	}{asked.String(), whose, done[whose]})
	guarded(ctx)
}

// seatsAway says why nobody's seat can be told.
func (s *Server) seatsAway(ctx *fasthttp.RequestCtx, a *activity, err error) {
	if errors.Is(err, canyu.ErrPurged) {
		newProblem(410, "purged", "Not known any more", err.Error()).write(ctx)
		guarded(ctx)
		return
	}
	s.Log.Error("cannot read the seats of a class", "activity", a.ID, "error", err)
	problemOf(errAway).write(ctx)
}

// classAsked reads ?school=&grade=&class= and sees to access; where it is not ok it has
// answered why.
func (s *Server) classAsked(ctx *fasthttp.RequestCtx, a *activity) (class canyu.Class, enrolled int, ok bool) {
	school, grade, number := choiceOf(ctx.QueryArgs()).find(s.roster())
	if school == nil {
		problemOf(canyu.InvalidError{{Field: "class", Reason: "want school=, grade= and class= of the roster"}}).write(ctx)
		return class, 0, false
	}
	want := canyu.Scope{
		Kind: canyu.ClassScope, Activity: a.ID, Region: school.Region,
		School: school.Code, Grade: int(grade), Class: int(number),
	}
	if !s.gate.Allow(ctx, want) {
		return class, 0, false
	}
	if a.Identify != canyu.BySeat {
		newProblem(404, "no_seats", "No seats", "this activity knows its pupils by name, and names are not kept").write(ctx)
		return class, 0, false
	}
	enrolled, _ = school.Enrolled(grade, number)
	return canyu.Class{School: school.Code, Grade: grade, Number: number}, enrolled, true
}

// seatsDone is, by seat number, which have taken part.
func (s *Server) seatsDone(a *activity, class canyu.Class, enrolled int) ([]bool, error) {
	if a.isRecovering() {
		return nil, errAway
	}
	deadline, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	id, err := a.identity()
	if err != nil {
		return nil, err
	}
	seats, err := id.done(deadline, s.Ledger, s.Archive, a.Activity, class, enrolled)
	if err != nil {
		return nil, err
	}
	done := make([]bool, enrolled+1)
	for _, seat := range seats {
		done[seat] = true
	}
	return done, nil
}

// parseReceipt reads what somebody copied by hand: in any case or width, with or
// without the hyphen, and with the letters that are not in Crockford's base 32.
func parseReceipt(text string) (rc receipt, ok bool) {
	text = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(norm.NFKC.String(text)))
	if len(text) != len(rc)-1 {
		return rc, false
	}
	text = text[:4] + "-" + text[4:]
	for i := range rc {
		if i != 4 && !strings.Contains(crockford, text[i:i+1]) {
			return rc, false
		}
		rc[i] = text[i]
	}
	return rc, true
}
