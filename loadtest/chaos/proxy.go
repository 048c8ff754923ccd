package chaos

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Mode is what a network between two processes does.
type Mode string

// What a proxy does to its connections. Nothing is lost out of the middle of a
// connection, as TCP would not: what was held back arrives when the mode ends, late,
// also when the sender has given up and gone.
const (
	Pass      Mode = "pass"
	Delay     Mode = "delay"      // every piece, both ways
	Drop      Mode = "drop"       // connections are closed, new ones at once
	Reset     Mode = "reset"      // the same with RST
	BlackHole Mode = "black hole" // connections stay, new ones are taken, nothing moves
	HalfOpen  Mode = "half open"  // requests arrive, replies do not, or the other way round
	LostReply Mode = "lost reply" // requests arrive; after some bytes of the reply: RST
)

// Condition is a mode with its measures.
type Condition struct {
	Mode    Mode
	Delay   time.Duration // of Delay
	Bytes   int           // of LostReply: at most so many of the reply pass
	Replies bool          // of HalfOpen: it is the replies that pass
	Spare   bool          // of LostReply: connections that are made later are spared
}

// Proxy stands between clients and one server.
type Proxy struct {
	Name   string
	Target string

	fault    sync.Mutex // held by the fault that sets the condition
	listener net.Listener
	mu       sync.Mutex
	now      Condition
	changed  chan struct{} // closed at the next change
	links    map[*link]struct{}
	wait     sync.WaitGroup
}

// NewProxy listens on a loopback port.
func NewProxy(name, target string) (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Name: name, Target: target, listener: l, now: Condition{Mode: Pass},
		changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.wait.Go(p.accept)
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends every connection.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Set(Condition{Mode: Reset})
	p.wait.Wait()
	return err
}

// Set changes the condition, of the connections that there are too.
func (p *Proxy) Set(c Condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = c
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		l.left, l.spared = c.Bytes, false
		if c.Mode == Drop || c.Mode == Reset {
			l.cut(c.Mode == Reset)
		}
	}
}

func (p *Proxy) condition() (Condition, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.changed
}

// link is a connection: of a client, and to the server.
type link struct {
	client, server *net.TCPConn
	left           int  // bytes of the reply that still pass, under Proxy.mu
	spared         bool // under Proxy.mu
}

func (l *link) cut(reset bool) {
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if c != nil {
			if reset {
				_ = c.SetLinger(0) // of a connection that is closed already
			}
			c.Close()
		}
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	l := &link{client: client}
	p.mu.Lock()
	c := p.now
	l.left, l.spared = c.Bytes, c.Spare
	p.links[l] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
		l.cut(false)
	}()
	if c.Mode == Drop || c.Mode == Reset {
		l.cut(c.Mode == Reset)
		return
	}
	s, err := net.DialTimeout("tcp4", p.Target, 2*time.Second)
	if err != nil {
		l.cut(true) // as the kernel of a machine without that server does
		return
	}
	p.mu.Lock()
	l.server = s.(*net.TCPConn)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.client, l.server, false) })
	both.Go(func() { p.pump(l, l.server, l.client, true) })
	both.Wait()
}

// pump carries one direction until it ends.
func (p *Proxy) pump(l *link, from, to *net.TCPConn, reply bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.deliver(l, to, buf[:n], reply) {
				l.cut(true)
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = to.CloseWrite() // the other end may be gone already
			} else {
				l.cut(true)
			}
			return
		}
	}
}

// deliver writes a piece when the condition lets it; false ends the connection.
func (p *Proxy) deliver(l *link, to *net.TCPConn, b []byte, reply bool) bool {
	for {
		c, changed := p.condition()
		switch c.Mode {
		case Drop, Reset:
			return false
		case BlackHole:
			<-changed
			continue
		case HalfOpen:
			if reply != c.Replies {
				<-changed
				continue
			}
		case Delay:
			select {
			case <-time.After(c.Delay/2 + rand.N(c.Delay/2+1)):
			case <-changed:
			}
		case LostReply:
			if reply {
				p.mu.Lock()
				n := min(l.left, len(b))
				if l.spared {
					n = len(b)
				}
				l.left = max(0, l.left-n)
				p.mu.Unlock()
				if n < len(b) {
					_, _ = to.Write(b[:n])
					return false
				}
			}
		}
		_, err := to.Write(b)
		return err == nil
	}
}
