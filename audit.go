package canyu

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
)

// AuditEntry is one line of the audit log: who did what to numbers, messages or
// rights. It names links and commands, never a person, and stays when the activity
// that it is about is purged.
type AuditEntry struct {
	Sequence uint64    // from 1, without gaps, over the whole site
	At       time.Time // whole milliseconds
	Who      string    // the scope and key id of a link (see LinkKey), or ByCommand
	What     string    // a short code
	Activity string    // "": the whole site
	Target   string    // what it was done to: a region, a school, keys of messages…
	From, To string    // what it was and what it is to be, where that can be said
	Hash     string    // over the hash before and all of the above, hexadecimal
}

// Who did it, where it was no link.
const (
	ByCommand = "command" // somebody on the machine
	ByServer  = "server"  // nobody: the program by its settings
)

// What is audited. The codes are stored: they keep their meaning for ever.
const (
	AuditRoster  = "roster.import"
	AuditRemove  = "roster.remove"        // of schools
	AuditReplay  = "participation.replay" // of a file
	AuditLink    = "link.make"
	AuditKeys    = "link.keys" // the list of valid keys is another one
	AuditShow    = "wall.show"
	AuditHide    = "wall.hide"
	AuditWallOff = "wall.off"
	AuditWallOn  = "wall.on"
	AuditSend    = "report.send" // by hand
	AuditResend  = "report.resend"
	AuditCorrect = "report.correct"
	AuditSign    = "report.sign"
	AuditRepair  = "rollup.repair"
	AuditRebuild = "ledger.rebuild"
	AuditRetry   = "deadletter.retry"
	AuditPurge   = "activity.purge"
	AuditExport  = "participant.export"
	AuditErase   = "participant.erase"
	AuditCount   = "held.count" // what was held is counted
	AuditDismiss = "held.dismiss"
	AuditHold    = "held.undo"   // one of these decisions was taken back
	AuditSwitch  = "switch.turn" // by an operator: see Switch
)

// AuditArchive is the part of an Archive that keeps the audit log. Nothing in it is
// ever changed or taken out.
type AuditArchive interface {
	// AppendAudit stores a line. One whose Sequence is taken is an error. Called
	// under a claim: engines need not order two at once.
	AppendAudit(ctx context.Context, e AuditEntry) error

	// Audit runs over every line, by Sequence. It yields an error at most once, last.
	Audit(ctx context.Context) iter.Seq2[AuditEntry, error]

	// NewestAudit are the newest lines, the newest first, at most limit.
	NewestAudit(ctx context.Context, limit int) ([]AuditEntry, error)
}

// AuditHead is a line that was the newest once. Whoever has kept one sees that the
// log was cut short.
type AuditHead struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
}

// AuditLog appends to the audit log, from many processes at once, and checks it.
//
// Each line carries an HMAC-SHA256 over the hash of the line before and its own
// fields, under a key that the site's secret gives. So whoever can write to the
// archive but has not the secret can neither change a line nor take one out of the
// middle nor chain the log anew, which with a plain hash anybody could; and whoever
// is to check it has the secret anyway, or a signed report with a head in it. Lines
// cut off at the end are missed by whoever kept a head: see Kept and Check.
type AuditLog struct {
	Archive AuditArchive
	Ledger  Ledger // only for claims
	// Kept, if not nil, is told of each line before the next can be written, to keep
	// it somewhere else than in the archive.
	Kept func(AuditHead) error
	Now  func() time.Time // nil: time.Now

	key []byte
}

// NewAuditLog derives the log's key from the site's secret.
func NewAuditLog(l Ledger, a AuditArchive, secret []byte) *AuditLog {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("canyu audit key"))
	return &AuditLog{Archive: a, Ledger: l, key: h.Sum(nil)}
}

const (
	auditDuty     = "audit"
	auditPatience = 10 * time.Second // for a line to be written; its claim lasts longer
	auditLongest  = 4096             // bytes of a field
)

// Add writes a line; of e, Sequence, At and Hash are filled in here. It is called
// before the thing is done, which is left undone where it fails: a line says that
// somebody set about it. A nil log keeps nothing.
func (l *AuditLog) Add(ctx context.Context, e AuditEntry) (err error) {
	if l == nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write the audit log, so nothing was done: %w", err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	holder := rand.Text()
	if err := l.claim(ctx, holder); err != nil {
		return err
	}
	defer func() {
		if released := l.Ledger.Release(context.WithoutCancel(ctx), auditDuty, holder); err == nil {
			err = released
		}
	}()
	newest, err := l.Archive.NewestAudit(ctx, 1)
	if err != nil {
		return err
	}
	before := AuditEntry{}
	if len(newest) > 0 {
		before = newest[0]
	}
	for _, field := range []*string{&e.Who, &e.What, &e.Activity, &e.Target, &e.From, &e.To} {
		*field = auditText(*field)
	}
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	e.Sequence, e.At = before.Sequence+1, now().UTC().Truncate(time.Millisecond)
	e.Hash = l.hash(before.Hash, &e)
	if err := l.Archive.AppendAudit(ctx, e); err != nil || l.Kept == nil {
		return err
	}
	return l.Kept(e.Head())
}

func (l *AuditLog) claim(ctx context.Context, holder string) error {
	for {
		mine, err := l.Ledger.Claim(ctx, auditDuty, holder, 2*auditPatience)
		if err != nil || mine {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("somebody else is writing to it")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// auditText is one line of text that a terminal shows as it is.
func auditText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if len(s) > auditLongest {
		s = strings.ToValidUTF8(s[:auditLongest-3], "") + "…"
	}
	return s
}

// Head is what to keep of a line.
func (e *AuditEntry) Head() AuditHead { return AuditHead{e.Sequence, e.Hash} }

// hash is over fields with their lengths, so that nothing can move from one to the
// next.
func (l *AuditLog) hash(before string, e *AuditEntry) string {
	h := hmac.New(sha256.New, l.key)
	b := binary.BigEndian.AppendUint64(nil, e.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMilli()))
	for _, field := range []string{before, e.Who, e.What, e.Activity, e.Target, e.From, e.To} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Head is the newest line's; the zero AuditHead where there is none.
func (l *AuditLog) Head(ctx context.Context) (AuditHead, error) {
	newest, err := l.Archive.NewestAudit(ctx, 1)
	if err != nil || len(newest) == 0 {
		return AuditHead{}, err
	}
	return newest[0].Head(), nil
}

// Check reads the whole log, and returns its newest line and everything that is wrong
// with it. known are heads that were kept elsewhere, each with a word on where.
func (l *AuditLog) Check(ctx context.Context, known map[AuditHead]string) (newest AuditHead, faults []string, err error) {
	before := AuditHead{}
	seen := make(map[AuditHead]bool)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for e, err := range l.Archive.Audit(ctx) {
		if err != nil {
			return AuditHead{}, nil, fmt.Errorf("cannot check the audit log: %w", err)
		}
		switch whole := hmac.Equal([]byte(e.Hash), []byte(l.hash(before.Hash, &e))); {
		case e.Sequence == before.Sequence:
			fault("line %d is there twice", e.Sequence)
			continue
		case e.Sequence == before.Sequence+2:
			fault("line %d is missing", e.Sequence-1)
		case e.Sequence != before.Sequence+1:
			fault("lines %d–%d are missing", before.Sequence+1, e.Sequence-1)
		case !whole:
			fault("line %d is not as it was written", e.Sequence)
		}
		before = e.Head()
		if _, wanted := known[before]; wanted {
			seen[before] = true
		}
	}
	var lost []AuditHead
	for h := range known {
		if !seen[h] && h != (AuditHead{}) {
			lost = append(lost, h)
		}
	}
	slices.SortFunc(lost, func(x, y AuditHead) int {
		return cmp.Or(cmp.Compare(x.Sequence, y.Sequence), cmp.Compare(x.Hash, y.Hash))
	})
	for _, h := range lost {
		if h.Sequence > before.Sequence {
			fault("the log ends with line %d, but %s has seen line %d", before.Sequence, known[h], h.Sequence)
		} else {
			fault("line %d is not the one that %s has seen", h.Sequence, known[h])
		}
	}
	return before, faults, nil
}
