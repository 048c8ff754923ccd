package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Tail is what the ledger took last, so that a process that comes after one that was
// killed can give it back to a ledger that lost its data meanwhile. It is written and
// not synced: it survives the process, and of a power cut what the system had written
// by itself.
//
// Two files take turns, each half of the whole. They are written over, not cut: what
// is left of the round before has another number.
type Tail struct {
	files [2]*os.File
	half  int64
	at    int    // the file that is being written,
	round uint32 // its number,
	end   int64  // and where the next batch goes
	frame []byte // room for it
}

// Taken is a batch that the ledger took, in the epoch of then.
type Taken struct {
	Epoch string
	At    time.Time // in whole seconds, when it comes out of a file
	Kept
}

const frameHead = 12 // checksum, round, length

// Tail opens an activity's tail of about size bytes, or makes it, and returns what is
// in it, the oldest first.
func (s *Spool) Tail(activity string, size int64) (_ *Tail, taken []Taken, err error) {
	t := &Tail{half: size / 2}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("cannot open the tail: %w", err), t.Close())
		}
	}()
	var found [2][]Taken
	for i := range t.files {
		path := filepath.Join(s.dir, fmt.Sprintf("tail-%s-%d", activity, i))
		if t.files[i], err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return nil, nil, err
		}
		text, err := io.ReadAll(t.files[i])
		if err != nil {
			return nil, nil, err
		}
		batches, round, end := readFrames(text)
		found[i] = batches
		if round > t.round {
			t.at, t.round, t.end = i, round, end
		}
	}
	t.round = max(t.round, 1)
	// What is damaged behind it would look whole where the next batch has its length.
	if err := t.files[t.at].Truncate(t.end); err != nil {
		return nil, nil, err
	}
	return t, slices.Concat(found[1-t.at], found[t.at]), nil
}

// readFrames reads until something is damaged or of another round.
func readFrames(text []byte) (taken []Taken, round uint32, end int64) {
	for {
		rest := text[end:]
		if len(rest) < frameHead {
			return taken, round, end
		}
		of, n := binary.BigEndian.Uint32(rest[4:]), uint64(binary.BigEndian.Uint32(rest[8:]))
		if n > uint64(len(rest)-frameHead) || end > 0 && of != round {
			return taken, round, end
		}
		frame := rest[:frameHead+n]
		if crc32.ChecksumIEEE(frame[4:]) != binary.BigEndian.Uint32(frame) {
			return taken, round, end
		}
		b, ok := parseTaken(frame[frameHead:])
		if !ok {
			return taken, round, end
		}
		taken, round, end = append(taken, b), of, end+int64(len(frame))
	}
}

func appendTaken(dst []byte, b *Taken) []byte {
	for _, s := range []string{b.Epoch, b.Writer} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	dst = binary.AppendUvarint(dst, uint64(b.At.Unix()))
	dst = binary.AppendUvarint(dst, b.Sequence)
	dst = binary.AppendUvarint(dst, uint64(b.Size))
	return append(dst, b.Payload...)
}

func parseTaken(body []byte) (b Taken, ok bool) {
	number := func() uint64 {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			body = nil
			return 0
		}
		body = body[n:]
		return v
	}
	text := func() string {
		n := min(number(), uint64(len(body)))
		s := string(body[:n])
		body = body[n:]
		return s
	}
	b.Epoch, b.Writer = text(), text()
	b.At = time.Unix(int64(number()), 0)
	b.Sequence, b.Size, b.Payload = number(), int(number()), body
	return b, b.Size >= 0 && b.Size < len(body)
}

// Add puts a batch at the end; the oldest may go.
func (t *Tail) Add(b *Taken) error {
	t.frame = appendTaken(append(t.frame[:0], make([]byte, frameHead)...), b)
	frame := t.frame
	at, round, end := t.at, t.round, t.end
	if end > 0 && end+int64(len(frame)) > t.half {
		at, round, end = 1-at, round+1, 0
	}
	binary.BigEndian.PutUint32(frame[4:], round)
	binary.BigEndian.PutUint32(frame[8:], uint32(len(frame)-frameHead))
	binary.BigEndian.PutUint32(frame, crc32.ChecksumIEEE(frame[4:]))
	if _, err := t.files[at].WriteAt(frame, end); err != nil {
		return fmt.Errorf("cannot write the tail: %w", err) // the next one goes to the same place
	}
	t.at, t.round, t.end = at, round, end+int64(len(frame))
	return nil
}

// Clear forgets everything.
func (t *Tail) Clear() error {
	t.round, t.end = t.round+1, 0
	if err := errors.Join(t.files[0].Truncate(0), t.files[1].Truncate(0)); err != nil {
		return fmt.Errorf("cannot clear the tail: %w", err)
	}
	return nil
}

// Close lets go of the files.
func (t *Tail) Close() error {
	var errs []error
	for _, f := range t.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
