package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reload is what systemctl reload does.
func (v *server) reload(until string) {
	v.t.Helper()
	before := strings.Count(v.log.String(), until)
	if err := v.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		v.t.Fatal(err)
	}
	v.eventually("reload", func() error {
		if strings.Count(v.log.String(), until) == before {
			return fmt.Errorf("it does not say %q:\n%s", until, v.log.String())
		}
		return nil
	})
}

var configHash = regexp.MustCompile(`canyu_config_info\{hash="([0-9a-f]{8})"\} 1`)

func (v *server) configHash() string {
	v.t.Helper()
	_, body, err := v.get("/metrics")
	found := configHash.FindStringSubmatch(body)
	if err != nil || found == nil {
		v.t.Fatalf("no canyu_config_info: %v", err)
	}
	return found[1]
}

// change edits canyu.yaml; what is replaced has to be there.
func (s *site) change(pairs ...string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			s.t.Fatalf("canyu.yaml has no %q:\n%s", pairs[i], text)
		}
	}
	s.file("canyu.yaml", []byte(strings.NewReplacer(pairs...).Replace(string(text))))
}

// A configuration is taken over while pupils take part, with a new activity in it: all
// are answered, at the latest when they send again, and each counts once. One with a mistake, or with what needs a restart, changes
// nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	const taken, refused = "the configuration is taken over", "the configuration was not taken over"
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		hash := v.configHash()
		now := time.Now().In(time.FixedZone("", 8*3600))
		today, later := now.Format(time.DateOnly), now.AddDate(0, 0, 3).Format(time.DateOnly)

		ctx, end := context.WithCancel(t.Context())
		defer end()
		var clients sync.WaitGroup
		sent := make([]int, 4)
		for i := range sent {
			clients.Go(func() {
				client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
				defer client.CloseIdleConnections()
				for seat := 1; ctx.Err() == nil && seat <= 20; {
					r, err := client.Post(v.url+"/v1/participations", "application/json", strings.NewReader(s.submission(map[string]any{"grade": 3 + i/2, "class": 1 + i%2, "seat": seat})))
					if err != nil { // a connection ends with what served it: a browser sends again
						if errors.Is(err, syscall.ECONNREFUSED) {
							t.Errorf("refused: %v", err)
						}
						continue
					}
					if r.Body.Close(); r.StatusCode != 201 && r.StatusCode != 200 {
						t.Errorf("answered %d", r.StatusCode)
					}
					sent[i] = seat
					seat++
					<-time.After(30 * time.Millisecond)
				}
			})
		}

		s.change("zh-Hans: 网上祭英烈", "zh-Hans: 网上缅怀", "last_day: ", "last_day: "+later+" # ")
		if out, err := s.canyu("check"); err != nil {
			t.Fatal(out, err)
		}
		v.reload(taken)
		v.answers("/v1/activities/"+s.activity, 200, "网上缅怀")
		v.answers("/v1/activities/"+s.activity, 200, later)
		if v.configHash() == hash {
			t.Error("another configuration has the same hash")
		}

		text, err := os.ReadFile(s.config)
		check(t, err)
		s.file("canyu.yaml", append(text, strings.Replace(fmt.Sprintf(week, s.activity+"-2", today, later), "网上祭英烈", "向国旗敬礼", 1)...))
		v.reload(taken)
		second := s.submission(map[string]any{"activity": s.activity + "-2", "seat": 3})
		v.eventually("the new activity", func() error {
			r, err := httpClient.Post(v.url+"/v1/participations", "application/json", strings.NewReader(second))
			if err == nil {
				if r.Body.Close(); r.StatusCode != 201 && r.StatusCode != 200 {
					err = fmt.Errorf("status %d", r.StatusCode)
				}
			}
			return err
		})
		end()
		clients.Wait()
		total := 0
		for _, n := range sent {
			total += n
		}
		v.answers("/v1/activities/"+s.activity+"/counts?region=341800", 200, fmt.Sprintf(`"student":%d,`, total))

		added := v.configHash()
		for _, wrong := range []struct{ from, to, says string }{
			{"roles: [student, parent, teacher]", "roles: [pupil]", "roles: "},
			{"steps: [bow, flower, message]", "steps: [bow, flower, message]\n    colour: red", "unknown key"},
			{"identify: seat", "identify: name", "needs a restart: activities: identify and timezone of " + s.activity},
			{"data: ", "data: /nonexistent #", "needs a restart: data"},
			{"outbox: ", "smtp: {url: \"mail.example.org:587\", from: a@example.org} #", "smtp.url: scheme"},
			{"outbox: ", "smtp: {url: smtp://mail.example.org, from: a@example.org, password_file: /nonexistent} #", "smtp.password_file"},
		} {
			before, err := os.ReadFile(s.config)
			check(t, err)
			s.change(wrong.from, wrong.to)
			v.reload(refused)
			if !strings.Contains(v.log.String(), wrong.says) {
				t.Errorf("it does not say %q:\n%s", wrong.says, v.log.String())
			}
			if v.configHash() != added {
				t.Errorf("%s: half taken over", wrong.to)
			}
			s.file("canyu.yaml", before)
		}
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
	})
}
