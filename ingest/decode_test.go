package ingest

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func decode(t testing.TB, body string) (*decoder, error) {
	t.Helper()
	d := decoders.New().(*decoder)
	return d, d.decode([]byte(body))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	d, err := decode(t, ` {"activity":"a","school":"3418020001","grade":3,"class":2,"role":"student","seat":17,
		"name":"张\u4f1f\n","steps":["bow","flower"],"message":"致敬🕯️ \"x\"","id":"i-1"} `)
	if err != nil || d.array || len(d.items) != 1 {
		t.Fatalf("%v, %d items", err, len(d.items))
	}
	s := d.items[0]
	if s.bad != nil || s.Activity != "a" || s.School != "3418020001" || s.Grade != 3 || s.Class != 2 || s.Role != "student" ||
		!s.HasSeat || s.Seat != 17 || s.Name != "张伟\n" || strings.Join(s.Steps, " ") != "bow flower" ||
		s.Message != `致敬🕯️ "x"` || s.ID != "i-1" {
		t.Fatalf("%+v", s)
	}
	d, err = decode(t, `[{"seat":null,"name":null},{"seat":1}]`)
	if err != nil || !d.array || len(d.items) != 2 || d.items[0].HasSeat || d.items[0].bad != nil || !d.items[1].HasSeat {
		t.Fatalf("%v, %+v", err, d.items)
	}
	if d, err = decode(t, `[]`); err != nil || !d.array || len(d.items) != 0 {
		t.Fatalf("empty array: %v", err)
	}
}

// A decoder is used again: nothing of one body may show in the next.
func TestDecodeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	d := decoders.New().(*decoder)
	if err := d.decode([]byte(`[{"name":"a","steps":["x"],"seat":1,"zzz":1},{}]`)); err != nil {
		t.Fatal(err)
	}
	if err := d.decode([]byte(`{}`)); err != nil || len(d.items) != 1 || d.array {
		t.Fatalf("%v, %d items", err, len(d.items))
	}
	if s := d.items[0]; s.Name != "" || s.Steps != nil || s.HasSeat || s.bad != nil {
		t.Fatalf("left behind: %+v", s)
	}
}

func TestDecodeMany(t *testing.T) {
	t.Parallel()
	if _, err := decode(t, "["+strings.Repeat("{},", MaxArray)+"{}]"); !errors.Is(err, errTooMany) {
		t.Fatalf("%d items: %v", MaxArray+1, err)
	}
	d, err := decode(t, "["+strings.Repeat(`{"steps":["bow"],"id":"x"},`, MaxArray-1)+`{"steps":["flower"]}]`)
	if err != nil || len(d.items) != MaxArray {
		t.Fatalf("%d items: %v", MaxArray, err)
	}
	// Items move while the array grows.
	if d.items[0].Steps[0] != "bow" || d.items[MaxArray-1].Steps[0] != "flower" {
		t.Fatalf("steps: %v … %v", d.items[0].Steps, d.items[MaxArray-1].Steps)
	}
}

// asEncodingJSON holds what was read against what the standard library reads.
func asEncodingJSON(t *testing.T, body []byte, d *decoder) {
	t.Helper()
	type submission struct {
		Activity, School, Role, Name, Message, ID string
		Grade, Class                              int
		Seat                                      *int
		Steps                                     []string
	}
	if !json.Valid(body) {
		t.Fatalf("%q is no JSON", body)
	}
	if slices.ContainsFunc(d.items, func(i decoded) bool { return i.bad != nil }) {
		return
	}
	wants := make([]submission, len(d.items))
	var err error
	if d.array {
		err = json.Unmarshal(body, &wants)
	} else {
		err = json.Unmarshal(body, &wants[0])
	}
	if err != nil || len(wants) != len(d.items) {
		t.Fatalf("%q: %d items, want %d, %v", body, len(d.items), len(wants), err)
	}
	for i, item := range d.items {
		got := submission{Activity: item.Activity, School: item.School, Role: item.Role, Name: item.Name, Message: item.Message,
			ID: item.ID, Grade: item.Grade, Class: item.Class, Steps: item.Steps}
		if item.HasSeat {
			got.Seat = &item.Seat
		}
		if !reflect.DeepEqual(got, wants[i]) {
			t.Fatalf("%q: item %d is %+v, want %+v", body, i, got, wants[i])
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"activity":"a","school":"3418020001","grade":3,"class":2,"role":"student","seat":17,"name":"张","steps":["bow"],"message":"m","id":"i"}`,
		`[{},{"seat":null}]`, `[[[[`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"name":"\ud83d\ude00\u0000"}`, `{"seat":1e999}`, `{"grade":-0}`,
		"{\"name\":\"\xff\"}", `{"seat":1,"seat":2}`, `{}x`, `nul`, ``, `"`, `{"steps":[1,"a",{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		d, reference := decoders.New().(*decoder), decoders.New().(*decoder)
		err := d.decode(body)
		if want := reference.parse(body); !errors.Is(err, want) {
			t.Fatalf("%q: %v, want %v", before, err, want)
		}
		if string(body) != before {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if problemOf(err).Status == 503 {
				t.Fatalf("%q: not refused as the client's mistake: %v", before, err)
			}
			return
		}
		if d.array != reference.array || !reflect.DeepEqual(d.items, reference.items) {
			t.Fatalf("%q:\n%+v, want\n%+v", before, d.items, reference.items)
		}
		asEncodingJSON(t, body, d)
		for _, item := range d.items {
			for _, s := range append(item.Steps, item.Name, item.Message, item.ID, item.School) {
				if !utf8.ValidString(s) {
					t.Fatalf("%q: %q is no UTF-8", before, s)
				}
			}
		}
	})
}
