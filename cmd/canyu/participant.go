package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/rollup"
)

type participantCommand struct {
	Export participantExport `cmd:"" help:"Print everything that is stored of one participant, as JSON."`
	Erase  participantErase  `cmd:"" help:"Destroy everything that is stored of one participant, and count the class anew. Frozen reports stay."`
}

// WhoFlags tell one participant.
type WhoFlags struct {
	Activity string `help:"Which activity. (default: the only one)" placeholder:"ID"`
	School   string `help:"School code, ten digits." required:"" placeholder:"CODE"`
	Grade    uint8  `help:"1–12." required:""`
	Class    uint16 `help:"Number of the class." required:""`
	Role     string `help:"student, parent, teacher or public." default:"student"`
	Seat     int    `help:"Seat number: of a student, or of a parent's child."`
	Name     string `help:"Name, where participants are told by name. - reads it from the first line of standard input: a command line can be seen by others." placeholder:"NAME"`
}

// find is who the flags tell, with the receipt that person was given.
func (f *WhoFlags) find(ctx context.Context, s *settings, e *engines, in io.Reader) (a *canyu.Activity, who rollup.Somebody, receipt string, err error) {
	if a, err = s.activity(f.Activity); err != nil {
		return nil, who, "", err
	}
	school, err := canyu.ParseSchoolCode(f.School)
	if err != nil {
		return nil, who, "", err
	}
	role, err := canyu.ParseRole(f.Role)
	if err != nil {
		return nil, who, "", err
	}
	name := f.Name
	if name == "-" {
		if name, err = bufio.NewReader(in).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return nil, who, "", fmt.Errorf("cannot read the name: %w", err)
		}
		name = strings.TrimSpace(name)
	}
	secret, err := s.secret()
	if err != nil {
		return nil, who, "", err
	}
	keys := ingest.Keys{Archive: e.archive, Secret: secret}
	who = rollup.Somebody{Activity: a.ID, Class: canyu.Class{School: school, Grade: f.Grade, Number: f.Class}, Role: role}
	who.Participant, receipt, err = keys.Participant(ctx, a, who.Class, role, f.Seat, name)
	return a, who, receipt, err
}

type participantExport struct {
	Flags
	WhoFlags
}

type exportedSubmission struct {
	At      string `json:"at"`
	Day     string `json:"day"`
	ID      string `json:"id"` // what the client called it, hashed
	Message string `json:"message,omitempty"`
	Held    string `json:"held,omitempty"` // why it is held apart
}

type exportedMessage struct {
	Message string `json:"message"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Decided string `json:"decided"`
}

// exported is what a guardian who asks is given.
type exported struct {
	Activity    string                `json:"activity"`
	School      canyu.SchoolCode      `json:"school"`
	Grade       uint8                 `json:"grade"`
	Class       uint16                `json:"class"`
	Role        canyu.Role            `json:"role"`
	Seat        int                   `json:"seat,omitempty"`
	Participant string                `json:"participant"` // the keyed hash that stands for the person
	Receipt     string                `json:"receipt"`     // not stored: derived
	Ledger      bool                  `json:"in_ledger"`
	CountedAt   string                `json:"counted_at,omitempty"`
	Ordinal     uint64                `json:"ordinal,omitempty"`
	Submissions []*exportedSubmission `json:"submissions"`
	Wall        []*exportedMessage    `json:"wall,omitempty"`
	DeadLetters []json.RawMessage     `json:"dead_letters,omitempty"` // of this machine
}

// Run prints it. What is in the log and not in the archive yet is carried there first.
func (c *participantExport) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	a, who, receipt, err := c.find(ctx, s, e, os.Stdin)
	if err != nil {
		return err
	}
	if err := s.drain(ctx, e, errOut); err != nil {
		return err
	}
	p, err := e.archive.Person(ctx, a.ID, who.Class, who.Role, who.Participant)
	if err != nil {
		return err
	}
	members, err := e.ledger.Participants(ctx, a.ID, who.Class, who.Role)
	if err != nil {
		return err
	}
	v := exported{Activity: a.ID, School: who.Class.School, Grade: who.Class.Grade, Class: who.Class.Number, Role: who.Role, Seat: c.Seat,
		Participant: fmt.Sprintf("%016x", uint64(who.Participant)), Receipt: receipt, Ledger: slices.Contains(members, who.Participant), Ordinal: p.Ordinal}
	when := func(t time.Time) string { return t.In(a.Zone).Format("2006-01-02T15:04:05.000Z07:00") }
	if p.Counted {
		v.CountedAt = when(p.At)
	}
	v.Submissions = []*exportedSubmission{}
	for _, x := range slices.Concat(p.Submissions, p.Held) {
		held := ""
		if x.Held != canyu.Unsuspected {
			held = x.Held.String()
		}
		v.Submissions = append(v.Submissions, &exportedSubmission{when(x.At), x.Day.String(), fmt.Sprintf("%016x", x.ID), x.Message, held})
	}
	for _, m := range p.Wall {
		v.Wall = append(v.Wall, &exportedMessage{m.Text, m.State.String(), m.Reason, when(m.Decided)})
	}
	if v.DeadLetters, err = rollup.InLetters(s.deadLetters(), who); err != nil {
		return err
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditExport, Activity: a.ID, Target: who.Class.String()}); err != nil {
		return err
	}
	w := json.NewEncoder(out)
	w.SetIndent("", "  ")
	w.SetEscapeHTML(false)
	return w.Encode(v)
}

type participantErase struct {
	Flags
	WhoFlags
}

// Run erases. The embedded ledger belongs to the server that runs.
func (c *participantErase) Run(ctx context.Context, out stdout, errOut stderr) error {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if e.beside {
		return fmt.Errorf("%w: stop it for this", canyu.ErrHeld)
	}
	a, who, _, err := c.find(ctx, s, e, os.Stdin)
	if err != nil {
		return err
	}
	if err := s.drain(ctx, e, errOut); err != nil {
		return err
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditErase, Activity: a.ID, Target: who.Class.String()}); err != nil {
		return err
	}
	erased, err := rollup.Erase(ctx, e.ledger, e.archive, who, s.deadLetters(), func(ctx context.Context) error { return s.drain(ctx, e, errOut) })
	if err != nil {
		return err
	}
	if erased == (rollup.Erased{}) {
		fmt.Fprintf(out, "activity %s: nothing is stored of this participant\n", a.ID)
		return nil
	}
	fmt.Fprintf(out, "activity %s: erased: counted %t, %d submissions, %d messages, %d dead letters; the class is counted anew. Frozen reports, older backups and a spool that still waits keep what they have: see deploy/DATA.md\n",
		a.ID, erased.Counted, erased.Submissions, erased.Messages, erased.Letters)
	return nil
}
