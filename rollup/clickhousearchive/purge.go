package clickhousearchive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Salt implements canyu.Archive.
func (a *Archive) Salt(ctx context.Context, activity string) ([]byte, error) {
	var text string
	server, err := a.exactOne(ctx, "salts")
	if err == nil {
		err = server.QueryRow(ctx, "SELECT argMin(salt, at) FROM salts WHERE activity = ?", activity).Scan(&text)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the salt: %w", err)
	}
	if text == "" {
		return nil, nil
	}
	salt, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read the salt: %w", err)
	}
	return salt, nil
}

// MakeSalt implements canyu.Archive.
func (a *Archive) MakeSalt(ctx context.Context, activity string, salt []byte) ([]byte, error) {
	if err := a.takes(ctx, activity); err != nil {
		return nil, err
	}
	if kept, err := a.Salt(ctx, activity); err != nil || kept != nil {
		return kept, err
	}
	err := a.insert(ctx, "salts", "activity, salt, at", []string{activity}, []string{hex.EncodeToString(salt)}, []int64{a.now().UnixMicro()})
	if err != nil {
		return nil, fmt.Errorf("cannot store the salt: %w", err)
	}
	return a.Salt(ctx, activity)
}

// takes is ErrPurged where nothing is taken any more.
func (a *Archive) takes(ctx context.Context, activity string) error {
	p, err := a.Purged(ctx, activity)
	if err == nil && !p.Participants.IsZero() {
		err = canyu.ErrPurged
	}
	return err
}

// Purged implements canyu.Archive.
func (a *Archive) Purged(ctx context.Context, activity string) (p canyu.Purged, err error) {
	times := []*time.Time{&p.Announced, &p.Ordered, &p.Messages, &p.MessagesDone, &p.Participants, &p.ParticipantsDone}
	var ms [6]int64
	server, err := a.exactOne(ctx, "purges")
	if err == nil {
		err = server.QueryRow(ctx, `SELECT argMax(announced, version), argMax(ordered, version), argMax(messages, version), argMax(messages_done, version),
			argMax(participants, version), argMax(participants_done, version) FROM purges WHERE activity = ?`, activity).
			Scan(&ms[0], &ms[1], &ms[2], &ms[3], &ms[4], &ms[5])
	}
	if err != nil {
		return p, fmt.Errorf("cannot read how far the purge has come: %w", err)
	}
	for i, n := range ms {
		if n != 0 {
			*times[i] = time.UnixMilli(n).UTC()
		}
	}
	return p, nil
}

// SetPurged implements canyu.Archive.
func (a *Archive) SetPurged(ctx context.Context, activity string, p canyu.Purged) error {
	previous, err := a.newestVersion(ctx, "purges", "activity = ?", activity)
	if err == nil {
		values := []any{[]string{activity}}
		for _, t := range []time.Time{p.Announced, p.Ordered, p.Messages, p.MessagesDone, p.Participants, p.ParticipantsDone} {
			ms := int64(0)
			if !t.IsZero() {
				ms = t.UnixMilli()
			}
			values = append(values, []int64{ms})
		}
		err = a.insert(ctx, "purges", "activity, announced, ordered, messages, messages_done, participants, participants_done, version",
			append(values, []uint64{a.version(previous)})...)
	}
	if err != nil {
		return fmt.Errorf("cannot write how far the purge has come: %w", err)
	}
	return nil
}

// SetRollups implements canyu.Archive.
func (a *Archive) SetRollups(ctx context.Context, activity string, rs []canyu.Rollup) error {
	if len(rs) == 0 {
		return nil
	}
	previous, err := a.newestVersion(ctx, "rollups", "activity = ?", activity)
	if err == nil {
		var f facts
		var participants, submissions, versions []uint64
		for _, r := range rs {
			f.add(activity, &canyu.Recorded{Participation: canyu.Participation{Class: r.Class, Role: r.Role, Day: r.Day}})
			participants, submissions = append(participants, uint64(r.Participants)), append(submissions, uint64(r.Submissions))
			versions = append(versions, a.version(previous))
		}
		err = a.insert(ctx, "rollups", groupColumns+", day, participants, submissions, version",
			append(f.group(), f.day, participants, submissions, versions)...)
	}
	if err != nil {
		return fmt.Errorf("cannot set rollups: %w", err)
	}
	return nil
}

// PurgeMessages implements canyu.Archive.
func (a *Archive) PurgeMessages(ctx context.Context, activity string) error {
	err := a.mutate(ctx, "submissions", "UPDATE message = '' WHERE activity = ? AND message != ''", activity)
	if err == nil {
		err = a.mutate(ctx, "held", "UPDATE message = '' WHERE activity = ? AND message != ''", activity)
	}
	if err == nil {
		err = a.drop(ctx, activity, "wall")
	}
	if err != nil {
		return fmt.Errorf("cannot destroy the messages: %w", err)
	}
	return nil
}

// PurgeParticipants implements canyu.Archive. ClickHouse keeps the files of what was
// dropped for some minutes (old_parts_lifetime).
func (a *Archive) PurgeParticipants(ctx context.Context, activity string) error {
	if err := a.drop(ctx, activity, "salts", "participants", "submissions", "held", "wall"); err != nil {
		return fmt.Errorf("cannot destroy the participants: %w", err)
	}
	return nil
}

// drop drops an activity from tables whose partitions are activities.
func (a *Archive) drop(ctx context.Context, activity string, tables ...string) error {
	for _, table := range tables {
		servers, err := a.exact(ctx, table)
		for i := 0; err == nil && i < len(servers); i++ {
			err = servers[i].Exec(ctx, "ALTER TABLE "+a.local(table)+" DROP PARTITION ?", activity)
		}
		if err != nil {
			return err
		}
		a.copied(ctx, table)
	}
	return nil
}

const mutationPatience = 10 * time.Minute

// mutate changes rows where they are, which ClickHouse does in its own time, and waits
// for it. It may be repeated.
func (a *Archive) mutate(ctx context.Context, table, what string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, mutationPatience)
	defer cancel()
	servers, err := a.exact(ctx, table)
	for i := 0; err == nil && i < len(servers); i++ {
		err = mutate(ctx, servers[i], a.local(table), what, args...)
	}
	if err == nil {
		a.copied(ctx, table)
	}
	return err
}

func mutate(ctx context.Context, server driver.Conn, table, what string, args ...any) error {
	if err := server.Exec(ctx, "ALTER TABLE "+table+" "+what, args...); err != nil {
		return err
	}
	for {
		var left uint64
		err := server.QueryRow(ctx, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = ? AND is_done = 0", table).Scan(&left)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("ClickHouse has not finished it: see system.mutations")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
