package ledgerlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/ledgerlog"
)

func ordinal(n uint64) uint64 { return n }

func sample() []canyu.Participation {
	at := time.UnixMilli(1491004800123).UTC()
	return []canyu.Participation{
		{Class: canyu.Class{School: 3418020001, Grade: 3, Number: 2}, Role: canyu.Student, Participant: 1<<63 - 1, ID: 1<<64 - 1, At: at, Day: 17257, Message: "念🕯️"},
		{Class: canyu.Class{School: 1, Grade: 12, Number: 999}, Role: canyu.Public, At: at.Add(-time.Hour), Day: 17256},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want := sample()
	got, err := ledgerlog.Parse(ledgerlog.Append(nil, want), 41, "01", ordinal)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i].Participation != want[i] {
			t.Errorf("%+v, want %+v", got[i].Participation, want[i])
		}
	}
	outcomes := []canyu.Outcome{got[0].Outcome, got[1].Outcome}
	if !slices.Equal(outcomes, []canyu.Outcome{{}, {Counted: true, Ordinal: 42}}) ||
		!slices.Equal(outcomes, ledgerlog.Outcomes(nil, 41, "01", ordinal)) {
		t.Errorf("outcomes %v", outcomes)
	}
}

// What is held says so, and its batch has a form of its own; any other batch has the
// form that programs of before read.
func TestHeld(t *testing.T) {
	t.Parallel()
	want := sample()
	if b := ledgerlog.Append(nil, want); b[0] != 1 {
		t.Errorf("form %d of a batch without held ones, want 1", b[0])
	}
	want[1].Held = canyu.Invented
	payload := ledgerlog.Append(nil, want)
	got, err := ledgerlog.Parse(payload, 41, "10", ordinal)
	if err != nil || payload[0] != 2 || got[0].Participation != want[0] || got[1].Participation != want[1] {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := ledgerlog.Parse(payload, 41, "11", ordinal); err == nil {
		t.Error("what is held was counted, and is read")
	}
}

// Whatever a disk or a stranger makes of a payload is an error, never a panic and
// never another participation.
func FuzzParse(f *testing.F) {
	whole := ledgerlog.Append(nil, sample())
	f.Add(whole, "01")
	for i := range whole {
		f.Add(whole[:i], "01")
	}
	heldToo := sample()
	heldToo[0].Held = canyu.MachinePace
	f.Add(ledgerlog.Append(nil, heldToo), "01")
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "1")
	f.Fuzz(func(t *testing.T, payload []byte, outcomes string) {
		rs, err := ledgerlog.Parse(payload, 0, outcomes, ordinal)
		if err == nil && len(rs) != len(outcomes) {
			t.Fatalf("%d participations, %d outcomes", len(rs), len(outcomes))
		}
	})
}

func TestRaw(t *testing.T) {
	t.Parallel()
	payload := ledgerlog.Append(nil, sample())
	got, err := ledgerlog.ParseRaw(ledgerlog.Raw("41 01", payload))
	if err != nil || len(got) != 2 || got[0].Participation != sample()[0] || got[1].Ordinal != 42 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = ledgerlog.ParseRaw(ledgerlog.Raw("41 01 2/3", payload))
	if err != nil || len(got) != 2 || got[1].Ordinal != 126 {
		t.Errorf("of the last of three shards: %+v, %v", got, err)
	}
	for _, raw := range [][]byte{nil, []byte("\n"), ledgerlog.Raw("", payload), ledgerlog.Raw("x 01", payload), ledgerlog.Raw("41 01 2", payload), ledgerlog.Raw("41 01", payload[:9])} {
		if _, err := ledgerlog.ParseRaw(raw); err == nil {
			t.Errorf("%q was read", raw)
		}
	}
}
