// Package ledgerlog is the wire form of a ledger's log: how both ledgers keep a
// batch until rollup has read it.
//
// An entry is what the writer knew, the payload ([Append]), beside what the ledger
// decided, the outcomes: how many participants there were before the batch, and a
// '1' or '0' for each participation, counted or repeat. So an engine can log a
// batch without reading it.
package ledgerlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// version is the first byte of a payload. An entry outlives an upgrade of the
// program: a new form gets a new number, and the old one stays readable.
const (
	version     = 1
	versionHeld = 2 // has some that are held: why follows the role
)

var errCut = errors.New("log payload: cut short or damaged")

// Append appends the payload of ps to dst.
func Append(dst []byte, ps []canyu.Participation) []byte {
	form, held := byte(version), false
	for i := range ps {
		if ps[i].Held != canyu.Unsuspected {
			form, held = versionHeld, true
			break
		}
	}
	dst = append(dst, form)
	dst = binary.AppendUvarint(dst, uint64(len(ps)))
	var at, day int64
	for i := range ps {
		p := &ps[i]
		dst = binary.AppendUvarint(dst, uint64(p.Class.School))
		dst = binary.AppendUvarint(dst, uint64(p.Class.Number))
		dst = append(dst, p.Class.Grade, byte(p.Role))
		if held {
			dst = append(dst, byte(p.Held))
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.Participant))
		dst = binary.BigEndian.AppendUint64(dst, p.ID)
		ms := p.At.UnixMilli()
		dst = binary.AppendVarint(dst, ms-at)
		dst = binary.AppendVarint(dst, int64(p.Day)-day)
		at, day = ms, int64(p.Day)
		dst = binary.AppendUvarint(dst, uint64(len(p.Message)))
		dst = append(dst, p.Message...)
	}
	return dst
}

// Parse reads a payload and joins it with its outcomes. ordinal gives the number
// in the activity of the n-th participant ever counted in this log, n from 1.
// Damaged input is an error, never a panic.
func Parse(payload []byte, before uint64, outcomes string, ordinal func(n uint64) uint64) ([]canyu.Recorded, error) {
	r := reader{rest: payload}
	v := r.byte()
	if v != version && v != versionHeld {
		return nil, fmt.Errorf("log payload: version %d is not known to this program", v)
	}
	n := r.uvarint()
	if n != uint64(len(outcomes)) {
		return nil, fmt.Errorf("log payload: %d participations, but %d outcomes", n, len(outcomes))
	}
	rs := make([]canyu.Recorded, 0, n)
	var at, day int64
	for i := range len(outcomes) { // bytes: what is damaged may look like runes
		if outcomes[i] != '0' && outcomes[i] != '1' {
			return nil, errCut
		}
		var p canyu.Recorded
		p.Class.School = canyu.SchoolCode(r.uvarint())
		number := r.uvarint()
		p.Class.Number = uint16(number)
		p.Class.Grade = r.byte()
		p.Role = canyu.Role(r.byte())
		if v == versionHeld {
			p.Held = canyu.Suspicion(r.byte())
		}
		p.Participant = canyu.Participant(r.uint64())
		p.ID = r.uint64()
		at += r.varint()
		day += r.varint()
		p.At = time.UnixMilli(at).UTC()
		p.Day = canyu.Day(day)
		p.Message = string(r.bytes(r.uvarint()))
		if number > math.MaxUint16 || day > math.MaxInt32 || day < math.MinInt32 {
			return nil, errCut
		}
		if outcomes[i] == '1' {
			if p.Held != canyu.Unsuspected {
				return nil, errCut // what is held is never counted
			}
			before++
			p.Counted, p.Ordinal = true, ordinal(before)
		}
		rs = append(rs, p)
	}
	if r.cut || len(r.rest) > 0 {
		return nil, errCut
	}
	return rs, nil
}

// Outcomes tells of each participation of a batch what outcomes says of it.
func Outcomes(dst []canyu.Outcome, before uint64, outcomes string, ordinal func(n uint64) uint64) []canyu.Outcome {
	dst = slices.Grow(dst, len(outcomes))
	for i := range len(outcomes) {
		var o canyu.Outcome
		if outcomes[i] == '1' {
			before++
			o = canyu.Outcome{Counted: true, Ordinal: ordinal(before)}
		}
		dst = append(dst, o)
	}
	return dst
}

// Ordinal gives the number in the activity of the n-th participant of a shard, n from 1:
// those of its neighbours stand between them.
func Ordinal(shard, shards int) func(n uint64) uint64 {
	return func(n uint64) uint64 { return (n-1)*uint64(shards) + uint64(shard) + 1 }
}

// reader reads until it is cut, and zeros from then on.
type reader struct {
	rest []byte
	cut  bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.cut, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.cut, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.cut, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}
