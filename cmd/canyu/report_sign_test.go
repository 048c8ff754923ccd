package main

import (
	"bytes"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever has the mail and the public key checks the numbers without asking anybody,
// also after the site has another key.
func TestReportCheck(t *testing.T) {
	t.Parallel()
	s := recorded(t, pair{name: "embedded"})
	mails, err := filepath.Glob(filepath.Join(s.dir, "outbox", "*.eml"))
	if err != nil || len(mails) != 1 {
		t.Fatalf("mails: %v, %v", mails, err)
	}
	mail, err := os.ReadFile(mails[0])
	check(t, err)
	body := attachment(t, mail, func(h textproto.MIMEHeader) bool { return strings.HasPrefix(h.Get("Content-Type"), "application/json") })
	signature := attachment(t, mail, func(h textproto.MIMEHeader) bool {
		return strings.HasPrefix(h.Get("Content-Type"), "text/plain") && strings.HasPrefix(h.Get("Content-Disposition"), "attachment")
	})
	report, key := s.file("mailed.json", body), s.file("key.pem", []byte(s.must("report", "key")))
	s.file("mailed.json.sig", signature)
	checked := func(wrong string, args ...string) {
		t.Helper()
		out, err := s.canyu(append([]string{"report", "check"}, args...)...)
		if wrong == "" && (err != nil || !strings.Contains(out, "region 341800, 2017-04-01, revision 1, as of 2017-04-02T00:00:00+08:00")) {
			t.Errorf("check %v: %v %s", args, err, out)
		}
		if wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("check %v: got %v, want %q", args, err, wrong)
		}
	}
	checked("", report)
	checked("", report, "--key", key)
	checked("", report, "--key", s.file("key.pub", []byte(s.must("report", "key", "--signify"))))
	changed := s.file("changed.json", bytes.Replace(body, []byte(`"student":3}`), []byte(`"student":4}`), 1))
	checked("one of them was changed", changed, "--sig", report+".sig", "--key", key)

	s.must("report", "render", "--region", "341800", "--date", "2017-04-01", "--out", s.dir)
	checked("", filepath.Join(s.dir, "report.json"), "--key", key)
	s.must("report", "render", "--region", "341800", "--date", "2017-04-05", "--out", s.dir) // not frozen: nothing to sign
	checked("no such file", filepath.Join(s.dir, "report.json"), "--key", key)

	config, err := os.ReadFile(s.config)
	check(t, err)
	check(t, os.WriteFile(s.config, append([]byte("report_keys: [b, a]\n"), config...), 0o600))
	checked("", report)
	s.must("verify")
	check(t, os.WriteFile(s.config, append([]byte("report_keys: [b]\n"), config...), 0o600))
	checked("another key", report)
	checked("", report, "--key", key)
	s.differs("which report_keys does not have", "verify")
	for _, keys := range []string{"[]", "[a, a]", "[A]"} {
		check(t, os.WriteFile(s.config, append([]byte("report_keys: "+keys+"\n"), config...), 0o600))
		if _, err := s.canyu("check"); err == nil || !strings.Contains(err.Error(), "report_keys") {
			t.Errorf("report_keys: %s: %v", keys, err)
		}
	}
}
