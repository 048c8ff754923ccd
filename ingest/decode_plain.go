package ingest

import (
	"unicode/utf8"
	"unsafe"
)

// plain reads a body as almost every client writes it: the known fields, each once,
// strings without escapes, whole numbers. Whatever is anything else it leaves to the
// JSON decoder, which reads it from the start and alone knows what is wrong with it:
// false then, and what stands in d.items means nothing. FuzzDecode holds the one
// against the other.
//
// One pass over the bytes takes a fifth of the time of the decoder, which makes a
// token of each field and each value (BenchmarkDecode).
func (d *decoder) plain(body []byte) bool {
	s := scanner{body: body}
	d.items, d.array = d.items[:0], s.take('[')
	switch {
	case d.replay || !utf8.Valid(body):
		return false
	case !d.array:
		return d.plainObject(&s) && s.ends()
	case s.take(']'):
		return s.ends()
	}
	for len(d.items) < MaxArray && d.plainObject(&s) {
		if s.take(']') {
			return s.ends()
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

func (d *decoder) plainObject(s *scanner) bool {
	if !s.take('{') {
		return false
	}
	item := d.item()
	if s.take('}') {
		return true
	}
	var seen uint
	for {
		field, ok := s.text()
		if !ok || !s.take(':') {
			return false
		}
		var bit uint
		switch field {
		case "activity":
			bit = 1 << 0
			item.Activity, ok = s.text()
		case "school":
			bit = 1 << 1
			item.School, ok = s.text()
		case "grade":
			bit = 1 << 2
			item.Grade, ok = s.number()
		case "class":
			bit = 1 << 3
			item.Class, ok = s.number()
		case "role":
			bit = 1 << 4
			item.Role, ok = s.text()
		case "seat":
			bit = 1 << 5
			item.Seat, ok = s.number()
			item.HasSeat = ok
		case "name":
			bit = 1 << 6
			item.Name, ok = s.text()
		case "steps":
			bit = 1 << 7
			item.Steps, ok = s.texts(item.steps[:0])
		case "message":
			bit = 1 << 8
			item.Message, ok = s.text()
		case "id":
			bit = 1 << 9
			item.ID, ok = s.text()
		default:
			return false
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// scanner stands before byte at of body.
type scanner struct {
	body []byte
	at   int
}

// take passes white space and then c, if c is there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at == len(s.body) || s.body[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.body) && s.body[s.at] <= ' ' {
		switch s.body[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// ends reports whether nothing follows.
func (s *scanner) ends() bool {
	s.space()
	return s.at == len(s.body)
}

// text is a string without escapes: the bytes of the body themselves.
func (s *scanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	rest := s.body[s.at:]
	for i, c := range rest {
		switch {
		case c == '"':
			s.at += i + 1
			return unsafe.String(unsafe.SliceData(rest), i), true
		case c == '\\' || c < ' ':
			return "", false
		}
	}
	return "", false
}

// texts is an array of them.
func (s *scanner) texts(to []string) ([]string, bool) {
	if !s.take('[') {
		return nil, false
	}
	if s.take(']') {
		return to, true
	}
	for {
		text, ok := s.text()
		if !ok {
			return nil, false
		}
		to = append(to, text)
		if s.take(']') {
			return to, true
		}
		if !s.take(',') {
			return nil, false
		}
	}
}

// number is a whole number of at most nine digits, none of which stands for nothing.
func (s *scanner) number() (n int, ok bool) {
	s.space()
	from := s.at
	for s.at < len(s.body) && s.body[s.at] >= '0' && s.body[s.at] <= '9' {
		n = 10*n + int(s.body[s.at]-'0')
		s.at++
	}
	digits := s.at - from
	return n, digits == 1 || digits > 1 && digits <= 9 && s.body[from] != '0'
}
