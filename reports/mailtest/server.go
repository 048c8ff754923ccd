// Package mailtest is a mail server for tests that misbehaves on demand.
package mailtest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Stage of a conversation.
type Stage string

// Stages, in their order.
const (
	Greeting  Stage = "greeting"
	Recipient Stage = "recipient" // after RCPT TO
	Data      Stage = "data"      // after DATA
	Body      Stage = "body"      // after the whole mail
)

// What a server may do instead of saying 2xx or a reply such as "451 later".
const (
	Fine        = ""
	Drop        = "drop"        // close the connection without a word
	DropMidBody = "dropmidbody" // at Data: read some of the mail, then close
	TakeAndDrop = "takeanddrop" // at Body: keep the mail, then close without a word
	Hang        = "hang"        // say nothing until the other side goes away
)

// Server is a running mail server.
type Server struct {
	Address string // host:port
	CAFile  string // the certificate of a server with TLS
	t       testing.TB
	behave  func(stage Stage, recipient string, try int) string
	config  *tls.Config
	smtps   bool
	user    string

	mu    sync.Mutex
	tries map[string]int
	mails []Mail
	open  map[net.Conn]bool
}

// Mail is one that the server took.
type Mail struct {
	From, To string
	Data     []byte
	TLS      bool
	User     string
}

// Option of New.
type Option func(*Server)

// WithTLS offers STARTTLS, or with smtps expects TLS from the first byte.
func WithTLS(smtps bool) Option {
	return func(s *Server) { s.config, s.smtps = s.certificate(), smtps }
}

// WithLogin wants "user password" before it takes a mail.
func WithLogin(user, password string) Option {
	return func(s *Server) { s.user = user + "\x00" + password }
}

// New starts a server that ends with the test. behave says how it answers at a
// stage; try counts from 1 how often this recipient has come to this stage (at
// the greeting: how many connections there were). nil is always fine.
func New(t testing.TB, behave func(stage Stage, recipient string, try int) string, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, behave: behave, tries: make(map[string]int), open: make(map[net.Conn]bool)}
	for _, o := range options {
		o(s)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = listener.Addr().String()
	var group sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open[conn] = true
			s.mu.Unlock()
			group.Go(func() {
				s.serve(conn)
				conn.Close()
				s.mu.Lock()
				delete(s.open, conn)
				s.mu.Unlock()
			})
		}
	})
	return s
}

// Mails that were taken so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

func (s *Server) say(stage Stage, recipient string) string {
	s.mu.Lock()
	key := string(stage) + " " + recipient
	s.tries[key]++
	try := s.tries[key]
	s.mu.Unlock()
	if s.behave == nil {
		return Fine
	}
	return s.behave(stage, recipient, try)
}

// answer is false where the conversation is over.
func (s *Server) answer(conn net.Conn, stage Stage, recipient, fine string) (goOn, accepted bool) {
	reply := s.say(stage, recipient)
	switch reply {
	case Fine:
		fmt.Fprint(conn, fine+"\r\n")
		return true, true
	case Drop:
		return false, false
	case DropMidBody:
		fmt.Fprint(conn, fine+"\r\n")
		_, _ = io.CopyN(io.Discard, conn, 100)
		return false, false
	case Hang:
		_, _ = io.Copy(io.Discard, conn)
		return false, false
	}
	fmt.Fprint(conn, reply+"\r\n")
	return stage != Greeting, false
}

func (s *Server) serve(conn net.Conn) {
	if s.smtps {
		conn = tls.Server(conn, s.config)
	}
	if goOn, _ := s.answer(conn, Greeting, "", "220 mail.test ESMTP"); !goOn {
		return
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	var m Mail
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			more := ""
			if _, secure := conn.(*tls.Conn); s.config != nil && !secure {
				more = "250-STARTTLS\r\n"
			}
			if s.user != "" {
				more += "250-AUTH PLAIN LOGIN\r\n"
			}
			fmt.Fprintf(conn, "250-mail.test\r\n%s250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n", more)
		case "STARTTLS":
			fmt.Fprint(conn, "220 go ahead\r\n")
			conn = tls.Server(conn, s.config)
			r = textproto.NewReader(bufio.NewReader(conn))
		case "AUTH":
			_, token, _ := strings.Cut(argument, " ")
			plain, _ := base64.StdEncoding.DecodeString(token)
			if string(plain) != "\x00"+s.user {
				fmt.Fprint(conn, "535 5.7.8 wrong password\r\n")
				continue
			}
			m.User, _, _ = strings.Cut(s.user, "\x00")
			fmt.Fprint(conn, "235 welcome\r\n")
		case "MAIL":
			if s.user != "" && m.User == "" {
				fmt.Fprint(conn, "530 5.7.0 log in first\r\n")
				continue
			}
			m.From = address(argument)
			fmt.Fprint(conn, "250 2.1.0 ok\r\n")
		case "RCPT":
			m.To = address(argument)
			if goOn, _ := s.answer(conn, Recipient, m.To, "250 2.1.5 ok"); !goOn {
				return
			}
		case "DATA":
			goOn, accepted := s.answer(conn, Data, m.To, "354 go on")
			if !goOn {
				return
			}
			if !accepted {
				continue
			}
			if m.Data, err = r.ReadDotBytes(); err != nil {
				return
			}
			_, m.TLS = conn.(*tls.Conn)
			if !s.body(conn, m) {
				return
			}
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

// body keeps the mail if it is to be kept; false ends the conversation.
func (s *Server) body(conn net.Conn, m Mail) bool {
	reply := s.say(Body, m.To)
	if reply == Fine || reply == TakeAndDrop {
		s.mu.Lock()
		s.mails = append(s.mails, m)
		s.mu.Unlock()
	}
	switch reply {
	case Fine:
		fmt.Fprint(conn, "250 2.0.0 queued as 1\r\n")
	case Drop, TakeAndDrop:
		return false
	case Hang:
		_, _ = io.Copy(io.Discard, conn)
		return false
	default:
		fmt.Fprint(conn, reply+"\r\n")
	}
	return true
}

func address(argument string) string {
	_, after, _ := strings.Cut(argument, "<")
	before, _, _ := strings.Cut(after, ">")
	return before
}

// certificate signs itself for 127.0.0.1, and writes what clients must know.
func (s *Server) certificate() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		s.t.Fatal(err)
	}
	s.CAFile = filepath.Join(s.t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, text.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
