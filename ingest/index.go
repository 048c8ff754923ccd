package ingest

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// index is GET /: it sends visitors to the activity that is open, or lists those that
// are.
func (s *Server) index(ctx *fasthttp.RequestCtx) {
	switch shown := shownOf(s.Activities, s.now()); len(shown) {
	case 0:
		s.nothingHere(ctx)
	case 1:
		// ctx.Redirect would send visitors of a proxy from https to http.
		ctx.Response.Header.Set("Location", "/a/"+shown[0].ID)
		ctx.SetStatusCode(fasthttp.StatusFound)
	default:
		s.list(ctx, shown)
	}
}

// shownOf are the activities that are open; while none is, the next one, or else the
// last.
func shownOf(all []*canyu.Activity, now time.Time) (open []*canyu.Activity) {
	var next, last *canyu.Activity
	for _, a := range all {
		switch err := a.Open(now); {
		case err == nil:
			open = append(open, a)
		case errors.Is(err, canyu.ErrNotOpen):
			if next == nil || a.FirstDay < next.FirstDay {
				next = a
			}
		case last == nil || a.LastDay > last.LastDay:
			last = a
		}
	}
	switch {
	case open != nil:
		return open
	case next != nil:
		return []*canyu.Activity{next}
	case last != nil:
		return []*canyu.Activity{last}
	}
	return nil
}

func (s *Server) list(ctx *fasthttp.RequestCtx, activities []*canyu.Activity) {
	p := s.newPage(ctx, &canyu.Activity{})
	p.Heading = p.T.Say("choose.activity")
	asked := func(lang string) string {
		if lang == "" {
			return ""
		}
		return "?lang=" + lang
	}
	p.Languages = p.languages(func(lang string) string { return "/" + asked(lang) })
	for _, a := range activities {
		p.Titles = append(p.Titles, link{URL: "/a/" + a.ID + asked(p.lang), Text: a.Title.In(p.Lang),
			Note: p.T.Say("open.days", p.T.day(a.FirstDay), p.T.day(a.LastDay))})
	}
	p.write(fasthttp.StatusOK, "index")
}
