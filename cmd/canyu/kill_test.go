package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// pupilsOfTest are seats of a school's classes, each a participant of its own.
type seatOf struct{ grade, class, seat int }

// kill -9 in the middle of a load, several times: what was acknowledged is there
// with the same receipt, nothing counts twice, and ledger and archive agree.
func TestKill(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.atOnce = true
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		var seats []seatOf
		for grade := 1; grade <= 6; grade++ {
			for seat := 1; seat <= 25; seat++ {
				seats = append(seats, seatOf{grade, 1, seat}, seatOf{grade, 2, seat})
			}
		}
		const kills = 3
		acknowledged := make(map[seatOf]string) // receipt
		rnd := rand.New(rand.NewPCG(1, 2))
		for round := range kills {
			v := s.serve()
			rnd.Shuffle(len(seats), func(i, j int) { seats[i], seats[j] = seats[j], seats[i] })
			s.postUntilKilled(v, seats, 100*(round+1), acknowledged)
		}
		v := s.serve()
		if len(acknowledged) == 0 || len(acknowledged) == len(seats) {
			t.Logf("%d of %d were acknowledged before the last kill: the kills came late", len(acknowledged), len(seats))
		}
		counted := 0
		for _, seat := range seats {
			r, err := s.postSeat(v.url, seat)
			if err != nil {
				t.Fatal(err)
			}
			receipt, known := acknowledged[seat]
			switch {
			case known && r.Counted:
				t.Errorf("%v was acknowledged, and counts again", seat)
			case known && r.Receipt != receipt:
				t.Errorf("%v has receipt %s, had %s", seat, r.Receipt, receipt)
			case r.Counted:
				counted++
			}
		}
		t.Logf("%d acknowledged before the last kill, %d counted after it", len(acknowledged), counted)
		_, body, err := v.get("/v1/activities/" + s.activity + "/counts?school=3418020001")
		if want := fmt.Sprintf(`"participants":{"parent":0,"student":%d,"teacher":0}`, len(seats)); err != nil || !strings.Contains(body, want) {
			t.Errorf("counts: %.300s, %v; want %s", body, err, want)
		}
		v.stop()
		if out := s.must("verify"); !strings.Contains(out, "agree") {
			t.Errorf("verify: %s", out)
		}
	})
}

type postResult struct {
	Counted bool
	Receipt string
}

func (s *site) postSeat(url string, seat seatOf) (r postResult, err error) {
	response, err := httpClient.Post(url+"/v1/participations", "application/json", strings.NewReader(
		s.submission(map[string]any{"grade": seat.grade, "class": seat.class, "seat": seat.seat, "id": fmt.Sprint(seat)})))
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", response.StatusCode, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// postUntilKilled posts seats from many clients and kills the server when so many
// were acknowledged; what was acknowledged, and to whom, is kept.
func (s *site) postUntilKilled(v *server, seats []seatOf, after int, acknowledged map[seatOf]string) {
	var next, done atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(seats) {
					return
				}
				r, err := s.postSeat(v.url, seats[i])
				if err != nil {
					return // killed
				}
				mu.Lock()
				if was, known := acknowledged[seats[i]]; known && (r.Counted || r.Receipt != was) {
					s.t.Errorf("%v: %+v, had receipt %s", seats[i], r, was)
				}
				acknowledged[seats[i]] = r.Receipt
				mu.Unlock()
				if done.Add(1) == int64(after) {
					v.kill()
				}
			}
		})
	}
	wg.Wait()
}
