package main

import (
	"os"
	"testing"
)

// Whatever stands in canyu.yaml, it is understood or every mistake is told.
func FuzzYAML(f *testing.F) {
	for _, name := range []string{"../../deploy/canyu.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("listen: [1]\nactivities:\n- {id: x, steps: {a: b}, roles: x, report: {at: 25:99, recipients: {x: y}}}\n"))
	f.Add([]byte("a: &a [*a]\nb: !!binary x\n"))
	f.Add([]byte("a: &a {<<: *a}\n? [x]\n: y\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		s := &settings{}
		decodeYAML(text, s)
		for i := range s.Activities {
			s.Activities[i].activity()
		}
	})
}
