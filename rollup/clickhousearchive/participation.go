package clickhousearchive

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Rows of one INSERT: a block that becomes one part.
const rowsPerInsert = 250_000

// Store implements canyu.Archive.
func (a *Archive) Store(ctx context.Context, activity string, rs []canyu.Recorded) error {
	p, err := a.Purged(ctx, activity)
	if err == nil {
		rs, err = p.Takes(rs)
	}
	if err != nil {
		return fmt.Errorf("cannot store participations: %w", err)
	}
	for chunk := range slices.Chunk(rs, rowsPerInsert) {
		var submissions, participants facts
		submissions.grow(len(chunk))
		participants.grow(len(chunk))
		for i := range chunk {
			if chunk[i].Held != canyu.Unsuspected {
				continue
			}
			submissions.add(activity, &chunk[i])
			if chunk[i].Counted {
				participants.add(activity, &chunk[i])
			}
		}
		err := a.storeHeld(ctx, activity, chunk)
		if err == nil && len(submissions.activity) > 0 {
			err = a.insert(ctx, "submissions", groupColumns+", participant, id, at, day, message",
				append(submissions.group(), submissions.participant, submissions.id, submissions.at, submissions.day, submissions.message)...)
		}
		if err == nil && len(participants.activity) > 0 {
			err = a.insert(ctx, "participants", groupColumns+", participant, at, day, ordinal",
				append(participants.group(), participants.participant, participants.at, participants.day, participants.ordinal)...)
		}
		if err != nil {
			return fmt.Errorf("cannot store participations: %w", err)
		}
	}
	return nil
}

const groupColumns = "activity, school, grade, class, role"

// facts are rows as columns, the way ClickHouse takes them.
type facts struct {
	activity                         []string
	school, participant, id, ordinal []uint64
	grade, role                      []uint8
	class                            []uint16
	at                               []int64
	day                              []time.Time
	message                          []string
}

func (f *facts) grow(n int) {
	f.activity, f.message = make([]string, 0, n), make([]string, 0, n)
	f.school, f.participant, f.id, f.ordinal = make([]uint64, 0, n), make([]uint64, 0, n), make([]uint64, 0, n), make([]uint64, 0, n)
	f.grade, f.role, f.class = make([]uint8, 0, n), make([]uint8, 0, n), make([]uint16, 0, n)
	f.at, f.day = make([]int64, 0, n), make([]time.Time, 0, n)
}

func (f *facts) add(activity string, r *canyu.Recorded) {
	f.activity = append(f.activity, activity)
	f.school = append(f.school, uint64(r.Class.School))
	f.grade = append(f.grade, r.Class.Grade)
	f.class = append(f.class, r.Class.Number)
	f.role = append(f.role, uint8(r.Role))
	f.participant = append(f.participant, uint64(r.Participant))
	f.id = append(f.id, r.ID)
	f.at = append(f.at, r.At.UnixMilli())
	f.day = append(f.day, date(r.Day))
	f.message = append(f.message, r.Message)
	f.ordinal = append(f.ordinal, r.Ordinal)
}

func (f *facts) group() []any { return []any{f.activity, f.school, f.grade, f.class, f.role} }

// Participants implements canyu.Archive. The rows have no submission ID and no
// message.
func (a *Archive) Participants(ctx context.Context, activity string) iter.Seq2[canyu.Recorded, error] {
	return func(yield func(canyu.Recorded, error) bool) {
		servers, err := a.exact(ctx, "participants")
		for i := 0; err == nil && i < len(servers); i++ {
			err = a.participants(ctx, servers[i], activity, func(r canyu.Recorded) bool { return yield(r, nil) })
		}
		if err != nil && err != errStopped { //nolint:errorlint // its own
			yield(canyu.Recorded{}, fmt.Errorf("cannot read participants: %w", err))
		}
	}
}

func (a *Archive) participants(ctx context.Context, server driver.Conn, activity string, yield func(canyu.Recorded) bool) error {
	rows, err := server.Query(ctx, `SELECT school, grade, class, role, participant, at, toUInt16(day), ordinal
		FROM `+a.local("participants")+` FINAL WHERE activity = ?`, activity)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r := canyu.Recorded{Outcome: canyu.Outcome{Counted: true}}
		var g groupRow
		var participant uint64
		var at int64
		var day uint16
		if err := rows.Scan(&g.school, &g.grade, &g.class, &g.role, &participant, &at, &day, &r.Ordinal); err != nil {
			return err
		}
		r.Class, r.Role = g.get()
		r.Participant, r.At, r.Day = canyu.Participant(participant), time.UnixMilli(at).UTC(), canyu.Day(day)
		if !yield(r) {
			return errStopped
		}
	}
	return rows.Err()
}

// groupRow is a class and role as ClickHouse has them.
type groupRow struct {
	school      uint64
	grade, role uint8
	class       uint16
}

func (g groupRow) get() (canyu.Class, canyu.Role) {
	return canyu.Class{School: canyu.SchoolCode(g.school), Grade: g.grade, Number: g.class}, canyu.Role(g.role)
}

// Messages implements canyu.Archive.
func (a *Archive) Messages(ctx context.Context, activity string, schools []canyu.SchoolCode, day canyu.Day, limit int) ([]canyu.Message, error) {
	var all []canyu.Message
	for _, condition := range inSchools(schools) {
		// The day is looked at after FINAL has chosen the row that stays.
		rows, err := a.conn.Query(ctx, `SELECT school, grade, class, role, at, message FROM (
				SELECT school, grade, class, role, participant, id, at, day, message FROM submissions FINAL WHERE activity = ? AND `+condition+`)
			WHERE toUInt16(day) = ? AND message != ''
			ORDER BY at, school, grade, class, role, participant, id LIMIT `+fmt.Sprint(max(limit, 0)), activity, uint16(day))
		if err != nil {
			return nil, fmt.Errorf("cannot read messages: %w", err)
		}
		for rows.Next() {
			var g groupRow
			var at int64
			var m canyu.Message
			if err := rows.Scan(&g.school, &g.grade, &g.class, &g.role, &at, &m.Text); err != nil {
				return nil, fmt.Errorf("cannot read messages: %w", err)
			}
			m.Class, m.Role = g.get()
			m.At = time.UnixMilli(at).UTC()
			all = append(all, m)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("cannot read messages: %w", err)
		}
	}
	slices.SortStableFunc(all, func(x, y canyu.Message) int { return x.At.Compare(y.At) })
	return all[:min(len(all), max(limit, 0))], nil
}
