package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
	"github.com/prometheus/client_golang/prometheus"
)

// firstPart is the first text in a mail.
func firstPart(data []byte) (string, error) {
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	header, encoding := m.Header.Get("Content-Type"), ""
	body := m.Body
	for {
		kind, parameters, err := mime.ParseMediaType(header)
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(kind, "multipart/") {
			break
		}
		part, err := multipart.NewReader(body, parameters["boundary"]).NextRawPart()
		if err != nil {
			return "", err
		}
		header, encoding, body = part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part
	}
	if encoding == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	return string(text), err
}

// five recipients, and a server that is bad to one or to all of them: who can get
// the mail gets it, whatever happens to the others, and the record tells the story.
func TestReportsMisbehavingServer(t *testing.T) {
	t.Parallel()
	everybody := []string{"a@school.test", "b@school.test", "c@school.test", "d@school.test", "e@school.test"}
	only := func(to string, stage mailtest.Stage, replies ...string) func(mailtest.Stage, string, int) string {
		return func(s mailtest.Stage, recipient string, try int) string {
			if s == stage && (recipient == to || s == mailtest.Greeting) && try <= len(replies) {
				return replies[try-1]
			}
			return mailtest.Fine
		}
	}
	for _, c := range []struct {
		name   string
		behave func(mailtest.Stage, string, int) string
		first  []string // who has it after the first round
		copies []string // what arrived in the end; nil: everybody once
		states []string // of those that tell more than "sent 1"
	}{
		{"refuses the greeting twice", only("", mailtest.Greeting, "554 5.3.2 go away", "554 5.3.2 go away", "554 x", "554 x", "554 x"), nil, nil, nil},
		{"drops after DATA", only("c@school.test", mailtest.Data, mailtest.Drop), []string{"a", "b", "d", "e"}, nil, []string{"04-05 r1 c@school.test sent 2 2.0.0 queued as 1"}},
		{"drops in the middle of the mail", only("c@school.test", mailtest.Data, mailtest.DropMidBody), []string{"a", "b", "d", "e"}, nil, []string{"04-05 r1 c@school.test sent 2 2.0.0 queued as 1"}},
		{"takes it and drops before the reply", only("c@school.test", mailtest.Body, mailtest.TakeAndDrop), []string{"a", "b", "c", "d", "e"},
			[]string{"a", "b", "c", "c", "d", "e"}, []string{"04-05 r1 c@school.test sent 2 2.0.0 queued as 1"}},
		{"takes it and drops every time", only("c@school.test", mailtest.Body, mailtest.TakeAndDrop, mailtest.TakeAndDrop, mailtest.TakeAndDrop), []string{"a", "b", "c", "d", "e"},
			[]string{"a", "b", "c", "c", "d", "e"}, []string{"04-05 r1 c@school.test failed 2 EOF (it may have arrived: it was handed over twice without an answer)"}},
		{"takes it and drops, is busy, takes it and drops", func(s mailtest.Stage, recipient string, try int) string {
			switch {
			case recipient == "c@school.test" && s == mailtest.Recipient && try == 2:
				return "451 4.3.0 later"
			case recipient == "c@school.test" && s == mailtest.Body:
				return mailtest.TakeAndDrop
			}
			return mailtest.Fine
		}, []string{"a", "b", "c", "d", "e"}, []string{"a", "b", "c", "c", "d", "e"},
			[]string{"04-05 r1 c@school.test failed 3 EOF (it may have arrived: it was handed over twice without an answer)"}},
		{"is too busy", only("", mailtest.Greeting, "421 4.3.2 busy", mailtest.Fine, "421 4.3.2 busy"), nil, nil, nil},
		{"451, then 250", only("b@school.test", mailtest.Recipient, "451 4.7.1 greylisted"), []string{"a", "c", "d", "e"}, nil, []string{"04-05 r1 b@school.test sent 2 2.0.0 queued as 1"}},
		{"550 for one of five", only("b@school.test", mailtest.Recipient, "550 5.1.1 no such user", "550 5.1.1 no such user"), []string{"a", "c", "d", "e"},
			[]string{"a", "c", "d", "e"}, []string{"04-05 r1 b@school.test failed 1 550 5.1.1 no such user"}},
		{"hangs with one", only("a@school.test", mailtest.Recipient, mailtest.Hang), []string{"b", "c", "d", "e"}, nil, []string{"04-05 r1 a@school.test sent 2 2.0.0 queued as 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBureau(t, c.behave)
			if strings.HasPrefix(c.name, "hangs") {
				b.patience = 2 * time.Second
			}
			b.activity.FirstDay, b.activity.LastDay = b.day("2017-04-05"), b.day("2017-04-05")
			b.activity.Report.Recipients[county] = everybody
			to := func() []string {
				var to []string
				for _, m := range b.server.Mails() {
					to = append(to, strings.TrimSuffix(m.To, "@school.test"))
				}
				slices.Sort(to)
				return to
			}
			b.at("04-05 16:30")
			s := b.scheduler()
			b.tick(s)
			if c.first != nil {
				b.want(to(), c.first...)
			}
			for minute := 1; minute <= 120; minute++ {
				b.clock.Add(60)
				b.tick(s)
			}
			if c.copies == nil {
				c.copies = []string{"a", "b", "c", "d", "e"}
			}
			b.want(to(), c.copies...)
			ids, owners := make(map[string]string), make(map[string]string)
			for _, m := range b.server.Mails() {
				id := b.header(m).Get("Message-ID")
				if before := ids[m.To]; before != "" && before != id {
					t.Errorf("two Message-IDs for one mail to %s", m.To)
				}
				if owner := owners[id]; owner != "" && owner != m.To {
					t.Errorf("%s and %s share a Message-ID", owner, m.To)
				}
				ids[m.To], owners[id] = id, m.To
			}
			if c.states != nil {
				var told []string
				for _, state := range b.states() {
					if !strings.Contains(state, " sent 1 ") {
						told = append(told, state)
					}
				}
				b.want(told, c.states...)
			}
		})
	}
}

// The program ends between the mail and the record of it: the mail goes once more,
// with the same Message-ID, and not a third time.
func TestReportsKilledWhileSending(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.at("04-05 16:30")
	s := b.scheduler()
	b.tick(s) // also makes up for the 1st
	crash := func() {
		t.Helper()
		ds, err := b.archive.Deliveries(t.Context(), b.activity.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		d := ds[len(ds)-1]
		d.State = canyu.Sending
		if d.Attempts == 1 {
			d.Answer = ""
		}
		if err := b.archive.SetDelivery(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	crash()
	b.clock.Add(60)
	b.tick(b.scheduler())
	mails := b.server.Mails()
	if len(mails) != 3 || b.header(mails[1]).Get("Message-ID") != b.header(mails[2]).Get("Message-ID") {
		t.Fatalf("want the same mail once more, got %d mails", len(mails))
	}
	b.want(b.states()[1:], "04-05 r1 a@school.test sent 2 2.0.0 queued as 1")
}

func TestReportSendByHand(t *testing.T) {
	t.Parallel()
	eachPair(t, reportSendByHand)
}

func reportSendByHand(t *testing.T, p pair) {
	b := newBureauOn(t, p, nil)
	b.at("04-08 09:00")
	s := b.sender(b.archive, b.ledger, "hand")
	send := func(date string) string {
		t.Helper()
		r, err := s.Send(t.Context(), b.activity, county, b.day(date))
		if err != nil {
			t.Fatal(err)
		}
		return date[5:] + " " + string(r.Outcome)
	}
	var got []string
	for range 2 {
		for day := b.day("2017-04-01"); day <= b.day("2017-04-07"); day++ {
			got = append(got, send(day.String()))
		}
	}
	got = append(got, send("2017-04-10"), send("2017-03-31"))
	off, twice := string(reports.NotReportDay), string(reports.Nothing)
	b.want(got,
		"04-01 delivered", "04-02 "+off, "04-03 "+off, "04-04 "+off, "04-05 delivered", "04-06 delivered", "04-07 delivered",
		"04-01 "+twice, "04-02 "+off, "04-03 "+off, "04-04 "+off, "04-05 "+twice, "04-06 "+twice, "04-07 "+twice,
		"04-10 "+string(reports.NotYet), "03-31 "+off)
	if n := len(b.server.Mails()); n != 4 {
		t.Errorf("%d mails, want 4", n)
	}
	if r, err := s.Resend(t.Context(), b.activity, county, b.day("2017-04-05")); err != nil || r.Outcome != reports.Delivered || len(b.server.Mails()) != 5 {
		t.Errorf("resend: %v, %v, %d mails", r.Outcome, err, len(b.server.Mails()))
	}
	if _, err := s.Send(t.Context(), b.activity, otherCounty, b.day("2017-04-05")); !errors.Is(err, reports.ErrNoRecipients) {
		t.Errorf("a region without recipients: %v", err)
	}
	b.activity.LastDay = b.day("2027-02-01")
	b.clock.Store(time.Date(2027, 1, 4, 17, 0, 0, 0, b.activity.Zone).Unix())
	if _, err := s.Send(t.Context(), b.activity, county, b.day("2027-01-04")); !errors.Is(err, reports.ErrNoCalendar) {
		t.Errorf("a year without a calendar: %v", err)
	}
}

// Frozen is frozen: what comes in later changes neither the report nor its forms,
// until a correction is asked for.
func TestReportCorrection(t *testing.T) {
	t.Parallel()
	eachPair(t, reportCorrection)
}

func reportCorrection(t *testing.T, p pair) {
	b := newBureauOn(t, p, nil)
	b.at("04-01 10:00")
	b.join(3, 3418020001)
	b.at("04-01 16:30")
	b.tick(b.scheduler())
	build := func() string {
		t.Helper()
		r, err := reports.Build(t.Context(), b.archive, b.activity, b.calendar, county, b.day("2017-04-01"), b.now())
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for _, write := range []func(io.Writer) error{r.JSON,
			func(w io.Writer) error { return r.HTML(w, "") },
			func(w io.Writer) error { return r.Text(w, "") },
			func(w io.Writer) error { return r.Workbook(w, "") }} {
			if err := write(&all); err != nil {
				t.Fatal(err)
			}
		}
		return all.String()
	}
	before := build()
	s := b.sender(b.archive, b.ledger, "hand")
	if r, err := s.Correct(t.Context(), b.activity, county, b.day("2017-04-01")); err != nil || r.Outcome != reports.Unchanged {
		t.Errorf("nothing to correct: %v, %v", r.Outcome, err)
	}
	b.at("04-01 18:00")
	b.join(2, 3418020001)
	b.at("04-02 09:00")
	if build() != before {
		t.Error("late data changed a frozen report")
	}
	r, err := s.Correct(t.Context(), b.activity, county, b.day("2017-04-01"))
	if err != nil || r.Outcome != reports.Delivered || r.Revision != 2 {
		t.Fatalf("correction: %+v, %v", r, err)
	}
	b.want(b.states(), "04-01 r1 a@school.test sent 1 2.0.0 queued as 1", "04-01 r2 a@school.test sent 1 2.0.0 queued as 1")
	mails := b.server.Mails()
	if text := plain(t, mails[1]); !strings.Contains(text, "宣州区第一小学：学生 3 → 5") || !strings.Contains(text, "第 2 版") {
		t.Errorf("the correction does not say what has changed:\n%s", text)
	}
	if b.header(mails[1]).Get("In-Reply-To") != b.header(mails[0]).Get("Message-ID") {
		t.Error("the correction does not answer the mail that it corrects")
	}
	// The next report counts from what the recipient was told last.
	b.at("04-05 16:30")
	b.join(1, 3418020002)
	b.tick(b.scheduler())
	frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, county)
	if err != nil {
		t.Fatal(err)
	}
	next, err := reports.Thaw(b.activity, frozen[2])
	if err != nil || next.Total.Student.Since != 1 || next.Total.Student.Total != 6 {
		t.Errorf("after the correction: %+v, %v", next.Total.Student, err)
	}
}

func TestReportStatus(t *testing.T) {
	t.Parallel()
	b := newBureau(t, func(stage mailtest.Stage, recipient string, _ int) string {
		switch {
		case stage == mailtest.Recipient && recipient == "gone@school.test":
			return "550 5.1.1 no such user"
		case stage == mailtest.Recipient && recipient == "busy@school.test":
			return "450 4.2.1 busy"
		}
		return mailtest.Fine
	})
	b.activity.Report.Recipients[otherCounty] = []string{"gone@school.test"}
	b.activity.Report.Recipients[341822] = []string{"busy@school.test"} // has no schools: its report cannot be made
	b.activity.Report.Recipients[341800] = []string{"busy@school.test"}
	status := func() []string {
		t.Helper()
		lines, err := b.sender(b.archive, b.ledger, "status").Status(t.Context(), b.activity)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range lines {
			if l.Day <= b.activity.DayOf(b.now()) {
				got = append(got, strings.TrimSpace(l.Day.String()[5:]+" "+l.Region.String()+" "+string(l.Standing)))
			}
		}
		return got
	}
	b.at("04-01 16:29")
	b.want(status(), "04-01 341800 ahead", "04-01 341802 ahead", "04-01 341822 ahead", "04-01 341825 ahead")
	b.at("04-01 16:30")
	s := b.scheduler()
	if err := s.Tick(t.Context(), b.now()); !errors.Is(err, reports.ErrNoSchools) {
		t.Errorf("a region without schools: %v", err)
	}
	b.want(status(), "04-01 341800 waiting", "04-01 341802 complete", "04-01 341822 waiting", "04-01 341825 rejected")
	b.at("04-01 17:31")
	b.want(status(), "04-01 341800 overdue", "04-01 341802 complete", "04-01 341822 overdue", "04-01 341825 rejected")
	alarms, err := s.Alarms(t.Context(), b.now())
	if err != nil || len(alarms) != 3 {
		t.Errorf("alarms %v, %v, want three", alarms, err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var metrics []string
	for _, m := range families[1].Metric {
		metrics = append(metrics, fmt.Sprintf("%s %g", m.Label[1].GetValue(), m.Gauge.GetValue()))
	}
	b.want(metrics, "blind 0", "missed 0", "overdue 2", "rejected 1", "unplaced 0")
	b.at("05-20 09:00")
	if got := status()[0]; got != "04-01 341800 missed" {
		t.Errorf("weeks later: %s", got)
	}
}

func TestReportSample(t *testing.T) {
	t.Parallel()
	b := newBureau(t, nil)
	b.at("04-02 10:00") // no report day
	if _, err := b.sender(b.archive, b.ledger, "hand").Sample(t.Context(), b.activity, county, "me@school.test"); err != nil {
		t.Fatal(err)
	}
	mails := b.server.Mails()
	if len(mails) != 1 || mails[0].To != "me@school.test" || !strings.Contains(plain(t, mails[0]), "测试邮件") {
		t.Errorf("%d mails", len(mails))
	}
	b.want(b.states())
	if frozen, err := b.archive.Frozen(t.Context(), b.activity.ID, 0); err != nil || len(frozen) != 0 {
		t.Errorf("a sample was frozen: %v, %v", frozen, err)
	}
}
