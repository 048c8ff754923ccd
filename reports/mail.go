package reports

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// Mailer hands mails to whoever carries them.
type Mailer interface {
	// Wait returns when the next mail may be handed over: servers limit how many
	// they take in a minute.
	Wait(ctx context.Context) error
	// Mail hands one mail over and returns the server's words. A failure is a
	// *MailError.
	Mail(ctx context.Context, m *Mail) (answer string, err error)
	// Domain of the sender, for Message-IDs.
	Domain() string
}

// Mail is one report for one recipient.
type Mail struct {
	ID      string // Message-ID without < >: the same mail has the same one
	ReplyTo string // Message-ID of the mail that this one corrects, or ""
	Name    string // of a file that the mail is put into
	To      string
	Subject string
	Date    time.Time
	Text    string
	HTML    string
	Inline  []File
	Files   []File
}

// File is an attachment.
type File struct {
	Name, Type string
	Content    []byte
}

// MailError is why a mail was not taken.
type MailError struct {
	// Later: it may be taken another time. Otherwise it was refused for good.
	Later bool
	// Unknown: all of the mail was handed over and the answer was lost. The
	// recipient may have it.
	Unknown bool
	Words   string // the server's, or why there were none
}

func (e *MailError) Error() string { return e.Words }

// letter is a report made ready to be mailed to anybody.
type letter struct {
	subject string
	text    string
	html    string
	inline  []File
	files   []File
}

const chartName = "trend.png"

// signedInMail is how large report.json may be to go with the mail. A county's is half
// of that; a province's is to be had on the bureau's page.
const signedInMail = 1 << 20

func newLetter(r *Report, lang string) (*letter, error) {
	l := &letter{subject: r.Subject(lang)}
	var text, html, book, list bytes.Buffer
	chart, err := r.chart(lang)
	if err != nil {
		return nil, err
	}
	var address template.URL
	if chart != nil {
		address = "cid:" + chartName
		l.inline = []File{{chartName, "image/png", chart}}
	}
	if err := r.Text(&text, lang); err != nil {
		return nil, err
	}
	if err := r.html(&html, lang, address); err != nil {
		return nil, err
	}
	if err := r.Workbook(&book, lang); err != nil {
		return nil, err
	}
	l.text, l.html = text.String(), html.String()
	l.files = []File{{r.FileName(lang), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", book.Bytes()}}
	if r.Signed() {
		if len(r.body) <= signedInMail {
			l.files = append(l.files, File{r.fileName(lang) + ".json", "application/json", r.body})
		}
		l.files = append(l.files, File{r.fileName(lang) + ".json.sig", "text/plain", []byte(r.signature)})
	}
	if r.school {
		if err := r.CSV(&list, lang); err != nil {
			return nil, err
		}
		l.files = append(l.files, File{r.fileName(lang) + ".csv", "text/csv", list.Bytes()})
	}
	return l, nil
}

// letters are those of one report: the region's, which many may get, and those of
// its schools, each made when it is sent, so that few are in memory.
type letters struct {
	region func() (*letter, error)
	of     func(canyu.SchoolCode) (*letter, error)
}

func newLetters(r *Report, lang string) letters {
	return letters{
		region: sync.OnceValues(func() (*letter, error) { return newLetter(r, lang) }),
		of: func(school canyu.SchoolCode) (*letter, error) {
			own := r.Of(school)
			if own == nil {
				return nil, fmt.Errorf("the frozen report has no school %s", school)
			}
			return newLetter(own, lang)
		},
	}
}

func (l *letters) to(d *canyu.Delivery) (*letter, error) {
	if d.School == 0 {
		return l.region()
	}
	return l.of(d.School)
}

// to is the letter addressed to one recipient.
func (l *letter) to(d canyu.Delivery, domain string, now time.Time) *Mail {
	about := d.Region.String()
	if d.School != 0 {
		about = d.School.String()
	}
	m := &Mail{
		ID: messageID(d, domain), To: d.Recipient, Subject: l.subject, Date: now,
		Name: fmt.Sprintf("%s_%s_r%d_%s", d.Day, about, d.Revision, messageID(d, domain)[:8]),
		Text: l.text, HTML: l.html, Inline: l.inline, Files: l.files,
	}
	if d.Revision > 1 {
		d.Revision--
		m.ReplyTo = messageID(d, domain)
	}
	return m
}

// messageID depends on nothing but what the mail is: a mail that is sent again
// because nobody knows whether it arrived is recognised as the same.
func messageID(d canyu.Delivery, domain string) string {
	what := []string{d.Activity, d.Region.String(), d.Day.String(), fmt.Sprint(d.Revision), d.Recipient}
	if d.School != 0 {
		what = append(what, d.School.String())
	}
	sum := sha256.Sum256([]byte(strings.Join(what, "\x00")))
	return hex.EncodeToString(sum[:16]) + "@" + domain
}
