package reports

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// MailConfig says how mails leave.
type MailConfig struct {
	// URL of the mail server, with the user name if it wants one:
	//
	//	smtp://user@host:587          STARTTLS, insisted on
	//	smtps://user@host:465         TLS from the first byte
	//	smtp+plain://127.0.0.1:25     no TLS; on this machine only, unless AllowPlain
	//	outbox:/some/folder           no server: each mail becomes a file there
	URL        string
	Password   string
	From       string // an address, or "County bureau <report@example.org>"
	CAFile     string // PEM, for a server whose certificate the system does not know
	AllowPlain bool
	Timeout    time.Duration // for one mail, 30 s if 0
	PerMinute  int           // the most mails in a minute; 0 is no limit
	DKIM       DKIM
}

// DKIM signs mails if Domain is set.
type DKIM struct {
	Domain, Selector string
	KeyFile          string // PEM, RSA or Ed25519
}

// ports by scheme, where the URL names none.
var ports = map[string]string{"smtp": "587", "smtps": "465", "smtp+plain": "25"}

// CheckMail tells what is wrong with a configuration whatever its files hold.
func CheckMail(c MailConfig) error {
	_, _, err := c.parse()
	return err
}

func (c *MailConfig) parse() (from *netmail.Address, u *url.URL, err error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if from, err = netmail.ParseAddress(c.From); c.From == "" {
		wrong("smtp.from: missing")
	} else if err != nil {
		wrong("smtp.from %q: want an address such as canyu@example.org", c.From)
	}
	const want = "want smtp://, smtps:// or smtp+plain:// and a host, such as smtp://canyu@mail.example.org:587"
	if u, err = url.Parse(c.URL); err != nil {
		wrong("smtp.url: the URL cannot be read: " + want) // its text may hold a password
		return nil, nil, errors.Join(errs...)
	}
	switch port, err := strconv.ParseUint(cmp.Or(u.Port(), ports[u.Scheme]), 10, 16); {
	case u.Scheme == "outbox":
		if outboxDir(u) == "" {
			wrong("outbox: needs a folder")
		}
	case ports[u.Scheme] == "":
		wrong("smtp.url: scheme %q: "+want, u.Scheme)
	case u.Hostname() == "":
		wrong("smtp.url: names no host: " + want)
	case err != nil || port == 0:
		wrong("smtp.url: port %s: want 1–65535", u.Port())
	case u.Scheme == "smtp+plain" && !c.AllowPlain && !here(u.Hostname()):
		wrong("smtp.url: mails to %s would travel unencrypted: use smtp:// or smtps://, or smtp.allow_plain", u.Hostname())
	}
	return from, u, errors.Join(errs...)
}

func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// outboxDir is the folder of an outbox, or "".
func outboxDir(u *url.URL) string {
	dir := filepath.Join(u.Host, filepath.FromSlash(u.Path), u.Opaque)
	if dir == "." {
		return ""
	}
	return dir
}

// NewMailer checks the configuration, its files too. It does not connect.
func NewMailer(c MailConfig) (Mailer, error) {
	from, u, err := c.parse()
	if err != nil {
		return nil, err
	}
	p := post{from: from, pace: &pace{perMinute: c.PerMinute}}
	if c.DKIM.Domain != "" {
		if p.dkim, err = newSigner(c.DKIM); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "outbox" {
		return &outbox{post: p, dir: outboxDir(u)}, nil
	}
	s := &server{post: p, host: u.Hostname(), timeout: c.Timeout}
	if s.timeout == 0 {
		s.timeout = 30 * time.Second
	}
	s.address = net.JoinHostPort(s.host, cmp.Or(u.Port(), ports[u.Scheme]))
	// SMTPUTF8 for plain addresses would only make a relay that cannot pass it on bounce the mail.
	s.options = []mail.Option{mail.WithTimeout(s.timeout), mail.WithoutNoop(), mail.WithoutSMTPUTF8()}
	if err := s.security(u, c); err != nil {
		return nil, err
	}
	if user := u.User.Username(); user != "" {
		if password, ok := u.User.Password(); ok && c.Password == "" {
			c.Password = password
		}
		s.options = append(s.options, mail.WithUsername(user), mail.WithPassword(c.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	if _, err := mail.NewClient(s.host, s.options...); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return s, nil
}

func newSigner(c DKIM) (*mail.DKIMSigner, error) {
	pem, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("smtp.dkim.key_file: cannot be read: %w", err)
	}
	key, err := mail.PrivKeyFromPEM(pem)
	if err != nil {
		return nil, fmt.Errorf("smtp.dkim.key_file %s: holds no key: %w", c.KeyFile, err)
	}
	if c.Selector == "" {
		return nil, errors.New("smtp.dkim.selector: missing")
	}
	return mail.NewDKIMSigner(c.Domain, c.Selector, key), nil
}

// post is what every way of mailing has in common.
type post struct {
	*pace
	from *netmail.Address
	dkim *mail.DKIMSigner
}

func (p *post) Domain() string {
	return p.from.Address[strings.LastIndexByte(p.from.Address, '@')+1:]
}

func (p *post) message(m *Mail) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if p.dkim != nil {
		msg = mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithDKIM(p.dkim))
	}
	msg.FromMailAddress(p.from)
	if err := msg.To(m.To); err != nil {
		return nil, &MailError{Words: "the address cannot be read"}
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(m.Date)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.ReplyTo != "" {
		msg.SetGenHeader(mail.HeaderInReplyTo, "<"+m.ReplyTo+">")
		msg.SetGenHeader(mail.HeaderReferences, "<"+m.ReplyTo+">")
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	for _, f := range m.Inline {
		if err := msg.EmbedReader(f.Name, strings.NewReader(string(f.Content)), mail.WithFileContentType(mail.ContentType(f.Type))); err != nil {
			return nil, &MailError{Words: err.Error()}
		}
	}
	for _, f := range m.Files {
		if err := msg.AttachReader(f.Name, strings.NewReader(string(f.Content)), mail.WithFileContentType(mail.ContentType(f.Type))); err != nil {
			return nil, &MailError{Words: err.Error()}
		}
	}
	return msg, nil
}

// server is a mail server. Each mail has its own connection: what goes wrong with
// one cannot touch the next.
type server struct {
	post
	host, address string
	tls           *tls.Config // TLS from the first byte, or nil
	timeout       time.Duration
	options       []mail.Option
}

func (s *server) security(u *url.URL, c MailConfig) error {
	config := &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return fmt.Errorf("smtp.ca_file: cannot be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("smtp.ca_file %s: holds no certificate", c.CAFile)
		}
	}
	switch u.Scheme {
	case "smtps":
		s.tls = config
		s.options = append(s.options, mail.WithTLSPolicy(mail.NoTLS))
	case "smtp":
		s.options = append(s.options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(config))
	default:
		s.options = append(s.options, mail.WithTLSPolicy(mail.NoTLS))
	}
	return nil
}

func (s *server) Mail(ctx context.Context, m *Mail) (string, error) {
	msg, err := s.message(m)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	client, line, hangUp, err := s.dial(ctx)
	defer hangUp()
	if err != nil {
		return "", err
	}
	err = client.SendWithSMTPClient(line, msg)
	if msg.IsDelivered() {
		answer := msg.ServerResponse()
		_ = client.CloseWithSMTPClient(line) // it has the mail: what it says now changes nothing
		return answer, nil
	}
	return "", judge(err)
}

// dial connects, says hello and logs in. go-mail bounds only parts of a conversation
// and leaves a connection open when it does not get to the end: the connection is
// ours, and so is the clock.
func (s *server) dial(ctx context.Context) (_ *mail.Client, _ *smtp.Client, hangUp func(), _ error) {
	var conn net.Conn
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var err error
		if s.tls != nil {
			conn, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		}
		return conn, err
	}
	hangUp = func() {}
	client, err := mail.NewClient(s.host, append(s.options[:len(s.options):len(s.options)], mail.WithDialContextFunc(dial))...)
	if err != nil {
		return nil, nil, hangUp, &MailError{Words: err.Error()}
	}
	line, err := client.DialToSMTPClientWithContext(ctx)
	if conn != nil {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		hangUp = func() { stop(); conn.Close() }
	}
	if err != nil {
		// Nobody has heard of the recipient yet: it is the server's trouble, or the
		// password's, and may be mended.
		return nil, nil, hangUp, &MailError{Later: true, Words: words(err)}
	}
	return client, line, hangUp, nil
}

// Reach tries whether mails could leave, and sends none: it connects and logs in, or
// writes a file into the outbox and takes it away again.
func Reach(ctx context.Context, c MailConfig) error {
	m, err := NewMailer(c)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *server:
		ctx, cancel := context.WithTimeout(ctx, m.timeout)
		defer cancel()
		client, line, hangUp, err := m.dial(ctx)
		defer hangUp()
		if err == nil {
			_ = client.CloseWithSMTPClient(line) // it has answered
		}
		return err
	case *outbox:
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the outbox: %w", err)
		}
		f, err := os.CreateTemp(m.dir, ".preflight-*")
		if err != nil {
			return fmt.Errorf("cannot write into the outbox: %w", err)
		}
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return nil
}

// judge tells what a failure means for the mail.
func judge(err error) *MailError {
	e := &MailError{Later: true, Words: words(err)}
	var refused *mail.SendError
	if !errors.As(err, &refused) {
		return e
	}
	code := refused.ErrorCode()
	if code == 0 {
		code, _ = strconv.Atoi(strings.SplitN(e.Words, " ", 2)[0])
	}
	switch {
	case code >= 500:
		// QQ and Exmail announce their hourly limits as if they were for good.
		e.Later = strings.Contains(strings.ToLower(e.Words), "frequency limited")
	case code == 0 && refused.Reason == mail.ErrSMTPDataClose:
		e.Unknown = true
	}
	return e
}

// words of the server, without go-mail's around them.
func words(err error) string {
	text := err.Error()
	var refused *mail.SendError
	if errors.As(err, &refused) {
		text = strings.TrimPrefix(text, refused.Reason.String()+": ")
		text, _, _ = strings.Cut(text, ", affected recipient(s)")
		text, _, _ = strings.Cut(text, ", affected message ID")
	}
	if reply := quotedReply.FindStringSubmatch(text); reply != nil {
		return reply[1] + " " + strings.ReplaceAll(reply[2], `\"`, `"`)
	}
	return text
}

// quotedReply is how net/textproto prints a reply.
var quotedReply = regexp.MustCompile(`([245]\d\d) "(.*)"`)

// pace spreads mails over time.
type pace struct {
	perMinute int

	mu   sync.Mutex
	next time.Time
}

func (p *pace) Wait(ctx context.Context) error {
	if p.perMinute <= 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Minute / time.Duration(p.perMinute))
	p.mu.Unlock()
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
