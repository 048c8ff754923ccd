package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

const (
	requestTimeout = 5 * time.Second
	tries          = 5 // of a submission by its client, each on a new connection
)

// crowd is all clients.
type crowd struct {
	book   *book
	source *source
	doors  []string // addresses of the ingest nodes
	rate   float64  // submissions per second, all clients together

	pace sync.Mutex
	due  time.Time
}

// run submits from n clients until ctx ends; what was begun is finished.
func (c *crowd) run(ctx context.Context, n int) {
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			var hands [2]conn
			defer hands[0].close()
			defer hands[1].close()
			for c.wait(ctx) {
				c.do(c.source.take(), &hands, i)
			}
		})
	}
	clients.Wait()
}

// wait paces the clients. After a time in which nothing went, they may catch up for
// a second and a half.
func (c *crowd) wait(ctx context.Context) bool {
	c.pace.Lock()
	if oldest := time.Now().Add(-1500 * time.Millisecond); c.due.Before(oldest) {
		c.due = oldest
	}
	due := c.due
	c.pace.Unlock()
	return sleep(ctx, time.Until(due)) && ctx.Err() == nil
}

func (c *crowd) spend(submissions int) {
	c.pace.Lock()
	defer c.pace.Unlock()
	c.due = c.due.Add(time.Duration(float64(submissions) / c.rate * float64(time.Second)))
}

func (c *crowd) do(t task, hands *[2]conn, first int) {
	all := make([]submission, len(t.people))
	for i, who := range t.people {
		all[i] = c.book.send(who, t.again)
	}
	if !t.double {
		c.spend(len(all))
		c.submit(all, &hands[0], first)
		return
	}
	c.spend(2 * len(all))
	var both sync.WaitGroup
	for h := range hands {
		both.Go(func() { c.submit(all, &hands[h], first+h) })
	}
	both.Wait()
}

// submit sends until every submission is settled or the client gives up. Each try
// after the first goes over a new connection, to any of the doors.
func (c *crowd) submit(all []submission, h *conn, door int) (left []submission) {
	left = all
	for try := range tries {
		if try > 0 {
			h.close()
			time.Sleep(time.Duration(50<<(2*try-2))*time.Millisecond/2 + rand.N(50*time.Millisecond))
			door = rand.IntN(len(c.doors))
		}
		answers := h.post(c.doors[door%len(c.doors)], c.body(left), len(left))
		var open []submission
		for i, s := range left {
			if !c.book.write(s, answers[i]) {
				open = append(open, s)
			}
		}
		if left = open; len(left) == 0 {
			break
		}
	}
	return left
}

// body is one object, or an array of several.
func (c *crowd) body(all []submission) []byte {
	var b []byte
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		p := &c.book.people[s.person] // class, role and seat never change
		class := c.book.classes[p.class]
		b = fmt.Appendf(b, `{"activity":"%s","school":"%s","grade":%d,"class":%d,"role":"%s","id":"%s","steps":["bow","flower","message"]`,
			activityID, class.school, class.grade, class.number, p.role, s)
		if p.role != canyu.Teacher {
			b = strconv.AppendInt(append(b, `,"seat":`...), int64(p.seat), 10)
		}
		if p.role != canyu.Student {
			b = append(b, `,"name":"王　老师"`...)
		}
		if s.person%8 == 0 {
			b = append(b, `,"message":"缅怀先烈，吾辈自强。"`...)
		}
		b = append(b, '}')
	}
	if len(all) == 1 {
		return b
	}
	return append(append([]byte{'['}, b...), ']')
}

// conn is a keep-alive connection.
type conn struct {
	nc   net.Conn
	addr string
	in   *bufio.Reader
	resp fasthttp.Response
}

func (c *conn) close() {
	if c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

// exchange sends a request; after an error the connection is closed.
func (c *conn) exchange(addr string, request []byte) (err error) {
	defer func() {
		if err != nil || c.resp.ConnectionClose() {
			c.close()
		}
	}()
	if c.nc == nil || c.addr != addr {
		c.close()
		if c.nc, err = net.DialTimeout("tcp4", addr, requestTimeout); err != nil {
			c.nc = nil
			return err
		}
		c.addr, c.in = addr, bufio.NewReader(c.nc)
	}
	if err = c.nc.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err = c.nc.Write(request); err != nil {
		return err
	}
	c.resp.Reset()
	return c.resp.Read(c.in)
}

// reply is what the interface says of one submission, or of an array of them.
type reply struct {
	Status  int
	Counted bool
	Ordinal uint64
	Receipt string
	Detail  string
	Results []reply
}

// post sends n submissions and returns what was said of each.
func (c *conn) post(addr string, body []byte, n int) []answer {
	answers := make([]answer, n)
	head := fmt.Appendf(nil, "POST /v1/participations HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", addr, len(body))
	if err := c.exchange(addr, append(head, body...)); err != nil {
		return answers
	}
	var r reply
	if err := json.Unmarshal(c.resp.Body(), &r); err != nil {
		return answers // cut short
	}
	status := c.resp.StatusCode()
	for i := range answers {
		switch {
		case len(r.Results) == n:
			answers[i] = r.Results[i].answer(r.Results[i].Status)
		default:
			answers[i] = r.answer(status)
		}
	}
	return answers
}

func (r *reply) answer(status int) answer {
	return answer{status: status, counted: r.Counted, ordinal: r.Ordinal, receipt: r.Receipt, text: r.Detail}
}

// get fetches JSON.
func (c *conn) get(addr, path string, into any) error {
	if err := c.exchange(addr, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr)); err != nil {
		return err
	}
	if status := c.resp.StatusCode(); status != 200 {
		return fmt.Errorf("GET %s: %d %.200s", path, status, c.resp.Body())
	}
	return json.Unmarshal(c.resp.Body(), into)
}
