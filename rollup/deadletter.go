package rollup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/canyu/canyu"
)

// DeadLetter is an entry of the log that cannot go into the archive: it is damaged,
// or the archive refuses it again and again while it takes others. It is kept as one
// line of JSON in <activity>.ndjson, durable before the log forgets it, so that the
// rest can go on and nothing is lost.
type DeadLetter struct {
	Activity string     `json:"activity"`
	Shard    int        `json:"shard"`
	Position string     `json:"position"`
	Reason   string     `json:"reason"`
	At       time.Time  `json:"at"`            // when it was given up
	Raw      []byte     `json:"raw,omitempty"` // of one that cannot be read
	Recorded []recorded `json:"recorded,omitempty"`

	line []byte // as it stands in the file
}

// recorded is a canyu.Recorded as plain numbers, which keep also what is out of range.
type recorded struct {
	School      uint64 `json:"school"`
	Grade       uint8  `json:"grade"`
	Class       uint16 `json:"class"`
	Role        uint8  `json:"role"`
	Held        uint8  `json:"held,omitempty"`
	Participant uint64 `json:"participant"`
	ID          uint64 `json:"id"`
	At          int64  `json:"at"` // Unix milliseconds
	Day         int32  `json:"day"`
	Message     string `json:"message,omitempty"`
	Counted     bool   `json:"counted,omitempty"`
	Ordinal     uint64 `json:"ordinal,omitempty"`
}

func plain(rs []canyu.Recorded) []recorded {
	var ps []recorded
	for _, r := range rs {
		ps = append(ps, recorded{uint64(r.Class.School), r.Class.Grade, r.Class.Number, uint8(r.Role), uint8(r.Held), uint64(r.Participant), r.ID,
			r.At.UnixMilli(), int32(r.Day), r.Message, r.Counted, r.Ordinal})
	}
	return ps
}

// Participations is what a readable letter is about.
func (d *DeadLetter) Participations() []canyu.Recorded {
	var rs []canyu.Recorded
	for _, p := range d.Recorded {
		rs = append(rs, canyu.Recorded{
			Participation: canyu.Participation{
				Class: canyu.Class{School: canyu.SchoolCode(p.School), Grade: p.Grade, Number: p.Class}, Role: canyu.Role(p.Role), Held: canyu.Suspicion(p.Held),
				Participant: canyu.Participant(p.Participant), ID: p.ID, At: time.UnixMilli(p.At).UTC(), Day: canyu.Day(p.Day), Message: p.Message},
			Outcome: canyu.Outcome{Counted: p.Counted, Ordinal: p.Ordinal}})
	}
	return rs
}

// same: the worker may die between writing a letter and acknowledging its entry,
// and finds that entry again.
func (d *DeadLetter) same(o *DeadLetter) bool {
	if d.Shard != o.Shard || d.Position != o.Position || !bytes.Equal(d.Raw, o.Raw) || len(d.Recorded) != len(o.Recorded) {
		return false
	}
	for i := range d.Recorded {
		if d.Recorded[i] != o.Recorded[i] {
			return false
		}
	}
	return true
}

func deadLetterFile(dir, activity string) string { return filepath.Join(dir, activity+".ndjson") }

// DeadLetters of an activity in folder dir, the oldest first. A line that cannot be
// read is a letter with nothing but a Reason.
func DeadLetters(dir, activity string) ([]DeadLetter, error) {
	f, err := os.Open(deadLetterFile(dir, activity))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the dead letters: %w", err)
	}
	defer f.Close()
	var letters []DeadLetter
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // a line without an end was never finished, nor its entry acknowledged
			return letters, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the dead letters: %w", err)
		}
		var d DeadLetter
		if err := json.Unmarshal(line, &d); err != nil {
			d = DeadLetter{Activity: activity, Reason: "this line cannot be read: " + err.Error()}
		}
		d.line = line
		letters = append(letters, d)
	}
}

// write makes the letter durable, once.
func (d *DeadLetter) write(dir string) error {
	return locked(dir, func() error {
		letters, err := DeadLetters(dir, d.Activity)
		if err != nil {
			return err
		}
		whole := int64(0)
		for i := range letters {
			if d.same(&letters[i]) {
				return nil
			}
			whole += int64(len(letters[i].line))
		}
		line, err := json.Marshal(d)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(deadLetterFile(dir, d.Activity), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(append(line, '\n'), whole) // over what a crash left of a line
		if err == nil {
			err = f.Truncate(whole + int64(len(line)) + 1)
		}
		return errors.Join(err, f.Sync(), f.Close(), syncFolder(dir))
	})
}

// locked does something to the files of dir while no other process does.
func locked(dir string, do func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of the dead letters: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the dead letters: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("cannot lock the dead letters: %w", err)
	}
	if err := do(); err != nil {
		return fmt.Errorf("cannot write the dead letters: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// RetryDeadLetters stores the letters of an activity once more, restates what they
// touch, and then takes those that were stored out of the file. read, if not nil,
// makes participations of a damaged entry, should this program know how. It waits
// for a worker that is at the activity.
//
// A ledger that was restored from the archive meanwhile does not know of those in
// the letters. It is then found to be behind the archive, and has to be rebuilt.
func RetryDeadLetters(ctx context.Context, l canyu.Ledger, a canyu.Archive, dir, activity string, read func(raw []byte) ([]canyu.Recorded, error)) (Retried, error) {
	letters, err := DeadLetters(dir, activity)
	if err != nil || len(letters) == 0 {
		return Retried{}, err
	}
	var result Retried
	done := make(map[string]bool) // lines
	err = onDuty(ctx, l, activity, func(ctx context.Context) error {
		touched := make(map[canyu.Class]struct{})
		for i := range letters {
			d := &letters[i]
			rs := d.Participations()
			if len(rs) == 0 && len(d.Raw) > 0 && read != nil {
				if rs, err = read(d.Raw); err != nil {
					result.Reason = err
					continue
				}
			}
			if len(rs) == 0 {
				result.Reason = errors.New(d.Reason)
				continue
			}
			if err := a.Store(ctx, activity, rs); err != nil {
				if ctx.Err() != nil || ofTheWorld(err) {
					return err
				}
				result.Reason = err
				continue
			}
			done[string(d.line)] = true
			for _, r := range rs {
				touched[r.Class] = struct{}{}
			}
		}
		return restate(ctx, a, activity, touched)
	})
	if err != nil {
		return Retried{}, fmt.Errorf("cannot retry the dead letters of %s: %w", activity, err)
	}
	result.Stored = len(done)
	if len(done) > 0 {
		result.Left, err = removeLetters(dir, activity, done)
	} else {
		result.Left = len(letters)
	}
	return result, err
}

// Retried is what became of dead letters.
type Retried struct {
	Stored, Left int
	Reason       error // why the last one of those left is left
}

// removeLetters writes the file anew without the lines that are done. What came in
// meanwhile stays.
func removeLetters(dir, activity string, done map[string]bool) (left int, err error) {
	err = locked(dir, func() error {
		letters, err := DeadLetters(dir, activity)
		if err != nil {
			return err
		}
		var rest []byte
		for _, d := range letters {
			if !done[string(d.line)] {
				rest = append(rest, d.line...)
				left++
			}
		}
		path := deadLetterFile(dir, activity)
		fresh := path + "." + rand.Text()
		f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(rest)
		if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
			err = os.Rename(fresh, path)
		}
		if err != nil {
			return errors.Join(err, os.Remove(fresh))
		}
		return syncFolder(dir)
	})
	return left, err
}
