package ingest

import (
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// describe is GET /v1/activities/{activity}: what a page needs to draw itself.
func (s *Server) describe(ctx *fasthttp.RequestCtx, a *activity) {
	now := s.now()
	state := "open"
	if err := a.Open(now); err != nil {
		state = problemOf(err).outcome // not_open, closed
	}
	grades := a.RequiredGrades
	required := make([]int, len(grades)) // []uint8 would become a string
	for i, g := range grades {
		required[i] = int(g)
	}
	writeJSON(ctx, struct {
		ID             string         `json:"id"`
		Title          canyu.Text     `json:"title"`
		Timezone       string         `json:"timezone"`
		FirstDay       canyu.Day      `json:"first_day"`
		LastDay        canyu.Day      `json:"last_day"`
		State          string         `json:"state"` // not_open, open, closed
		Steps          []string       `json:"steps"`
		RequiredGrades []int          `json:"required_grades"`
		Roles          []canyu.Role   `json:"roles"`
		Identify       canyu.Identify `json:"identify"`
		Privacy        string         `json:"privacy"` // address of what pupils and guardians are told
		Now            string         `json:"now"`
	}{a.ID, a.Title, a.Zone.String(), a.FirstDay, a.LastDay, state, a.Steps, required, a.Roles, a.Identify, "/a/" + a.ID + "/privacy",
		now.In(a.Zone).Format(time.RFC3339)})
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil { // made of our own types
		panic("BUG: " + err.Error())
	}
	ctx.Response.Header.SetContentTypeBytes(contentTypeJSON)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(body)
}
