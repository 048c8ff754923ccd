package embeddedarchive

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/canyu/canyu"
)

// Salt implements canyu.Archive.
func (a *Archive) Salt(ctx context.Context, activity string) ([]byte, error) {
	salt, err := saltOf(ctx, a.read, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read the salt: %w", err)
	}
	return salt, nil
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func saltOf(ctx context.Context, q rowQuerier, activity string) ([]byte, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT salt FROM salts WHERE activity = ?`, activity).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(text)
}

// MakeSalt implements canyu.Archive.
func (a *Archive) MakeSalt(ctx context.Context, activity string, salt []byte) (kept []byte, err error) {
	err = a.transact(ctx, func(tx *sql.Tx) error {
		if err := takes(ctx, tx, activity); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO salts (activity, salt) VALUES (?, ?) ON CONFLICT DO NOTHING`, activity, hex.EncodeToString(salt)); err != nil {
			return err
		}
		kept, err = saltOf(ctx, tx, activity)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot store the salt: %w", err)
	}
	return kept, nil
}

// takes is ErrPurged where nothing is taken any more.
func takes(ctx context.Context, q rowQuerier, activity string) error {
	p, err := purgedOf(ctx, q, activity)
	if err == nil && !p.Participants.IsZero() {
		err = canyu.ErrPurged
	}
	return err
}

// takesBare are rs as they may be stored: without their messages, if those are purged.
func takesBare(ctx context.Context, q rowQuerier, activity string, rs []canyu.Recorded) ([]canyu.Recorded, error) {
	p, err := purgedOf(ctx, q, activity)
	if err != nil {
		return nil, err
	}
	return p.Takes(rs)
}

// Purged implements canyu.Archive.
func (a *Archive) Purged(ctx context.Context, activity string) (canyu.Purged, error) {
	p, err := purgedOf(ctx, a.read, activity)
	if err != nil {
		return canyu.Purged{}, fmt.Errorf("cannot read how far the purge has come: %w", err)
	}
	return p, nil
}

func purgedOf(ctx context.Context, q rowQuerier, activity string) (p canyu.Purged, err error) {
	times := []*time.Time{&p.Announced, &p.Ordered, &p.Messages, &p.MessagesDone, &p.Participants, &p.ParticipantsDone}
	var ms [6]int64
	err = q.QueryRowContext(ctx, `SELECT announced, ordered, messages, messages_done, participants, participants_done FROM purges WHERE activity = ?`,
		activity).Scan(&ms[0], &ms[1], &ms[2], &ms[3], &ms[4], &ms[5])
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	for i, n := range ms {
		if n != 0 {
			*times[i] = milli(n)
		}
	}
	return p, err
}

// SetPurged implements canyu.Archive.
func (a *Archive) SetPurged(ctx context.Context, activity string, p canyu.Purged) error {
	args := []any{activity}
	for _, t := range []time.Time{p.Announced, p.Ordered, p.Messages, p.MessagesDone, p.Participants, p.ParticipantsDone} {
		ms := int64(0)
		if !t.IsZero() {
			ms = t.UnixMilli()
		}
		args = append(args, ms)
	}
	_, err := a.write.ExecContext(ctx, `INSERT OR REPLACE INTO purges
		(activity, announced, ordered, messages, messages_done, participants, participants_done) VALUES (?, ?, ?, ?, ?, ?, ?)`, args...)
	if err != nil {
		return fmt.Errorf("cannot write how far the purge has come: %w", err)
	}
	return nil
}

// SetRollups implements canyu.Archive.
func (a *Archive) SetRollups(ctx context.Context, activity string, rs []canyu.Rollup) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, r := range rs {
			var id int64
			if err := tx.StmtContext(ctx, a.store.group).QueryRowContext(ctx, activity, int64(r.Class.School), r.Class.Grade, r.Class.Number, r.Role).Scan(&id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO rollups (class_role, day, participants, submissions) VALUES (?, ?, ?, ?)`,
				id, int64(r.Day), r.Participants, r.Submissions); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot set rollups: %w", err)
	}
	return nil
}

const ofActivity = ` WHERE class_role IN (SELECT id FROM groups WHERE activity = ?)`

// PurgeMessages implements canyu.Archive.
func (a *Archive) PurgeMessages(ctx context.Context, activity string) error {
	return a.destroy(ctx,
		statement{`UPDATE submissions SET message = ''` + ofActivity + ` AND message <> ''`, []any{activity}},
		statement{`UPDATE held SET message = ''` + ofActivity + ` AND message <> ''`, []any{activity}},
		statement{`DELETE FROM wall WHERE activity = ?`, []any{activity}})
}

// PurgeParticipants implements canyu.Archive.
func (a *Archive) PurgeParticipants(ctx context.Context, activity string) error {
	return a.destroy(ctx,
		statement{`DELETE FROM salts WHERE activity = ?`, []any{activity}},
		statement{`DELETE FROM participants` + ofActivity, []any{activity}},
		statement{`DELETE FROM submissions` + ofActivity, []any{activity}},
		statement{`DELETE FROM held` + ofActivity, []any{activity}},
		statement{`DELETE FROM wall WHERE activity = ?`, []any{activity}})
}

type statement struct {
	text string
	args []any
}

// destroy runs statements, and then leaves nothing of what they removed in the file:
// SQLite keeps it in free pages and in the write-ahead log.
func (a *Archive) destroy(ctx context.Context, statements ...statement) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = patiently(ctx, func() error {
			_, err := a.write.ExecContext(ctx, "VACUUM")
			return err
		})
	}
	if err == nil {
		err = a.truncate(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot destroy it: %w", err)
	}
	return nil
}

// truncate empties the write-ahead log, which waits for those who still read what was.
func (a *Archive) truncate(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); ; {
		var busy, pages, moved int
		if err := a.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
			return err
		}
		if busy == 0 {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("somebody reads the archive all the time: the write-ahead log still has it")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
