package ingest

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// problem is why a request was refused, in the form of RFC 9457
// (application/problem+json).
type problem struct {
	Type   string             `json:"type"` // urn:canyu:problem:<outcome>
	Title  string             `json:"title"`
	Status int                `json:"status"`
	Detail string             `json:"detail"`
	Errors canyu.InvalidError `json:"errors,omitempty"`

	outcome    string // for metrics and totals
	retryAfter string // seconds, "" for never
}

func newProblem(status int, outcome, title, detail string) *problem {
	return &problem{Type: "urn:canyu:problem:" + outcome, Title: title, Status: status, Detail: detail, outcome: outcome}
}

// problemOf is the one place where an error becomes a status.
func problemOf(err error) *problem {
	if p := denied(err); p != nil {
		return p
	}
	var invalid canyu.InvalidError
	switch {
	case errors.As(err, &invalid):
		p := newProblem(422, "invalid", "The submission has wrong fields", invalid.Error())
		p.Errors = invalid
		return p
	case errors.As(err, new(malformedError)):
		return newProblem(400, "malformed", "The body cannot be read", err.Error())
	case errors.Is(err, errTooMany):
		return newProblem(413, "too_large", "Too many submissions in one request", err.Error())
	case errors.Is(err, canyu.ErrUnknownActivity):
		p := newProblem(404, "unknown_activity", "There is no such activity", "activity: not one of this server's")
		p.Errors = canyu.InvalidError{{Field: "activity", Reason: "not one of this server's"}}
		return p
	case errors.Is(err, canyu.ErrNotOpen):
		return newProblem(403, "not_open", "Not open yet", err.Error())
	case errors.Is(err, canyu.ErrClosed):
		return newProblem(403, "closed", "Not open any more", err.Error())
	case errors.Is(err, errTooOften):
		return tooMany("this participant has left very many messages today: please try again tomorrow, or without one", time.Hour)
	case errors.Is(err, errBusy):
		p := newProblem(503, "busy", "Too busy", "the server is catching up: please send it again, it counts once")
		p.retryAfter = "2"
		return p
	}
	// The world's errors are logged where they happen; a stranger need not know.
	p := newProblem(503, "away", "Not recorded", "the ledger is away: please send it again, it counts once")
	p.retryAfter = "5"
	return p
}

func (p *problem) write(ctx *fasthttp.RequestCtx) {
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers only
		panic("BUG: " + err.Error())
	}
	ctx.Response.Reset()
	ctx.SetStatusCode(p.Status)
	ctx.SetContentType("application/problem+json")
	if p.retryAfter != "" {
		ctx.Response.Header.Set("Retry-After", p.retryAfter)
	}
	ctx.SetBody(body)
}
