package loadtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// ErrRemote is what a target that is not this machine is refused with.
var ErrRemote = errors.New("the target is another machine: say --allow-remote if it is yours to load")

// Target is the server under test.
type Target struct {
	URL *url.URL

	// Dial opens a connection; tests answer in memory.
	Dial func(ctx context.Context) (net.Conn, error)
}

// NewTarget parses the base URL of a server. Unless remote is set, every address
// of its host must be a loopback address.
func NewTarget(ctx context.Context, base string, remote bool) (*Target, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("target %q: want a URL such as http://127.0.0.1:8080", base)
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath would leave the first slash out
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", base, err)
	}
	for _, ip := range ips {
		if !remote && !ip.IP.IsLoopback() {
			return nil, fmt.Errorf("target %q: %w", base, ErrRemote)
		}
	}
	// The address that was checked is the one that is dialled.
	addr := net.JoinHostPort(ips[0].String(), port)
	t := &Target{URL: u}
	t.Dial = func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		if u.Scheme == "https" {
			return (&tls.Dialer{NetDialer: &d, Config: &tls.Config{ServerName: u.Hostname()}}).DialContext(ctx, "tcp", addr)
		}
		return d.DialContext(ctx, "tcp", addr)
	}
	return t, nil
}

// head is the beginning of a request, up to the value of Content-Length.
func (t *Target) head(method, path string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: ",
		method, t.URL.JoinPath(path).RequestURI(), t.URL.Host)
}

// conn is one keep-alive connection with at most one request under way. It
// writes a request as one buffer and leaves the reading to fasthttp: measured
// against fasthttp.HostClient, which looks after connections by itself, this
// costs about 10 % less CPU per request (RESULTS.md), and the CPU is the server's.
type conn struct {
	target  *Target
	timeout time.Duration

	nc       net.Conn
	in       *bufio.Reader
	out      []byte
	resp     fasthttp.Response
	deadline time.Time
}

func newConn(t *Target, timeout time.Duration) *conn {
	return &conn{target: t, timeout: timeout, in: bufio.NewReaderSize(nil, 4096)}
}

// open connects, unless it is connected.
func (c *conn) open(ctx context.Context) error {
	if c.nc != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	nc, err := c.target.Dial(ctx)
	if err != nil {
		return err
	}
	c.nc, c.deadline = nc, time.Time{}
	c.in.Reset(nc)
	return nil
}

func (c *conn) close() {
	if c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

// do sends a request on the open connection and returns the status; c.resp holds
// the rest until the next. After an error the connection is closed, and nobody
// knows whether the server has acted on the request.
func (c *conn) do(head, body []byte, now time.Time) (int, error) {
	// To move the deadline costs as much as making a body: it is moved when a
	// quarter of it is used up, and so a request waits 1 to 1¼ timeouts.
	if c.deadline.Sub(now) < c.timeout {
		c.deadline = now.Add(c.timeout + c.timeout/4)
		if err := c.nc.SetDeadline(c.deadline); err != nil {
			c.close()
			return 0, err
		}
	}
	c.out = append(c.out[:0], head...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if _, err := c.nc.Write(c.out); err != nil {
		c.close()
		return 0, err
	}
	c.resp.Reset()
	if err := c.resp.Read(c.in); err != nil {
		c.close()
		return 0, err
	}
	if c.resp.ConnectionClose() {
		c.close()
	}
	return c.resp.StatusCode(), nil
}

// get fetches a path; anything but 200 is an error.
func (c *conn) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	u := c.target.URL.JoinPath(path)
	u.RawQuery = query.Encode()
	head := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nContent-Length: ", u.RequestURI(), u.Host)
	status, err := c.do(head, nil, time.Now())
	if err != nil {
		return nil, err
	}
	if status != fasthttp.StatusOK {
		return nil, fmt.Errorf("GET %s answered %d: %.200s", u.RequestURI(), status, c.resp.Body())
	}
	return c.resp.Body(), nil
}
