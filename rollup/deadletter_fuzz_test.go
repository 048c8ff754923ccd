package rollup_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/canyu/canyu/rollup"
)

// Lines of dead letters are read, or it is said that they cannot be.
func FuzzDeadLetters(f *testing.F) {
	f.Add([]byte(`{"activity":"x","shard":0,"position":"1-0","reason":"r","at":"2017-04-01T00:00:00Z","recorded":[{"school":3418020001,"grade":3,"class":1,"role":1,"participant":5,"id":6,"at":1491004800000,"day":17257,"counted":true,"ordinal":9}]}` + "\n"))
	f.Add([]byte(`{"raw":"AAEC"}` + "\n{}\nx\n"))
	f.Add([]byte("{\"recorded\":[{\"grade\":256}]}\n\n\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x.ndjson"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		letters, err := rollup.DeadLetters(dir, "x")
		if err != nil {
			return
		}
		for i := range letters {
			letters[i].Participations()
		}
	})
}
