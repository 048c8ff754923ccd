package reports_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/mailtest"
	"github.com/emersion/go-msgauth/dkim"
)

// What one library signs, another verifies.
func TestMailDKIM(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for kind, key := range map[string]crypto.Signer{"rsa": rsaKey, "ed25519": edKey} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "dkim.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		server := mailtest.New(t, nil)
		m := mailer(t, reports.MailConfig{URL: "smtp+plain://" + server.Address, DKIM: reports.DKIM{Domain: "example.org", Selector: "canyu", KeyFile: file}})
		if _, err := m.Mail(t.Context(), letter("a@school.test")); err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if pub, ok := key.Public().(ed25519.PublicKey); ok {
			public = pub
		}
		if err != nil {
			t.Fatal(err)
		}
		record := func(string) ([]string, error) {
			return []string{"v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		}
		// As it came over the wire: lines end in CR LF.
		data := bytes.ReplaceAll(server.Mails()[0].Data, []byte("\n"), []byte("\r\n"))
		verify := func(data []byte) error {
			vs, err := dkim.VerifyWithOptions(bytes.NewReader(data), &dkim.VerifyOptions{LookupTXT: record})
			if err != nil || len(vs) != 1 {
				t.Fatalf("%s: %d signatures, %v", kind, len(vs), err)
			}
			return vs[0].Err
		}
		if err := verify(data); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := verify(bytes.Replace(data, []byte("a@school.test"), []byte("b@school.test"), 1)); err == nil {
			t.Errorf("%s: a changed mail verifies", kind)
		}
	}
	if _, err := reports.NewMailer(reports.MailConfig{URL: "outbox:x", From: "a@example.org", DKIM: reports.DKIM{Domain: "example.org", KeyFile: "none"}}); err == nil || !strings.Contains(err.Error(), "dkim") {
		t.Errorf("a key that is not there: %v", err)
	}
}
