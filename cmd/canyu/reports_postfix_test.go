//go:build postfix

package main

// Through a real mail server, Debian's postfix, by STARTTLS and by TLS from the
// first byte, into a mailbox. It needs root and the package postfix:
//
//	go test -tags postfix -run Postfix ./cmd/canyu

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
	"github.com/emersion/go-msgauth/dkim"
)

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// postfix starts a private one and returns its folder and its two ports.
func postfix(t *testing.T) (dir, starttls, smtps string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "canyu-postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"etc", "queue", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run("chown", "postfix", dir+"/data")
	run("chown", "65534:65534", dir+"/mail")
	run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
		"-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
	starttls, smtps = freePort(t), freePort(t)
	write("etc/vmap", "@school.test all/Maildir/\n")
	write("etc/rcpt", "/^gone@/ 550 5.1.1 no such user\n/^busy@/ 450 4.2.1 busy\n")
	write("etc/main.cf", strings.ReplaceAll(`compatibility_level = 3.6
queue_directory = P/queue
data_directory = P/data
maillog_file = P/mail.log
maillog_file_prefixes = P
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.test
mydestination =
mynetworks = 127.0.0.0/8
default_transport = error:no mail leaves here
alias_maps =
virtual_mailbox_domains = school.test
virtual_mailbox_base = P/mail
virtual_mailbox_maps = texthash:P/etc/vmap
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions = check_recipient_access regexp:P/etc/rcpt, permit_mynetworks, reject
smtpd_tls_cert_file = P/cert.pem
smtpd_tls_key_file = P/key.pem
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_received_header = yes
`, "P", dir))
	services := "127.0.0.1:" + starttls + " inet n - n - - smtpd -o smtpd_tls_security_level=encrypt\n" +
		"127.0.0.1:" + smtps + " inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
	for _, s := range []string{"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite",
		"bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "error unix - - n - - error",
		"retry unix - - n - - error", "virtual unix - n n - - virtual", "proxymap unix - - n - - proxymap", "anvil unix - - n - 1 anvil", "tlsmgr unix - - n 1000? 1 tlsmgr", "postlog unix-dgram n - n - 1 postlogd"} {
		services += s + "\n"
	}
	write("etc/master.cf", services)
	run("postfix", "-c", dir+"/etc", "start")
	t.Cleanup(func() { _ = exec.Command("postfix", "-c", dir+"/etc", "stop").Run() })
	return dir, starttls, smtps
}

func TestPostfix(t *testing.T) {
	dir, starttls, smtps := postfix(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/dkim.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"smtp://127.0.0.1:" + starttls, "smtps://localhost:" + smtps} {
		b := newBureau(t, nil)
		b.activity.Report.Recipients[county] = []string{"a@school.test", "gone@school.test", "busy@school.test"}
		b.at("04-01 10:00")
		b.join(3, 3418020001)
		b.at("04-05 16:30")
		s := b.sender(b.archive, b.ledger, "postfix")
		s.Mailer, err = reports.NewMailer(reports.MailConfig{URL: url, CAFile: dir + "/cert.pem", From: "宣州区教育局 <report@example.org>",
			DKIM: reports.DKIM{Domain: "example.org", Selector: "canyu", KeyFile: dir + "/dkim.pem"}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Send(t.Context(), b.activity, county, b.day("2017-04-05"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range r.Deliveries {
			words := strings.Fields(d.Answer + " - -")
			got = append(got, fmt.Sprintf("%s %s %s %s", d.Recipient, d.State, words[0], words[1]))
		}
		b.want(got, "a@school.test sent 2.0.0 Ok:", "busy@school.test retrying 450 4.2.1", "gone@school.test failed 550 5.1.1")
	}
	var files []string
	for range 100 { // postfix takes a moment to deliver
		if files, _ = filepath.Glob(dir + "/mail/all/Maildir/new/*"); len(files) == 2 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if len(files) != 2 {
		log, _ := os.ReadFile(dir + "/mail.log")
		t.Fatalf("%d mails in the mailbox, want 2\n%s", len(files), log)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte("using TLSv1.3")) {
			t.Error("the mail came without TLS")
		}
		if text := plain(t, mailtest.Mail{Data: data}); !strings.Contains(text, "宣州区应参与学生 100 人，已参与 3 人") {
			t.Errorf("the mail reads\n%s", text)
		}
		for _, want := range []string{"Content-Id: <trend.png>", "src=3D\"cid:trend.png\"", "X-Original-To: a@school.test"} {
			if !bytes.Contains(bytes.ReplaceAll(data, []byte("=\n"), nil), []byte(want)) { // long lines are folded
				t.Errorf("the mail lacks %s", want)
			}
		}
		// What postfix wrote before the mail is not signed; lines on the wire end in CR LF.
		signed := bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		vs, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) {
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}, nil
		}})
		if err != nil || len(vs) != 1 || vs[0].Err != nil {
			t.Errorf("DKIM: %v, %v", vs, err)
		}
	}
}
