package reports

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// outbox puts each mail into a file instead of sending it: to look at, and for a
// first day without a mail server. Beside each .eml is its page for the browser,
// and index.html lists them.
type outbox struct {
	post
	dir string
	mu  sync.Mutex // of the list
}

func (o *outbox) Mail(_ context.Context, m *Mail) (string, error) {
	msg, err := o.message(m)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return "", &MailError{Later: true, Words: fmt.Sprintf("cannot make the outbox: %v", err)}
	}
	var eml bytes.Buffer
	_, err = msg.WriteTo(&eml)
	for _, step := range []func() error{
		func() error { return o.write(m.Name+".html", []byte(m.page())) },
		func() error { return o.write(m.Name+".eml", eml.Bytes()) },
		o.list,
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return "", &MailError{Later: true, Words: fmt.Sprintf("cannot write into the outbox: %v", err)}
	}
	return "written to " + m.Name + ".eml", nil
}

// page is the mail's HTML with its pictures in it.
func (m *Mail) page() string {
	page := m.HTML
	for _, f := range m.Inline {
		page = strings.ReplaceAll(page, `"cid:`+f.Name+`"`, `"data:`+f.Type+";base64,"+base64.StdEncoding.EncodeToString(f.Content)+`"`)
	}
	return page
}

// write lets nobody see half a file.
func (o *outbox) write(name string, content []byte) error {
	part, err := os.CreateTemp(o.dir, name+".*.part")
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	if err := cmp.Or(err, part.Close()); err != nil {
		_ = os.Remove(part.Name())
		return err
	}
	return os.Rename(part.Name(), filepath.Join(o.dir, name))
}

//go:embed outbox.html.tmpl
var outboxTemplate string

var outboxPage = template.Must(template.New("index.html").Parse(outboxTemplate))

// outboxListed bounds the work that a mail makes: the list is made anew for each.
const outboxListed = 200

// list writes index.html: the newest mails, by their names, which begin with the
// day, and among them by when they were made.
func (o *outbox) list() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return err
	}
	type line struct {
		Page, Mail, Subject, To string
		Date                    time.Time
	}
	var lines []line
	for _, e := range slices.Backward(entries) {
		name, isMail := strings.CutSuffix(e.Name(), ".eml")
		if !isMail || len(lines) == outboxListed {
			continue
		}
		file, err := os.Open(filepath.Join(o.dir, e.Name()))
		if err != nil {
			return err
		}
		m, err := netmail.ReadMessage(file)
		file.Close()
		if err != nil {
			continue // somebody else's file
		}
		l := line{Page: "./" + name + ".html", Mail: "./" + e.Name(), To: strings.Trim(m.Header.Get("To"), "<>"), Subject: m.Header.Get("Subject")}
		if text, err := new(mime.WordDecoder).DecodeHeader(l.Subject); err == nil {
			l.Subject = text
		}
		l.Date, _ = m.Header.Date()
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return b.Date.Compare(a.Date) })
	var page bytes.Buffer
	if err := outboxPage.Execute(&page, lines); err != nil {
		return err
	}
	return o.write("index.html", page.Bytes())
}
