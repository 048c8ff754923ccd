package reports_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
)

func letter(to string) *reports.Mail {
	return &reports.Mail{
		ID: "0123456789abcdef@example.org", Name: "2017-04-05_341802_r1", To: to, Subject: "【网上祭英烈】宣州区 4月5日参与情况",
		Date: time.Date(2017, 4, 5, 16, 30, 0, 0, time.UTC), Text: "宣州区", HTML: "<p>宣州区</p>",
		Inline: []reports.File{{Name: "trend.png", Type: "image/png", Content: []byte("png")}},
		Files:  []reports.File{{Name: "宣州区_2017-04-05_网上祭英烈参与情况.xlsx", Type: "application/octet-stream", Content: []byte("book")}},
	}
}

func mailer(t *testing.T, c reports.MailConfig) reports.Mailer {
	t.Helper()
	if c.From == "" {
		c.From = "教育局 <report@example.org>"
	}
	m, err := reports.NewMailer(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What each way of misbehaving means for the mail.
func TestMailerMisbehavingServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		stage mailtest.Stage
		reply string
		want  reports.MailError // Words: what they begin with
	}{
		{"refuses the greeting", mailtest.Greeting, "554 5.3.2 go away", reports.MailError{Later: true, Words: "554 5.3.2 go away"}},
		{"is busy", mailtest.Greeting, "421 4.3.2 too busy", reports.MailError{Later: true, Words: "421 4.3.2 too busy"}},
		{"drops the connection at once", mailtest.Greeting, mailtest.Drop, reports.MailError{Later: true, Words: "EOF"}},
		{"hangs at the greeting", mailtest.Greeting, mailtest.Hang, reports.MailError{Later: true}},
		{"has a full mailbox", mailtest.Recipient, "452 4.2.2 mailbox full", reports.MailError{Later: true, Words: "452 4.2.2 mailbox full"}},
		{"knows no such user", mailtest.Recipient, "550 5.1.1 no such user", reports.MailError{Words: "550 5.1.1 no such user"}},
		{"has hourly limits", mailtest.Recipient, "550 Domain frequency limited", reports.MailError{Later: true, Words: "550 Domain frequency limited"}},
		{"hangs at the recipient", mailtest.Recipient, mailtest.Hang, reports.MailError{Later: true}},
		{"drops after DATA", mailtest.Data, mailtest.Drop, reports.MailError{Later: true, Words: "EOF"}},
		{"greylists at DATA", mailtest.Data, "451 4.7.1 greylisted", reports.MailError{Later: true, Words: "451 4.7.1 greylisted"}},
		{"refuses the content for now", mailtest.Body, "451 4.3.0 later", reports.MailError{Later: true, Words: "451 4.3.0 later"}},
		{"refuses the content", mailtest.Body, "554 5.7.1 spam", reports.MailError{Words: "554 5.7.1 spam"}},
		{"takes the mail and says nothing", mailtest.Body, mailtest.TakeAndDrop, reports.MailError{Later: true, Unknown: true, Words: "EOF"}},
		{"takes the mail and hangs", mailtest.Body, mailtest.Hang, reports.MailError{Later: true, Unknown: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.New(t, func(stage mailtest.Stage, _ string, _ int) string {
				if stage == c.stage {
					return c.reply
				}
				return mailtest.Fine
			})
			m := mailer(t, reports.MailConfig{URL: "smtp+plain://" + server.Address, Timeout: 5 * time.Second})
			_, err := m.Mail(t.Context(), letter("a@school.test"))
			var got *reports.MailError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a MailError", err)
			}
			if got.Later != c.want.Later || got.Unknown != c.want.Unknown || !strings.HasPrefix(got.Words, c.want.Words) || got.Words == "" {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
}

func TestMailerServerAway(t *testing.T) {
	t.Parallel()
	m := mailer(t, reports.MailConfig{URL: "smtp+plain://127.0.0.1:1"})
	_, err := m.Mail(t.Context(), letter("a@school.test"))
	var got *reports.MailError
	if !errors.As(err, &got) || !got.Later || got.Unknown || !strings.Contains(got.Words, "refused") {
		t.Errorf("got %+v, want a failure to be tried again", got)
	}
}

func TestMailerSecurity(t *testing.T) {
	t.Parallel()
	starttls := mailtest.New(t, nil, mailtest.WithTLS(false), mailtest.WithLogin("bureau", "secret"))
	smtps := mailtest.New(t, nil, mailtest.WithTLS(true), mailtest.WithLogin("bureau", "secret"))
	plain := mailtest.New(t, nil)
	for _, c := range []struct {
		name   string
		server *mailtest.Server
		config reports.MailConfig
		want   string // in the error, or "" where it is delivered
	}{
		{"STARTTLS", starttls, reports.MailConfig{URL: "smtp://bureau@" + starttls.Address, Password: "secret", CAFile: starttls.CAFile}, ""},
		{"implicit TLS", smtps, reports.MailConfig{URL: "smtps://bureau@" + smtps.Address, Password: "secret", CAFile: smtps.CAFile}, ""},
		{"wrong password", smtps, reports.MailConfig{URL: "smtps://bureau@" + smtps.Address, Password: "guess", CAFile: smtps.CAFile}, "535 5.7.8"},
		{"no password", starttls, reports.MailConfig{URL: "smtp://" + starttls.Address, CAFile: starttls.CAFile}, "530 5.7.0"},
		{"unknown authority", starttls, reports.MailConfig{URL: "smtp://bureau@" + starttls.Address, Password: "secret"}, "certificate"},
		{"server without STARTTLS", plain, reports.MailConfig{URL: "smtp://" + plain.Address}, "STARTTLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mailer(t, c.config).Mail(t.Context(), letter(strings.ReplaceAll(c.name, " ", "")+"@school.test"))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
	for _, s := range []*mailtest.Server{starttls, smtps} {
		if m := s.Mails(); len(m) != 1 || !m[0].TLS || m[0].User != "bureau" {
			t.Errorf("want one mail by TLS and with a login, got %+v", m)
		}
	}
	if m := plain.Mails(); len(m) != 0 {
		t.Errorf("a mail went out unencrypted")
	}
}

func TestMailerConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, from, want string }{
		{"smtp+plain://mail.example.org", "a@example.org", "unencrypted"},
		{"http://mail.example.org", "a@example.org", "scheme"},
		{"smtp://", "a@example.org", "no host"},
		{"mail.example.org", "a@example.org", "want smtp://"},
		{"mail.example.org:587", "a@example.org", "want smtp://"},
		{"192.0.2.1:587", "a@example.org", "want smtp://"},
		{"smtp://mail.example.org:65536", "a@example.org", "port 65536"},
		{"smtp://mail.example.org", "", "smtp.from: missing"},
		{"outbox:", "a@example.org", "folder"},
		{"smtp://mail.example.org", "nobody", "from"},
		{"smtp://u:hidden@mail.example.org:xx", "a@example.org", "URL"},
	} {
		_, err := reports.NewMailer(reports.MailConfig{URL: c.url, From: c.from})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s from %s: got %v, want %q", c.url, c.from, err, c.want)
		}
	}
	for _, url := range []string{"smtp+plain://localhost", "smtp+plain://[::1]:2525", "smtps://mail.example.org", "smtp://mail.example.org:2587"} {
		if _, err := reports.NewMailer(reports.MailConfig{URL: url, From: "a@example.org"}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// The mail as another program reads it.
func TestMailParses(t *testing.T) {
	t.Parallel()
	server := mailtest.New(t, nil)
	answer, err := mailer(t, reports.MailConfig{URL: "smtp+plain://" + server.Address}).Mail(t.Context(), letter("a@school.test"))
	if err != nil || !strings.Contains(answer, "queued as 1") {
		t.Fatalf("answer %q, %v", answer, err)
	}
	checkMail(t, server.Mails()[0].Data)
}

// A mail in the outbox is one that mail programs read, a page that a browser shows
// without them, and a line in the list, the newest first, once however often sent.
func TestOutbox(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "outbox")
	m := mailer(t, reports.MailConfig{URL: "outbox:" + dir})
	first, second := letter("a@school.test"), letter("b@school.test")
	second.Name, second.Subject, second.Date = "2017-04-01_341802_r2", `</a><b>更正`, first.Date.Add(time.Hour)
	first.HTML = `<p>报告</p><img src="cid:trend.png">`
	for _, l := range []*reports.Mail{second, first, first} {
		if _, err := m.Mail(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	check(t, names, "2017-04-01_341802_r2.eml", "2017-04-01_341802_r2.html", "2017-04-05_341802_r1.eml", "2017-04-05_341802_r1.html", "index.html")
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	checkMail(t, []byte(read("2017-04-05_341802_r1.eml")))
	picture := "data:image/png;base64," + base64.StdEncoding.EncodeToString(first.Inline[0].Content)
	if page := read("2017-04-05_341802_r1.html"); page != `<p>报告</p><img src="`+picture+`">` {
		t.Errorf("page %s", page)
	}
	index := read("index.html")
	newer, older := strings.Index(index, `<a href="./2017-04-01_341802_r2.html">&lt;/a&gt;&lt;b&gt;更正</a>`), strings.Index(index, `<a href="./2017-04-05_341802_r1.html">【网上祭英烈】宣州区 4月5日参与情况</a>`)
	if newer < 0 || older < newer || strings.Count(index, "<li>") != 2 {
		t.Errorf("list: %d, %d:\n%s", newer, older, index)
	}
}

func checkMail(t *testing.T, data []byte) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "【网上祭英烈】宣州区 4月5日参与情况" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if id := m.Header.Get("Message-ID"); id != "<0123456789abcdef@example.org>" {
		t.Errorf("Message-ID %s", id)
	}
	var found []string
	var walk func(contentType string, body io.Reader)
	walk = func(contentType string, body io.Reader) {
		kind, parameters, err := mime.ParseMediaType(contentType)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, kind)
		if !strings.HasPrefix(kind, "multipart/") {
			return
		}
		for parts := multipart.NewReader(body, parameters["boundary"]); ; {
			p, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if name := p.FileName(); name != "" {
				if name, err = new(mime.WordDecoder).DecodeHeader(name); err != nil {
					t.Fatal(err)
				}
				found = append(found, name)
			}
			if id := p.Header.Get("Content-ID"); id != "" {
				found = append(found, id)
			}
			walk(p.Header.Get("Content-Type"), p)
		}
	}
	walk(m.Header.Get("Content-Type"), m.Body)
	want := "multipart/mixed multipart/related multipart/alternative text/plain text/html trend.png <trend.png> image/png 宣州区_2017-04-05_网上祭英烈参与情况.xlsx application/octet-stream"
	if got := strings.Join(found, " "); got != want {
		t.Errorf("parts\n%s, want\n%s", got, want)
	}
}

func TestMailerPace(t *testing.T) {
	t.Parallel()
	m := mailer(t, reports.MailConfig{URL: "outbox:" + t.TempDir(), PerMinute: 1})
	if err := m.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the second mail of a minute had not to wait: %v", err)
	}
}
