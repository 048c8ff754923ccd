package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/ingest"
)

// Of the lines of a file each is either accepted or refused, and what was refused is
// refused again, as often as its file is replayed.
func FuzzReplay(f *testing.F) {
	var config ingest.Config
	newHall(f, func(c *ingest.Config) { config = *c })
	now := time.Now().UTC().Format(time.RFC3339)
	f.Add([]byte(`{"at":"` + now + `","activity":"hall","school":"3418020001","grade":3,"class":1,"role":"student","seat":1,"steps":["bow"]}` + "\n\n{}\n"))
	f.Add([]byte(`{"refused":"closed: x","at":"2027-04-01T08:02:08Z","activity":"hall"}` + "\r\n" + `[{}]`))
	f.Add([]byte(`{"refused":"closed: x","line":"\u0000"}` + "\nnul\n\"\n\xff\n"))
	f.Add([]byte(`{"refused": "a","refused":"b"}` + "\n" + `{ "refused":"a" , "at":1}`))
	s := ingest.NewServer(config)
	if err := s.Prepare(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var refused, again bytes.Buffer
		totals, err := s.Replay(t.Context(), bytes.NewReader(file), &refused, nil)
		if err != nil {
			if strings.Contains(err.Error(), "too long") {
				return
			}
			t.Fatal(err)
		}
		n := 0
		for _, of := range totals.Refused {
			n += of
		}
		if totals.Lines != totals.Accepted+n || n != bytes.Count(refused.Bytes(), []byte("\n")) {
			t.Fatalf("%q: %+v, refused\n%s", file, totals, refused.Bytes())
		}
		second, err := s.Replay(t.Context(), &refused, &again, nil)
		if err != nil || second.Lines != n || second.Accepted != 0 {
			t.Fatalf("%q: the refused ones: %+v %v", file, second, err)
		}
	})
}
