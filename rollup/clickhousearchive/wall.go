package clickhousearchive

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// messages are the submissions that left one, with canyu.Participation.Key.
func messages(condition string) string {
	return `SELECT * FROM (SELECT school, grade, class, role, at, message,
			bitShiftRight(reinterpretAsUInt64(SHA256(concat(toString(school), '/', toString(grade), '/', toString(class), '/', toString(role),
				'/', toString(participant), '/', toString(id), '/', message))), 1) AS key
		FROM (SELECT school, grade, class, role, participant, id, at, message FROM submissions FINAL WHERE activity = ? AND ` + condition + `)
		WHERE message != '')
		WHERE key NOT IN (SELECT key FROM wall WHERE activity = ? AND ` + condition + `)`
}

// Wall implements canyu.Archive.
func (a *Archive) Wall(ctx context.Context, activity string, q canyu.WallQuery) ([]canyu.WallMessage, error) {
	if q.Keys != nil && len(q.Keys) == 0 {
		return nil, nil
	}
	newest := q.State == canyu.Shown || q.State == canyu.Hidden
	then, order := ">", "at, key"
	if newest {
		then, order = "<", "at DESC, key"
	}
	where := "1"
	if q.Keys != nil {
		where = "key IN (" + strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d", q.Keys), "[]"), " ", ",") + ")"
	}
	if q.After != (canyu.WallPlace{}) {
		at := q.After.At.UnixMilli()
		where += fmt.Sprintf(" AND (at %s %d OR at = %d AND key > %d)", then, at, at, q.After.Key)
	}
	limit := max(q.Limit, 0)
	var all []canyu.WallMessage
	for _, condition := range inSchools(q.Schools) {
		from, args := `SELECT school, grade, class, role, at, message, key, state, reason, decider, decided FROM wall FINAL WHERE activity = ? AND `+condition, []any{activity}
		decision := fmt.Sprintf("state = %d AND ", q.State)
		columns := "state, reason, decider, decided"
		if q.State == canyu.Waiting {
			from, args, decision, columns = messages(condition), []any{activity, activity}, "", "toUInt8(0), '', '', toInt64(0)"
		}
		// State and place are looked at after FINAL has chosen the row that stays.
		var err error
		all, err = a.appendWall(ctx, all, `SELECT school, grade, class, role, at, message, key, `+columns+` FROM (`+from+`)
			WHERE `+decision+where+` ORDER BY `+order+` LIMIT `+fmt.Sprint(limit), args...)
		if err != nil {
			return nil, fmt.Errorf("cannot read the wall: %w", err)
		}
	}
	slices.SortFunc(all, func(x, y canyu.WallMessage) int {
		byTime := x.At.Compare(y.At)
		if newest {
			byTime = -byTime
		}
		return cmp.Or(byTime, cmp.Compare(x.Key, y.Key))
	})
	return all[:min(len(all), limit)], nil
}

func (a *Archive) appendWall(ctx context.Context, all []canyu.WallMessage, query string, args ...any) ([]canyu.WallMessage, error) {
	rows, err := a.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var g groupRow
		var m canyu.WallMessage
		var at, decided int64
		var key uint64
		var state uint8
		if err := rows.Scan(&g.school, &g.grade, &g.class, &g.role, &at, &m.Text, &key, &state, &m.Reason, &m.By, &decided); err != nil {
			return nil, err
		}
		m.Class, m.Role = g.get()
		m.At, m.Key, m.State = time.UnixMilli(at).UTC(), canyu.MessageKey(key), canyu.WallState(state)
		if m.State != canyu.Waiting {
			m.Decided = time.UnixMilli(decided).UTC()
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// WallCounts implements canyu.Archive.
func (a *Archive) WallCounts(ctx context.Context, activity string, schools []canyu.SchoolCode) (map[canyu.WallState]int, error) {
	all := make(map[canyu.WallState]int)
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT s, count() FROM (
				SELECT state AS s FROM (SELECT school, key, state FROM wall FINAL WHERE activity = ? AND `+condition+`)
				UNION ALL
				SELECT toUInt8(0) AS s FROM (`+messages(condition)+`))
			GROUP BY s`, activity, activity, activity)
		if err != nil {
			return nil, fmt.Errorf("cannot count the wall's messages: %w", err)
		}
		for rows.Next() {
			var state uint8
			var n uint64
			if err := rows.Scan(&state, &n); err != nil {
				return nil, fmt.Errorf("cannot count the wall's messages: %w", err)
			}
			all[canyu.WallState(state)] += int(n)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot count the wall's messages: %w", err)
		}
	}
	return all, nil
}

// Decide implements canyu.Archive.
func (a *Archive) Decide(ctx context.Context, activity string, ms []canyu.WallMessage) error {
	if len(ms) == 0 {
		return nil
	}
	var activities, texts, reasons, deciders []string
	var schools, keys []uint64
	var grades, roles, states []uint8
	var classes []uint16
	var ats, decided []int64
	for _, m := range ms {
		activities, texts, reasons, deciders = append(activities, activity), append(texts, m.Text), append(reasons, m.Reason), append(deciders, m.By)
		schools, keys = append(schools, uint64(m.Class.School)), append(keys, uint64(m.Key))
		grades, roles, states = append(grades, m.Class.Grade), append(roles, uint8(m.Role)), append(states, uint8(m.State))
		classes, ats, decided = append(classes, m.Class.Number), append(ats, m.At.UnixMilli()), append(decided, m.Decided.UnixMilli())
	}
	err := a.insert(ctx, "wall", "activity, school, key, grade, class, role, at, message, state, reason, decider, decided",
		activities, schools, keys, grades, classes, roles, ats, texts, states, reasons, deciders, decided)
	if err != nil {
		return fmt.Errorf("cannot store what was decided about messages: %w", err)
	}
	return nil
}

// SetWallSwitch implements canyu.Archive.
func (a *Archive) SetWallSwitch(ctx context.Context, activity string, s canyu.WallSwitch) error {
	off := uint8(0)
	if s.Off {
		off = 1
	}
	err := a.insert(ctx, "wall_switches", "activity, region, off, decider, at",
		[]string{activity}, []uint32{uint32(s.Region)}, []uint8{off}, []string{s.By}, []int64{s.At.UnixMilli()})
	if err != nil {
		return fmt.Errorf("cannot switch the wall: %w", err)
	}
	return nil
}

// WallSwitches implements canyu.Archive.
func (a *Archive) WallSwitches(ctx context.Context, activity string) ([]canyu.WallSwitch, error) {
	rows, err := a.conn.Query(ctx, `SELECT region, off, decider, at FROM wall_switches FINAL WHERE activity = ? ORDER BY region`, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read the wall's switches: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []canyu.WallSwitch
	for rows.Next() {
		var s canyu.WallSwitch
		var region uint32
		var off uint8
		var at int64
		if err := rows.Scan(&region, &off, &s.By, &at); err != nil {
			return nil, fmt.Errorf("cannot read the wall's switches: %w", err)
		}
		s.Region, s.Off, s.At = canyu.Region(region), off == 1, time.UnixMilli(at).UTC()
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the wall's switches: %w", err)
	}
	return all, nil
}
