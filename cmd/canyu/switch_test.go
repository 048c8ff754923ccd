package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answers waits until an address answers so.
func (v *server) answers(path string, status int, with string) {
	v.t.Helper()
	v.eventually(path, func() error {
		got, body, err := v.get(path)
		if err == nil && (got != status || !strings.Contains(body, with)) {
			err = fmt.Errorf("%d %.200s, want %d with %q", got, body, status, with)
		}
		return err
	})
}

// follow opens a live stream; what it says comes line by line, until it ends.
func (v *server) follow(path string) <-chan string {
	v.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		defer r.Body.Close()
		for s := bufio.NewScanner(r.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// says waits for a line with the words; "" for the end.
func says(t *testing.T, lines <-chan string, words string) {
	t.Helper()
	for timeout := time.After(time.Minute); ; {
		select {
		case line, open := <-lines:
			if !open && words == "" || open && words != "" && strings.Contains(line, words) {
				return
			}
			if !open {
				t.Fatalf("the stream ended without %q", words)
			}
		case <-timeout:
			t.Fatalf("no %q in the stream", words)
		}
	}
}

// Switches turn things down while everything runs, on every node, and say so; nothing
// of it touches submissions.
func TestSwitches(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		b := newBoard(t, p)
		of := "/v1/activities/" + b.activity
		counts, wall, school := of+"/counts?school=3418020001", of+"/wall", "/school/3418020001"
		nodes := []*server{b.server}
		if p.name == "distributed" {
			second := b.node("ingest", 2)
			second.start()
			nodes = append(nodes, second.v)
		}
		form := url.Values{"school": {"3418020001"}, "grade": {"3"}, "class": {"2"}, "role": {"student"}, "steps": {"bow", "flower", "message"}, "message": {"缅怀"}}
		seat := 100
		thanks := func() string {
			t.Helper()
			seat++
			form.Set("seat", fmt.Sprint(seat))
			status, _, body := b.ask("", "/a/"+b.activity, form, "Accept-Language", "en")
			if status != 200 || !strings.Contains(body, "receipt") {
				t.Fatalf("the form gets %d: %s", status, body)
			}
			return body
		}
		if link := "/a/" + b.activity + "/wall"; !strings.Contains(thanks(), link) {
			t.Error("no link to the wall")
		}

		if out := b.must("switch", "wall", "off"); !strings.Contains(out, " off ") {
			t.Errorf("canyu switch says\n%s", out)
		}
		for _, v := range nodes {
			v.answers(wall, 200, `"open":false`)
			v.answers("/a/"+b.activity+"/wall?lang=en", 200, "The wall is off for now")
		}
		if strings.Contains(thanks(), "/a/"+b.activity+"/wall") {
			t.Error("the page links a wall that is closed")
		}
		b.answers("/metrics", 200, fmt.Sprintf(`canyu_switched_down{activity="%s",switch="wall"} 1`, b.activity))

		b.must("switch", "live", "slow", "--activity", b.activity)
		b.answers("/metrics", 200, `switch="live"} 1`)
		stream := b.follow(of + "/live?school=3418020001")
		says(t, stream, `"every":10`)

		b.must("switch", "page", "only")
		for _, v := range nodes {
			v.answers(counts, 503, "page_only")
			v.answers(of+"/live?school=3418020001", 503, "page_only")
			v.answers(wall, 503, "page_only")
			v.answers("/a/"+b.activity+"/wall?lang=en", 503, "The wall is off for now")
			v.answers("/a/"+b.activity+"?lang=en", 200, "Online memorial")
		}
		says(t, stream, "")
		thanks()
		b.write("3418020002", 1, 1, "")
		if status, _, body := b.ask("admin", school+"/classes.csv?lang=en", nil); status != 503 || !strings.Contains(body, "No files for now") {
			t.Errorf("an export gets %d %.200s", status, body)
		}
		if status, _, _ := b.ask("admin", school, nil); status != 200 {
			t.Errorf("the school's page gets %d", status)
		}
		if r, err := httpClient.Get(b.url + counts); err != nil || r.Header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After: %v, %v", r, err)
		} else {
			r.Body.Close()
		}

		b.must("switch", "page", "full")
		b.must("switch", "live", "normal")
		b.must("switch", "wall", "on")
		b.must("switch", "wall", "on") // so it is already
		for _, v := range nodes {
			v.answers(counts, 200, `"participants":{"parent":0,"student":3,"teacher":0}`)
			v.answers(wall, 200, `"open":true`)
		}
		b.answers("/metrics", 200, `switch="live"} 0`)
		says(t, b.follow(of+"/live?school=3418020001"), `"every":1}`)
		if out := b.must("switch"); strings.Contains(out, " off ") || strings.Contains(out, "slow") || strings.Contains(out, "only") {
			t.Errorf("canyu switch says\n%s", out)
		}
		if out := b.must("audit", "--verify"); strings.Count(out, "switch.turn") != 6 || !strings.Contains(out, "live: normal → slow") {
			t.Errorf("audit:\n%s", out)
		}
		for _, wrong := range [][]string{{"wall", "slow"}, {"wall"}, {"bell", "off"}} {
			if _, err := b.canyu(append([]string{"switch"}, wrong...)...); err == nil || !strings.Contains(err.Error(), "live slow or normal") {
				t.Errorf("switch %v: %v", wrong, err)
			}
		}
	})
}

// While the archive is away the switches stay as they were.
func TestSwitchesWithoutArchive(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		if p.name != "distributed" {
			return
		}
		direct := p.settings
		archive := p.cut(t)
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve()
		counts := "/v1/activities/" + s.activity + "/counts?school=3418020001"
		s.must("switch", "page", "only")
		v.answers(counts, 503, "page_only")
		away(archive)
		v.eventually("the archive is away", func() error {
			if !strings.Contains(v.log.String(), "the switches stay as they are") {
				return fmt.Errorf("nothing said:\n%s", v.log.String())
			}
			return nil
		})
		v.answers(counts, 503, "page_only")
		if direct == p.settings {
			t.Error("nothing was cut")
		}
		back(archive)
		s.must("switch", "page", "full")
		v.answers(counts, 200, `"participants"`)
	})
}
