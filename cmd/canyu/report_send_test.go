package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"encoding/base64"

	"github.com/canyu/canyu/reports/mailtest"
)

// The reports of the week by hand, through an SMTP server: exactly on 1, 5, 6 and
// 7 April, once however often they are sent, with a workbook that LibreOffice opens
// and in which a message is a text whatever it begins with.
func TestReportSend(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		smtp := mailtest.New(t, nil)
		s := newSite(t, p, fmt.Sprintf("smtp: {url: \"smtp+plain://%s\", from: report@example.org}\n", smtp.Address), "2017-04-01", "2017-04-07")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		s.apart("replay", s.weekFile())
		for range 2 {
			for day := 1; day <= 7; day++ {
				out := s.apart("report", "send", "--date", fmt.Sprintf("2017-04-%02d", day))
				if off := day >= 2 && day <= 4; off != strings.Contains(out, "not a report day") {
					t.Errorf("%d April: %s", day, out)
				}
			}
		}
		mails := smtp.Mails()
		var days []string
		for _, m := range mails {
			subject, err := new(mime.WordDecoder).DecodeHeader(header(t, m.Data).Get("Subject"))
			if err != nil {
				t.Fatal(err)
			}
			days = append(days, subject)
		}
		if len(mails) != 4 {
			t.Fatalf("%d mails: %q, want 4", len(mails), days)
		}
		for i, day := range []string{"4月1日", "4月5日", "4月6日", "4月7日"} {
			if !strings.Contains(days[i], day) {
				t.Errorf("mail %d: %q, want %s", i+1, days[i], day)
			}
		}
		if out := s.must("report", "status"); strings.Count(out, " sent ") != 4 || strings.Count(out, "complete") != 4 {
			t.Errorf("status:\n%s", out)
		}
		if p.dsn == "" {
			s.checkWorkbook(workbookOf(t, mails[0].Data))
		}
	})
}

func header(t testing.TB, data []byte) mail.Header {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header
}

// workbookOf is the attached .xlsx.
func workbookOf(t testing.TB, data []byte) []byte {
	t.Helper()
	return attachment(t, data, func(h textproto.MIMEHeader) bool { return strings.Contains(h.Get("Content-Type"), "spreadsheetml") })
}

// attachment is the part of a mail that is the one.
func attachment(t testing.TB, data []byte, is func(textproto.MIMEHeader) bool) []byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var found []byte
	var walk func(contentType string, body io.Reader)
	walk = func(contentType string, body io.Reader) {
		kind, params, err := mime.ParseMediaType(contentType)
		if err != nil || !strings.HasPrefix(kind, "multipart/") {
			return
		}
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				return
			}
			if is(part.Header) {
				if found, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, part)); err != nil {
					t.Fatal(err)
				}
				return
			}
			walk(part.Header.Get("Content-Type"), part)
		}
	}
	walk(m.Header.Get("Content-Type"), m.Body)
	if found == nil {
		t.Fatal("the mail has no such part")
	}
	return found
}

// checkWorkbook reads it with the library and with LibreOffice.
func (s *site) checkWorkbook(content []byte) {
	s.t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	defer book.Close()
	sheets := book.GetSheetList()
	messages := sheets[len(sheets)-1]
	rows, err := book.GetRows(messages)
	if err != nil {
		s.t.Fatal(err)
	}
	formulas := 0
	for y, row := range rows {
		for x, text := range row {
			cell, err := excelize.CoordinatesToCellName(x+1, y+1)
			if err != nil {
				s.t.Fatal(err)
			}
			formula, err := book.GetCellFormula(messages, cell)
			if err != nil || formula != "" {
				s.t.Fatalf("%s is a formula: %q, %v", cell, formula, err)
			}
			if strings.HasPrefix(text, "=1+1 先烈永垂不朽") {
				formulas++
			}
		}
	}
	if formulas == 0 {
		s.t.Fatalf("sheet %s has no message that begins with =", messages)
	}
	path := s.file("report.xlsx", content)
	office := exec.Command("soffice", "--headless", "-env:UserInstallation=file://"+filepath.Join(s.dir, "office"),
		"--convert-to", `csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1`, "--outdir", s.dir, path)
	office.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // the sheets' names become file names
	if out, err := office.CombinedOutput(); err != nil {
		s.t.Fatalf("needs LibreOffice: apt-get install libreoffice-calc, or run make test: %v\n%s", err, out)
	}
	for _, sheet := range sheets {
		text, err := os.ReadFile(filepath.Join(s.dir, "report-"+sheet+".csv"))
		if err != nil {
			s.t.Fatalf("LibreOffice did not read sheet %s: %v", sheet, err)
		}
		table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err == nil && len(table) < 2 {
			err = fmt.Errorf("only %d rows", len(table))
		}
		if err != nil {
			s.t.Errorf("sheet %s: %v", sheet, err)
		}
		switch sheet {
		case messages:
			if !bytes.Contains(text, []byte("=1+1 先烈永垂不朽")) {
				s.t.Errorf("sheet %s in LibreOffice: the message is no text any more", sheet)
			}
		case sheets[1]:
			if !bytes.Contains(text, []byte("宣州区第一小学")) {
				s.t.Errorf("sheet %s in LibreOffice: %.300s", sheet, text)
			}
		}
	}
}

// The commands of the guides work with more than one activity: all are told, or which one
// is meant is asked.
func TestReportsOfSeveralActivities(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "", "2017-04-01", "2017-04-07")
	text, err := os.ReadFile(s.config)
	check(t, err)
	s.file("canyu.yaml", append(text, fmt.Sprintf(week, s.activity+"-2", "2017-05-02", "2017-05-05")...))
	out := s.must("report", "status")
	first, second, found := strings.Cut(out, "\n\nactivity "+s.activity+"-2\n")
	if !found || !strings.HasPrefix(first, "activity "+s.activity+"\nDAY") || !strings.Contains(first, "2017-04-05") || !strings.Contains(second, "2017-05-03") {
		t.Errorf("status: %s", out)
	}
	if out := s.must("report", "status", "--activity", s.activity); strings.Contains(out, "activity") || strings.Contains(out, "2017-05-03") {
		t.Errorf("status of one: %s", out)
	}
	want := "give --activity: one of " + s.activity + ", " + s.activity + "-2"
	for _, args := range [][]string{{"report", "test", "--region", "341800", "--to", "a@example.org"}, {"report", "send", "--date", "2017-04-05"}, {"explain"}} {
		if _, err := s.canyu(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}
