package chaos_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/loadtest/chaos"
)

// echo answers each line with the same line.
func echo(t *testing.T) (addr string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					lines <- line
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), lines
}

type caller struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func call(t *testing.T, p *chaos.Proxy) *caller {
	t.Helper()
	c, err := net.Dial("tcp4", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &caller{t, c, bufio.NewReader(c)}
}

// ask is the answer, "timeout", "closed" or "reset".
func (c *caller) ask(line string, patience time.Duration) string {
	c.t.Helper()
	if line != "" {
		if _, err := io.WriteString(c.c, line+"\n"); err != nil {
			return "reset"
		}
	}
	if err := c.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	switch answer, err := c.in.ReadString('\n'); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer + "timeout"
	case errors.Is(err, io.EOF):
		return answer + "closed"
	case err != nil:
		return answer + "reset"
	default:
		return strings.TrimSpace(answer)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	const long, short = 10 * time.Second, 100 * time.Millisecond
	through := func(t *testing.T) (*chaos.Proxy, <-chan string) {
		addr, heard := echo(t)
		p, err := chaos.NewProxy("test", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p, heard
	}
	is := func(t *testing.T, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	t.Run("pass and delay", func(t *testing.T) {
		t.Parallel()
		p, _ := through(t)
		c := call(t, p)
		is(t, c.ask("one", long), "one")
		p.Set(chaos.Condition{Mode: chaos.Delay, Delay: 100 * time.Millisecond})
		began := time.Now()
		is(t, c.ask("two", long), "two")
		if took := time.Since(began); took < 100*time.Millisecond {
			t.Errorf("both ways took %s", took)
		}
	})
	t.Run("drop and reset", func(t *testing.T) {
		t.Parallel()
		p, _ := through(t)
		for _, mode := range []chaos.Mode{chaos.Drop, chaos.Reset} {
			p.Set(chaos.Condition{Mode: chaos.Pass})
			c := call(t, p)
			is(t, c.ask("one", long), "one")
			p.Set(chaos.Condition{Mode: mode})
			want := map[chaos.Mode]string{chaos.Drop: "closed", chaos.Reset: "reset"}[mode]
			is(t, c.ask("", long), want)
			late, err := net.Dial("tcp4", p.Addr())
			if err != nil {
				continue // refused already while it was made
			}
			defer late.Close()
			if got := (&caller{t, late, bufio.NewReader(late)}).ask("", long); got == "timeout" {
				t.Errorf("%s: a new connection stays open", mode)
			}
		}
	})
	t.Run("black hole", func(t *testing.T) {
		t.Parallel()
		p, heard := through(t)
		p.Set(chaos.Condition{Mode: chaos.BlackHole})
		c := call(t, p)
		is(t, c.ask("one", short), "timeout")
		if len(heard) > 0 {
			t.Error("the server heard something")
		}
		p.Set(chaos.Condition{Mode: chaos.Pass})
		is(t, c.ask("", long), "one") // late, but there
	})
	t.Run("half open", func(t *testing.T) {
		t.Parallel()
		p, heard := through(t)
		p.Set(chaos.Condition{Mode: chaos.HalfOpen})
		c := call(t, p)
		is(t, c.ask("one", short), "timeout")
		is(t, <-heard, "one\n")
		p.Set(chaos.Condition{Mode: chaos.HalfOpen, Replies: true})
		is(t, c.ask("two", long), "one")
		is(t, c.ask("", short), "timeout")
		if len(heard) > 0 {
			t.Error("the server heard something")
		}
	})
	t.Run("lost reply", func(t *testing.T) {
		t.Parallel()
		p, heard := through(t)
		c := call(t, p)
		is(t, c.ask("one", long), "one")
		p.Set(chaos.Condition{Mode: chaos.LostReply, Bytes: 2, Spare: true})
		if got := c.ask("two", long); got == "two" || got == "timeout" {
			t.Errorf("the reply came: %q", got)
		}
		is(t, <-heard, "one\n")
		is(t, <-heard, "two\n") // it was done all the same
		is(t, call(t, p).ask("three", long), "three")
		p.Set(chaos.Condition{Mode: chaos.LostReply})
		is(t, call(t, p).ask("four", long), "reset")
	})
}
