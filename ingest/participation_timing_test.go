package ingest

import (
	"testing"
	"time"

	"github.com/canyu/canyu"
)

var body = []byte(`{"activity":"qingming-2017","school":"3418020001","grade":3,"class":2,"role":"student","seat":17,"steps":["bow","flower","message"],"message":"缅怀先烈，吾辈自强。","id":"w2017-00038518"}`)

// served is a server with one activity and one class, that records nothing.
func served(t testing.TB) *Server {
	t.Helper()
	roster, err := canyu.NewRoster([]canyu.RosterEntry{{Region: 341802, School: 3418020001, Name: "宣州区第一小学", Grade: 3, Class: 2, Enrolled: 45}})
	if err != nil {
		t.Fatal(err)
	}
	day := canyu.NewDay(2017, time.April, 1)
	s := NewServer(Config{
		Activities: []*canyu.Activity{{ID: "qingming-2017", Zone: time.FixedZone("", 8*3600), FirstDay: day, LastDay: day + 6,
			Steps: []string{"bow", "flower", "message"}, Roles: []canyu.Role{canyu.Student}, Identify: canyu.BySeat}},
		Secret: []byte("a secret of the test"),
	})
	s.classes.Store(roster)
	for _, a := range s.activities {
		a.who.Store(newIdentity(s.Secret, nil, a.Activity))
	}
	return s
}

// acceptOnce is all that is done to a request before it joins a batch.
func acceptOnce(t testing.TB, s *Server, d *decoder, at time.Time) {
	if err := d.decode(body); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.accept(&d.items[0], at); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAccept(b *testing.B) {
	s, d, at := served(b), decoders.New().(*decoder), time.Date(2017, 4, 1, 8, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		acceptOnce(b, s, d, at)
	}
}

func BenchmarkDecode(b *testing.B) {
	d := decoders.New().(*decoder)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
