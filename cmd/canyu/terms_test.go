package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

// How pupils are told apart, and whose midnight it is, may be put right until the first
// has taken part. After that they would count twice: nobody is counted until it is put
// back. An activity that was begun before this was kept goes on as it is configured.
func TestTermsNeverChange(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		s.serve().stop()
		s.change("identify: seat", "identify: name")
		s.serve().stop() // nobody has taken part
		s.change("identify: name", "identify: seat")
		v := s.serve()
		s.seats(v, 1, 2, 201)
		v.stop()

		for _, change := range [][2]string{{"identify: seat", "identify: name"}, {"timezone: Asia/Shanghai", "timezone: Asia/Urumqi"}} {
			s.change(change[0], change[1])
			field, was, _ := strings.Cut(change[0], ": ")
			_, is, _ := strings.Cut(change[1], ": ")
			want := fmt.Sprintf("%s was %s when %s began and is %s now: put it back", field, was, s.activity, is)
			v = s.start()
			v.eventually("readyz", func() error {
				status, body, err := v.get("/readyz")
				if err == nil && (status != 503 || !strings.Contains(body, want)) {
					err = fmt.Errorf("%d %s", status, body)
				}
				return err
			})
			if status, body := v.post("application/json", s.submission(map[string]any{"seat": 1, "name": "张伟"})); status != 503 {
				t.Errorf("%s: answered %d %s", change[1], status, body)
			}
			v.stop()
			if out, err := s.canyu("replay", s.file("paper.ndjson", nil)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("replay: %s, %v", out, err)
			}
			s.change(change[1], change[0])
		}

		s.inside(t, func(_ *settings, e *engines) { // as an earlier version left it
			check(t, e.archive.SetTerms(t.Context(), s.activity, canyu.Terms{}))
		})
		v = s.serve()
		s.seats(v, 1, 2, 200)
		s.seats(v, 3, 3, 201)
		s.change("identify: seat", "identify: name")
		v.reload("they never change within an activity that somebody has taken part in")
		v.stop()
	})
}
