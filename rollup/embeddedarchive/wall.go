package embeddedarchive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/canyu/canyu"
	"modernc.org/sqlite"
)

// SQLite has no hash of its own.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("message_key", 7, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		var n [6]int64
		for i := range n {
			v, ok := args[i].(int64)
			if !ok {
				return nil, fmt.Errorf("message_key: argument %d is no number", i+1)
			}
			n[i] = v
		}
		text, ok := args[6].(string)
		if !ok {
			return nil, nil // no text, no key
		}
		p := canyu.Participation{
			Class:       canyu.Class{School: canyu.SchoolCode(n[0]), Grade: uint8(n[1]), Number: uint16(n[2])},
			Role:        canyu.Role(n[3]),
			Participant: canyu.Participant(n[4]),
			ID:          uint64(n[5]),
			Message:     text,
		}
		return int64(p.Key()), nil
	})
}

const messageKey = `message_key(g.school, g.grade, g.class, g.role, s.participant, s.id, s.message)`

// Wall implements canyu.Archive.
func (a *Archive) Wall(ctx context.Context, activity string, q canyu.WallQuery) ([]canyu.WallMessage, error) {
	where, list := inSchools(q.Schools)
	// g stands for the class, s for the message.
	query := `SELECT g.school, g.grade, g.class, g.role, g.at, g.message, g.state, g.reason, g.decider, g.decided, g.key AS k
		FROM wall g WHERE g.activity = ? AND g.state = ?` + where
	args := append([]any{activity, q.State}, list...)
	if q.State == canyu.Waiting {
		query = `SELECT g.school, g.grade, g.class, g.role, s.at AS at, s.message, 0, '', '', 0, ` + messageKey + ` AS k
			FROM groups g CROSS JOIN submissions s ON s.class_role = g.id
			WHERE g.activity = ? AND s.message <> ''` + where + ` AND k NOT IN (SELECT w.key FROM wall w WHERE w.activity = ?)`
		args = append(append([]any{activity}, list...), activity)
	}
	if q.Keys != nil {
		keys := make([]uint64, len(q.Keys))
		for i, k := range q.Keys {
			keys[i] = uint64(k)
		}
		text, _ := json.Marshal(keys) // numbers cannot fail
		query += ` AND k IN (SELECT value FROM json_each(?))`
		args = append(args, string(text))
	}
	then, order := ">", "at, k"
	if q.State == canyu.Shown || q.State == canyu.Hidden {
		then, order = "<", "at DESC, k"
	}
	if q.After != (canyu.WallPlace{}) {
		at := q.After.At.UnixMilli()
		query += fmt.Sprintf(` AND (at %s ? OR at = ? AND k > ?)`, then)
		args = append(args, at, at, int64(q.After.Key))
	}
	ms, err := collect(ctx, a.read, scanWall, query+` ORDER BY `+order+` LIMIT ?`, append(args, max(q.Limit, 0))...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the wall: %w", err)
	}
	return ms, nil
}

func scanWall(rows *sql.Rows, m *canyu.WallMessage) error {
	var at, decided, key int64
	err := rows.Scan(&m.Class.School, &m.Class.Grade, &m.Class.Number, &m.Role, &at, &m.Text, &m.State, &m.Reason, &m.By, &decided, &key)
	m.At, m.Key = milli(at), canyu.MessageKey(key)
	if m.State != canyu.Waiting {
		m.Decided = milli(decided)
	}
	return err
}

// WallCounts implements canyu.Archive.
func (a *Archive) WallCounts(ctx context.Context, activity string, schools []canyu.SchoolCode) (map[canyu.WallState]int, error) {
	where, list := inSchools(schools)
	args := append([]any{activity}, list...)
	type counted struct {
		state canyu.WallState
		n     int
	}
	counts, err := collect(ctx, a.read, func(rows *sql.Rows, c *counted) error { return rows.Scan(&c.state, &c.n) },
		`SELECT g.state, count(*) FROM wall g WHERE g.activity = ?`+where+` GROUP BY g.state
		UNION ALL
		SELECT 0, count(*) FROM groups g CROSS JOIN submissions s ON s.class_role = g.id
		WHERE g.activity = ? AND s.message <> ''`+where+` AND `+messageKey+` NOT IN (SELECT w.key FROM wall w WHERE w.activity = ?)`,
		append(append(args, args...), activity)...)
	if err != nil {
		return nil, fmt.Errorf("cannot count the wall's messages: %w", err)
	}
	all := make(map[canyu.WallState]int)
	for _, c := range counts {
		all[c.state] += c.n
	}
	return all, nil
}

// Decide implements canyu.Archive.
func (a *Archive) Decide(ctx context.Context, activity string, ms []canyu.WallMessage) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, m := range ms {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO wall (activity, key, school, grade, class, role, at, message, state, reason, decider, decided)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason, decider = excluded.decider, decided = excluded.decided
				WHERE (excluded.decided, excluded.state) > (decided, state)`,
				activity, int64(m.Key), int64(m.Class.School), m.Class.Grade, m.Class.Number, m.Role, m.At.UnixMilli(), m.Text,
				m.State, m.Reason, m.By, m.Decided.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot store what was decided about messages: %w", err)
	}
	return nil
}

// SetWallSwitch implements canyu.Archive.
func (a *Archive) SetWallSwitch(ctx context.Context, activity string, s canyu.WallSwitch) error {
	_, err := a.write.ExecContext(ctx, `INSERT INTO wall_switches (activity, region, off, decider, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET off = excluded.off, decider = excluded.decider, at = excluded.at WHERE (excluded.at, excluded.off) > (at, off)`,
		activity, s.Region, s.Off, s.By, s.At.UnixMilli())
	if err != nil {
		return fmt.Errorf("cannot switch the wall: %w", err)
	}
	return nil
}

// WallSwitches implements canyu.Archive.
func (a *Archive) WallSwitches(ctx context.Context, activity string) ([]canyu.WallSwitch, error) {
	switches, err := collect(ctx, a.read, func(rows *sql.Rows, s *canyu.WallSwitch) error {
		var at int64
		err := rows.Scan(&s.Region, &s.Off, &s.By, &at)
		s.At = milli(at)
		return err
	}, `SELECT region, off, decider, at FROM wall_switches WHERE activity = ? ORDER BY region`, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read the wall's switches: %w", err)
	}
	return switches, nil
}
