package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a server does not start with, check does not call fine.
func TestCheckRefusesWhatServeRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "abc\n", "pem": "no PEM\n"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	const mail = "smtp: {url: smtp://mail.example.org, from: canyu@example.org, %s}\n"
	activities := "activities:\n" + fmt.Sprintf(week, "a", "2017-04-01", "2017-04-07")
	for _, c := range []struct{ settings, wants string }{
		{`smtp: {url: "mail.example.org:587", from: canyu@example.org}` + "\n", "smtp.url: scheme"},
		{"smtp: {url: smtp+plain://mail.example.org, from: canyu@example.org}\n", "smtp.url: mails to mail.example.org would travel unencrypted"},
		{"smtp: {url: smtp://mail.example.org, from: canyu}\n", `smtp.from "canyu"`},
		{fmt.Sprintf(mail, "ca_file: /nonexistent"), "smtp.ca_file"},
		{fmt.Sprintf(mail, "ca_file: "+dir+"/pem"), "holds no certificate"},
		{fmt.Sprintf(mail, "dkim: {domain: example.org, selector: a, key_file: /nonexistent}"), "smtp.dkim.key_file"},
		{fmt.Sprintf(mail, "dkim: {domain: example.org, selector: a, key_file: "+dir+"/pem}"), "smtp.dkim.key_file"},
		{"outbox: x\nlisten: 127.0.0.1:99999\n", `listen "127.0.0.1:99999"`},
		{"outbox: x\nmetrics_listen: 127.0.0.1:99999\n", `metrics_listen "127.0.0.1:99999"`},
		{"outbox: x\nlisten: 127.0.0.1:18080\nmetrics_listen: 127.0.0.1:18080\n", "metrics_listen"},
		{"outbox: x\nlisten: 127.0.0.1:18080\nmetrics_listen: :18080\n", "metrics_listen"},
		{"outbox: x\nkey_file: " + dir + "/key\n", "hexadecimal"},
		{"activities: []\n", "no activity"},
	} {
		text := "data: " + filepath.Join(dir, "data-"+unique()) + "\n" + c.settings
		if !strings.Contains(text, "listen: ") {
			text += "listen: 127.0.0.1:0\n"
		}
		if !strings.Contains(text, "activities") {
			text += activities
		}
		path := filepath.Join(dir, "canyu.yaml")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		for _, command := range []string{"check", "serve"} {
			out := new(syncBuffer)
			err := run(t.Context(), []string{command, "--config", path}, out, out)
			if err == nil || !strings.Contains(err.Error(), c.wants) {
				t.Errorf("%s, %s: got %v, want %q", command, c.settings, err, c.wants)
			}
			if strings.Contains(out.String(), "serves") || strings.Contains(out.String(), "fine") {
				t.Errorf("%s, %s: %s", command, c.settings, out.String())
			}
		}
	}
}

// A password that systemd shows to the server alone is no mistake elsewhere, and hides
// none; a server does not start without it.
func TestCheckWithoutThePassword(t *testing.T) {
	t.Parallel()
	const password = "password_file: /run/credentials/canyu.service/canyu.smtp-password"
	s := newSite(t, pair{}, "smtp: {url: smtp://canyu@mail.example.org, from: canyu@example.org, "+password+"}\n")
	if out := s.must("check"); !strings.Contains(out, "warning: smtp.password_file: cannot be read here") || !strings.Contains(out, "the configuration is fine") {
		t.Error(out)
	}
	if _, err := s.canyu("serve", "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "smtp.password_file") {
		t.Errorf("serve: %v", err)
	}
	s.change(password, password+", ca_file: /nonexistent")
	if _, err := s.canyu("check"); err == nil || !strings.Contains(err.Error(), "smtp.ca_file") {
		t.Errorf("with another mistake: %v", err)
	}
	if out := s.must("check", "--run", "ingest"); strings.Contains(out, "smtp") {
		t.Errorf("where nothing is mailed: %s", out)
	}
}

// A year without holidays is told, with the setting and the ways out, and keeps nobody
// from counting: a school year begins before next year's holidays are announced.
func TestCheckWithoutHolidays(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "", "2031-01-06", "2031-01-08")
	out := s.must("check")
	want := "activity " + s.activity + ": report.days: no holiday calendar for 2031: put 2031.json into the folder of calendar, or let days be daily or a list\n"
	if !strings.Contains(out, "warning: no reports from that year on: "+want) || !strings.HasSuffix(out, "the configuration is fine\n") {
		t.Errorf("got %s, want %s", out, want)
	}
	s.change("days: working", "days: daily")
	if out := s.must("check"); strings.Contains(out, "no reports from") {
		t.Errorf("with daily reports: %s", out)
	}
}
