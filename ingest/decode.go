package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/canyu/canyu"
)

// MaxArray is how many submissions one request may carry: a class at one screen.
const MaxArray = 100

// malformedError is what is wrong with a body that is no JSON of the right shape.
type malformedError struct{ reason string }

func (e malformedError) Error() string { return e.reason }

var errTooMany = fmt.Errorf("array: want at most %d submissions", MaxArray)

// decoded is one submission as far as it could be read.
type decoded struct {
	canyu.Submission
	bad canyu.InvalidError // fields of a wrong type, unknown fields

	// Only a file that is replayed has these.
	at      string
	refused bool

	steps [8]string // room for Steps
}

// decoder reads submissions from JSON. It is strict: duplicate names, invalid
// UTF-8 and unknown fields are refused, so that nothing is lost silently. Strings
// without escapes borrow from the body.
type decoder struct {
	json  *jsontext.Decoder
	buf   bytes.Buffer
	items []decoded
	array bool   // the body was an array, also of one
	last  string // field whose value is or was read

	replay bool // "at" and "refused" are known fields
}

var decoders = sync.Pool{New: func() any {
	return &decoder{json: jsontext.NewDecoder(new(bytes.Buffer))}
}}

// decode reads body: one submission or an array of them, left in d.items until the
// next decode. Errors are malformedError or errTooMany.
func (d *decoder) decode(body []byte) error {
	if d.plain(body) {
		return nil
	}
	return d.parse(body)
}

// parse is decode for every body that is possible.
func (d *decoder) parse(body []byte) error {
	d.buf = *bytes.NewBuffer(body) // parsed in place, not copied
	d.json.Reset(&d.buf)
	d.items, d.array, d.last = d.items[:0], false, ""
	switch d.json.PeekKind() {
	case '{':
		if err := d.object(); err != nil {
			return d.malformed(err)
		}
	case '[':
		d.array = true
		if err := d.objects(); err != nil {
			return d.malformed(err)
		}
	default:
		if _, err := d.json.ReadToken(); err != nil {
			return d.malformed(err)
		}
		return malformedError{"want a submission, or an array of them"}
	}
	if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
		return malformedError{"something follows the end of the JSON value"}
	}
	return nil
}

func (d *decoder) malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooMany), errors.As(err, new(malformedError)):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return malformedError{"the JSON ends too early"}
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return malformedError{fmt.Sprintf("%s is given twice", syntax.JSONPointer.LastToken())}
	case errors.As(err, &syntax):
		where := ""
		if d.last != "" {
			where = ", in or behind " + shorten(d.last)
		}
		return malformedError{fmt.Sprintf("no JSON from byte %d on%s: %v", syntax.ByteOffset, where, syntax.Err)}
	}
	return malformedError{err.Error()}
}

func (d *decoder) objects() error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != ']' {
		if len(d.items) == MaxArray {
			return errTooMany
		}
		if k := d.json.PeekKind(); k != '{' && k > 0 {
			return malformedError{fmt.Sprintf("item %d of the array is no submission", len(d.items))}
		}
		if err := d.object(); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// item is a new one, empty.
func (d *decoder) item() *decoded {
	if len(d.items) < cap(d.items) {
		d.items = d.items[:len(d.items)+1]
	} else {
		d.items = append(d.items, decoded{})
	}
	item := &d.items[len(d.items)-1]
	*item = decoded{}
	return item
}

// object reads one submission into a new item.
func (d *decoder) object() error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	item := d.item()
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		field, err := text(name)
		if err != nil {
			return err
		}
		d.last = field
		if err := d.field(item, field); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// field reads the value of one field. A wrong type is the field's error, not the
// body's: the others are read all the same, so that all mistakes are told at once.
func (d *decoder) field(item *decoded, field string) error {
	value := d.json.ReadValue
	switch field {
	case "activity":
		return item.text(field, &item.Activity, value)
	case "school":
		return item.text(field, &item.School, value)
	case "role":
		return item.text(field, &item.Role, value)
	case "name":
		return item.text(field, &item.Name, value)
	case "message":
		return item.text(field, &item.Message, value)
	case "id":
		return item.text(field, &item.ID, value)
	case "grade":
		_, err := item.number(field, &item.Grade, value)
		return err
	case "class":
		_, err := item.number(field, &item.Class, value)
		return err
	case "seat":
		sent, err := item.number(field, &item.Seat, value)
		item.HasSeat = sent
		return err
	case "steps":
		return d.stepsOf(item)
	}
	if d.replay && field == "at" {
		return item.text(field, &item.at, value)
	}
	if d.replay && field == "refused" {
		item.refused = true
	} else if len(item.bad) < 16 {
		item.refuse(shorten(field), "is no field of a submission")
	}
	return d.json.SkipValue()
}

func (item *decoded) refuse(field, reason string) {
	item.bad = append(item.bad, canyu.FieldError{Field: field, Reason: reason})
}

func (item *decoded) text(field string, to *string, value func() (jsontext.Value, error)) error {
	v, err := value()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		*to, err = text(v)
		return err
	case 'n': // null is as good as absent
	default:
		item.refuse(field, "want a string")
	}
	return nil
}

func (item *decoded) number(field string, to *int, value func() (jsontext.Value, error)) (sent bool, err error) {
	v, err := value()
	if err != nil {
		return false, err
	}
	switch v.Kind() {
	case '0':
		n, err := strconv.ParseInt(unsafe.String(unsafe.SliceData(v), len(v)), 10, 32)
		if err != nil {
			item.refuse(field, "want a whole number")
		}
		*to = int(n)
		return true, nil
	case 'n':
	default:
		item.refuse(field, "want a number")
	}
	return false, nil
}

func (d *decoder) stepsOf(item *decoded) error {
	switch d.json.PeekKind() {
	case '[':
	case 'n':
		return d.json.SkipValue()
	default:
		item.refuse("steps", "want an array of strings")
		return d.json.SkipValue()
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	steps, wrong := item.steps[:0], false
	for d.json.PeekKind() != ']' {
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if v.Kind() != '"' {
			wrong = true
			continue
		}
		step, err := text(v)
		if err != nil {
			return err
		}
		steps = append(steps, step)
	}
	if wrong {
		item.refuse("steps", "want an array of strings")
	}
	item.Steps = steps
	_, err := d.json.ReadToken()
	return err
}

// text is the content of a JSON string. Without an escape it is the bytes of the
// body themselves.
func text(v jsontext.Value) (string, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		v = v[1 : len(v)-1]
		return unsafe.String(unsafe.SliceData(v), len(v)), nil
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
