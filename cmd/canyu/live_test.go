package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

func TestLiveTellsChanges(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	school, county, city := h.watch("school=3418020001"), h.watch("region=341802"), h.watch("region=341800")
	first := school.next()
	if n, ok := first.Participants["student"]; !ok || n != 0 || !first.Live || first.State != "live" || len(first.Classes) != 3 {
		t.Fatalf("first %s", first.Text)
	}
	_, counts := h.get("/v1/activities/hall/counts?school=3418020001")
	var want, got map[string]any
	if err := errors.Join(json.Unmarshal([]byte(counts), &want), json.Unmarshal([]byte(first.Text), &got)); err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if key != "as_of" && fmt.Sprint(got[key]) != fmt.Sprint(value) {
			t.Errorf("%s: live %v, counts %v", key, got[key], value)
		}
	}
	if e := county.next(); len(e.Schools) != 2 || len(e.Regions) != 0 {
		t.Errorf("a county has %s", e.Text)
	}
	if e := city.next(); len(e.Schools) != 0 || len(e.Regions) != 2 {
		t.Errorf("a city has %s", e.Text)
	}

	began := time.Now()
	h.bow("3418020001", 1, 17)
	school.settled(1)
	t.Logf("click to event: %s", time.Since(began))
	county.settled(1)
	if e := city.settled(1); e.Regions[0].Participants["student"] != 1 || e.Regions[1].Participants["student"] != 0 {
		t.Errorf("a city has %s", e.Text)
	}

	// A repeat, and what happens elsewhere, change nothing.
	h.bow("3418020001", 1, 17)
	h.bow("3418210001", 1, 1)
	city.settled(2)
	since := h.ledger.reads.Load()
	eventually(t, "it was read again", func() bool { return h.ledger.reads.Load() > since+9 })
	for _, v := range []*stream{school, county} {
		select {
		case e := <-v.events:
			// The archive's part of an event may come later than the ledger's.
			if e.Name != "beat" && e.Participants["student"] != 1 {
				t.Errorf("nothing has changed, and it says %s", e.Text)
			}
		default:
		}
	}
}

// However many watch, it is read once a second.
func TestLiveReadsOnceForAll(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	const viewers = 60
	var all []*stream
	began, before := time.Now(), h.ledger.reads.Load()
	for range viewers {
		all = append(all, h.watch("school=3418020001"))
	}
	for seat := range 3 {
		h.bow("3418020001", 1, seat+1)
		var wg sync.WaitGroup
		for _, v := range all {
			wg.Go(func() { v.settled(seat + 1) })
		}
		wg.Wait()
	}
	reads, most := h.ledger.reads.Load()-before, int64(time.Since(began)/time.Second)+2 // the second comes any time
	if reads > most {
		t.Errorf("%d readings in %s", reads, time.Since(began))
	}
	for _, v := range all {
		if n := len(v.events); n > 2 {
			t.Errorf("%d more events than changes", n)
		}
		v.close()
	}
	// Nobody looks any more: nothing is read, once writing has found out who is gone.
	was, since, seat := int64(0), time.Now(), 0
	eventually(t, "it is no longer read", func() bool {
		if n := h.ledger.reads.Load(); n != was {
			was, since = n, time.Now()
			seat++
			h.bow("3418020001", 2, 1+seat%20)
		}
		return time.Since(since) > 2*time.Second
	})
}

func TestLiveSaysThatItIsNot(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	h.bow("3418020001", 1, 1)
	v := h.watch("school=3418020001")
	last := v.settled(1)
	h.ledger.away.Store(true)
	e := v.next()
	if e.Live || e.State != "away" || e.Participants["student"] != 1 || e.AsOf < last.AsOf {
		t.Errorf("away: %s", e.Text)
	}
	if e := h.watch("school=3418020002").next(); e.Live || e.State != "away" || e.Participants != nil || !strings.Contains(e.Text, `"participants":null,`) {
		t.Errorf("never read: %s", e.Text)
	}
	h.ledger.away.Store(false)
	h.bow("3418020001", 1, 2)
	for e := v.next(); !e.Live || e.Participants["student"] != 2; e = v.next() {
		if n := e.Participants["student"]; n < 1 {
			t.Errorf("back: %s", e.Text)
		}
	}
}

func TestLiveIsBounded(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(c *ingest.Config) { c.Viewers = 2 })
	first := h.watch("school=3418020001")
	first.next()
	h.watch("region=341802").next()
	resp := h.open(t.Context(), "/v1/activities/hall/live?school=3418020001")
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "problem:busy") {
		t.Errorf("the third of two: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if status, body := h.get("/v1/activities/hall/counts?school=3418020001"); status != 200 {
		t.Errorf("counts at the cap: %d %s", status, body)
	}
	first.close()
	seat := 0
	eventually(t, "there is room again", func() bool {
		seat++
		h.bow("3418020001", 1, 1+seat%30)
		resp := h.open(t.Context(), "/v1/activities/hall/live?school=3418020002")
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// Streams end with the server, and do not hold it up.
func TestLiveEndsWithTheServer(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	var all []*stream
	for range 20 {
		v := h.watch("school=3418020001")
		v.next()
		all = append(all, v)
	}
	h.stop()
	select {
	case err := <-h.ended:
		if err != nil {
			t.Error(err)
		}
		h.ended <- nil
	case <-time.After(time.Minute): // waiting for viewers it would give up, with an error
		t.Fatal("the server does not end")
	}
	for _, v := range all {
		for range v.events { // until it is closed
		}
	}
}

// While nothing changes a stream says that it is alive, and how old its numbers are.
func TestLiveBeats(t *testing.T) {
	t.Parallel()
	h := newHall(t, nil)
	v := h.watch("school=3418020001")
	first := v.settled(0)
	select {
	case e := <-v.events:
		if e.Name != "beat" || !e.Live || e.AsOf <= first.AsOf || e.Participants != nil {
			t.Errorf("%s: %s", e.Name, e.Text)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing was heard for half a minute")
	}
	// Who comes later has the counts, and their age.
	late := h.watch("school=3418020001")
	if late.settled(0); (<-late.events).Name != "beat" {
		t.Error("who comes late is not told how old the counts are")
	}
}

// slowLedger takes its time for large regions.
type slowLedger struct {
	canyu.Ledger
	large chan struct{} // closed when it may answer
	reads atomic.Int64
}

func (l *slowLedger) Counts(ctx context.Context, activity string, classes []canyu.Class) ([]canyu.Tally, error) {
	if len(classes) > 1000 {
		l.reads.Add(1)
		<-l.large
	}
	return l.Ledger.Counts(ctx, activity, classes)
}

// However many ask for a large region, they are told by few readings: how few depends on
// how fast they come.
func TestCountsOfLargeRegions(t *testing.T) {
	t.Parallel()
	slow := &slowLedger{large: make(chan struct{})}
	h := newHall(t, func(c *ingest.Config) {
		slow.Ledger, c.Ledger = c.Ledger, slow
		var entries []canyu.RosterEntry
		for i := range 1001 {
			entries = append(entries, canyu.RosterEntry{Region: 110101, School: canyu.SchoolCode(1101010001 + i/500), Name: fmt.Sprint("第", i/500), Grade: 3, Class: uint16(i%500 + 1), Enrolled: 30})
		}
		roster, err := canyu.NewRoster(entries)
		check(t, err)
		check(t, c.Archive.ImportRoster(t.Context(), roster))
	})
	const path = "/v1/activities/hall/counts?region="
	var wg sync.WaitGroup
	const askers = 40
	for range askers {
		wg.Go(func() {
			if status, body := h.get(path + "110101"); status != 200 || !strings.Contains(body, `"enrolled":30030`) {
				t.Errorf("%d %.200s", status, body)
			}
		})
	}
	eventually(t, "one reads", func() bool { return slow.reads.Load() == 1 })
	close(slow.large)
	wg.Wait()
	if n := slow.reads.Load(); n > askers/2 {
		t.Errorf("%d readings", n)
	}
	// What was acknowledged before is in the counts, however soon after a reading.
	h.bow("1101010001", 1, 7)
	if status, body := h.get(path + "110000"); status != 200 || !strings.Contains(body, `"student":1`) {
		t.Errorf("after a participation: %d %.200s", status, body)
	}
}
