package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"
)

// PerCommand counts participations with SADD, HINCRBY, HINCRBY and XADD for each
// request: is the pupil new, then one more in the class, one more in the school,
// one more line in the log. It makes the mistake that this way invites: a
// process that ends between two commands leaves numbers that disagree.
type PerCommand struct {
	Redis  redis.UniversalClient
	Prefix string // of all keys

	// Pipelined sends the last three commands in one round trip. The first cannot
	// join them: what follows depends on its answer.
	Pipelined bool
}

type submission struct {
	Activity string   `json:"activity"`
	School   string   `json:"school"`
	Grade    int      `json:"grade"`
	Class    int      `json:"class"`
	Role     string   `json:"role"`
	Seat     int      `json:"seat"`
	Steps    []string `json:"steps"`
	Message  string   `json:"message"`
	ID       string   `json:"id"`
}

// Handle is the request handler.
func (p *PerCommand) Handle(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) != Path || !ctx.IsPost() {
		ctx.Error("not found", fasthttp.StatusNotFound)
		return
	}
	var s submission
	if err := json.Unmarshal(ctx.PostBody(), &s); err != nil {
		ctx.Error("malformed", fasthttp.StatusBadRequest)
		return
	}
	if s.Activity == "" || s.School == "" || s.Grade < 1 || s.Class < 1 || s.Seat < 1 || s.Role == "" {
		ctx.Error("incomplete", fasthttp.StatusUnprocessableEntity)
		return
	}
	counted, err := p.record(ctx, &s)
	if err != nil {
		ctx.Error("not recorded", fasthttp.StatusServiceUnavailable)
		return
	}
	ctx.SetContentType("application/json")
	if counted {
		ctx.SetStatusCode(fasthttp.StatusCreated)
		ctx.SetBodyString(`{"counted":true}`)
		return
	}
	ctx.SetBodyString(`{"counted":false}`)
}

// key is of the activity's hash tag, so that the pipeline stays on one shard.
func (p *PerCommand) key(activity, rest string) string {
	return p.Prefix + ":{" + activity + "}:" + rest
}

func (p *PerCommand) record(ctx context.Context, s *submission) (bool, error) {
	class := s.School + ":" + strconv.Itoa(s.Grade) + ":" + strconv.Itoa(s.Class)
	added, err := p.Redis.SAdd(ctx, p.key(s.Activity, "who:"+class+":"+s.Role), s.Seat).Result()
	if err != nil || added == 0 {
		return false, err
	}
	rest := func(c redis.Cmdable) error {
		return errors.Join(
			c.HIncrBy(ctx, p.key(s.Activity, "classes"), class+":"+s.Role, 1).Err(),
			c.HIncrBy(ctx, p.key(s.Activity, "schools"), s.School+":"+s.Role, 1).Err(),
			c.XAdd(ctx, &redis.XAddArgs{
				Stream: p.key(s.Activity, "log"),
				Values: []string{"class", class, "role", s.Role, "seat", strconv.Itoa(s.Seat), "message", s.Message, "id", s.ID},
			}).Err(),
		)
	}
	if !p.Pipelined {
		return true, rest(p.Redis)
	}
	_, err = p.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error { return rest(pipe) })
	return true, err
}
