package reports_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu/reports"
)

var body = []byte(`{"activity":"qingming-2017","title":"网上祭英烈","total":{"student":{"total":3}}}`)

func TestSignature(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	s := reports.NewSigner(secret, "a")
	signature := s.Sign(body)
	check := func(what string, body []byte, signature string, keys []reports.PublicKey, want error) {
		t.Helper()
		if _, err := reports.CheckSignature(body, signature, keys); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	check("as signed", body, signature, s.Keys(), nil)
	check("with the lines' ends of a mail", body, strings.ReplaceAll(signature, "\n", "\r\n"), s.Keys(), nil)
	check("one digit changed", bytes.ReplaceAll(body, []byte("3}"), []byte("4}")), signature, s.Keys(), reports.ErrSignature)
	check("a line's end added", append(bytes.Clone(body), '\n'), signature, s.Keys(), reports.ErrSignature)
	check("by another site", body, reports.NewSigner([]byte("another secret of another site.."), "a").Sign(body), s.Keys(), reports.ErrUnknownKey)
	check("no signature", body, "untrusted comment: \nRWQ=\n", s.Keys(), reports.ErrNoSigning)
	check("nothing", body, "", s.Keys(), reports.ErrNoSigning)

	// A new key in front: what the old one signed stays signed, by itself.
	rotated := reports.NewSigner(secret, "b", "a")
	check("after rotation", body, signature, rotated.Keys(), nil)
	check("by the new key", body, rotated.Sign(body), rotated.Keys(), nil)
	check("by the new key, for who has the old", body, rotated.Sign(body), s.Keys(), reports.ErrUnknownKey)
	if reports.NewSigner(secret).Sign(body) != "" {
		t.Error("signed without a key")
	}

	// Whoever has only the text of a key checks as well.
	for _, text := range [][]byte{rotated.Keys()[1].PEM(), rotated.Keys()[1].Signify(), append([]byte("canyu report key\n"), append(rotated.Keys()[0].PEM(), rotated.Keys()[1].PEM()...)...)} {
		keys, err := reports.ParsePublicKeys(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		check("with "+string(text), body, signature, keys, nil)
	}
	for _, text := range []string{"", "RWQ=", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := reports.ParsePublicKeys([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

// Nothing of canyu is needed to check a report: openssl takes what README says.
func TestSignatureForOpenssl(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not installed: what it says is not known")
		return
	}
	s := reports.NewSigner([]byte("0123456789abcdef0123456789abcdef"), "a")
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("key.pem", append([]byte("canyu report key "+s.Keys()[0].ID()+" (a) signs reports\n"), s.Keys()[0].PEM()...))
	write("report.json", body)
	write("report.json.sig", []byte(s.Sign(body)))
	verify := func() ([]byte, error) {
		c := exec.Command("sh", "-c", `tail -n 1 report.json.sig | base64 -d | tail -c 64 > sig.bin &&
			`+openssl+` pkeyutl -verify -pubin -inkey key.pem -rawin -in report.json -sigfile sig.bin`)
		c.Dir = dir
		return c.CombinedOutput()
	}
	if out, err := verify(); err != nil || !strings.Contains(string(out), "Verified Successfully") {
		t.Errorf("openssl: %v\n%s", err, out)
	}
	write("report.json", bytes.ReplaceAll(body, []byte("3}"), []byte("4}")))
	if out, err := verify(); err == nil {
		t.Errorf("openssl takes what was changed:\n%s", out)
	}
}
