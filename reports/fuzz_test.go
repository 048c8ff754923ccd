package reports_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/canyu/canyu/reports"
)

// A file of holidays is understood or refused, and a day then is one or the other.
func FuzzCalendar(f *testing.F) {
	for _, name := range []string{"calendar/2017.json", "calendar/2026.json"} {
		if text, err := os.ReadFile(name); err == nil {
			f.Add(text)
		}
	}
	f.Add([]byte(`{"year":2027,"days":[{"name":"x","date":"2027-04-05","isOffDay":true}]}`))
	f.Add([]byte(`{"year":2027,"days":[{"date":"2027-02-30","isOffDay":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "2027.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := reports.LoadCalendar(dir); (c == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", text, c, err)
		}
	})
}

// A list of words is understood or refused; a text is held for a word of it or not.
func FuzzScreen(f *testing.F) {
	f.Add([]byte("\ufeff# list\n傻瓜\nsb\n"), "傻　瓜 13812345678 加我微信 abc12345")
	f.Add([]byte("ａ\n\n.\n"), "http://a.cn a@b.cn 一三八一二三四五六七八 幺〇")
	f.Fuzz(func(t *testing.T, list []byte, text string) {
		if screen, err := reports.ReadScreen(bytes.NewReader(list)); err == nil {
			screen.Hold(text)
		}
	})
}

// Nothing but what was signed passes for it.
func FuzzSignature(f *testing.F) {
	signer := reports.NewSigner([]byte("0123456789abcdef0123456789abcdef"), "a")
	body := []byte(`{"activity":"x"}`)
	signature := signer.Sign(body)
	keys := signer.Keys()
	f.Add(signature, keys[0].PEM())
	f.Add(signature+"\n", keys[0].Signify())
	f.Add("untrusted comment: x\nRWQ", []byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text string, public []byte) {
		if _, err := reports.CheckSignature(append(body, ' '), text, keys); err == nil {
			t.Fatalf("%q signs another report", text)
		}
		if others, err := reports.ParsePublicKeys(public); err == nil {
			_, _ = reports.CheckSignature(body, signature, others)
		}
	})
}
