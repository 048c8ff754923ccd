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

// storeHeld stores what of rs is held apart.
func (a *Archive) storeHeld(ctx context.Context, activity string, rs []canyu.Recorded) error {
	var held facts
	var why []uint8
	for i := range rs {
		if rs[i].Held != canyu.Unsuspected {
			held.add(activity, &rs[i])
			why = append(why, uint8(rs[i].Held))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return a.insert(ctx, "held", groupColumns+", participant, id, at, day, why, message",
		append(held.group(), held.participant, held.id, held.at, held.day, why, held.message)...)
}

// heldKey is what makes two submissions the same; with ID 0, a participant.
type heldKey struct {
	group           groupRow
	participant, id uint64
}

// moment is when somebody came.
type moment struct {
	at  int64
	day uint16
}

// Held implements canyu.Archive. Who of them counts already is asked for first: one
// who does meanwhile is held as not counted, until the next question.
func (a *Archive) Held(ctx context.Context, activity string, schools []canyu.SchoolCode) iter.Seq2[canyu.HeldSubmission, error] {
	return func(yield func(canyu.HeldSubmission, error) bool) {
		for _, condition := range inSchools(schools) {
			among := " FINAL WHERE activity = ? AND " + condition + " AND participant GLOBAL IN (SELECT participant FROM held WHERE activity = ? AND " + condition + ")"
			counted, err := a.heldKeys(ctx, "SELECT school, grade, class, role, participant, toUInt64(0), at, toUInt16(day) FROM participants"+among, activity)
			var known map[heldKey]moment
			if err == nil {
				known, err = a.heldKeys(ctx, "SELECT school, grade, class, role, participant, id, at, toUInt16(day) FROM submissions"+among, activity)
			}
			if err == nil {
				err = a.heldRows(ctx, activity, condition, counted, known, func(s canyu.HeldSubmission) bool { return yield(s, nil) })
			}
			switch {
			case err == errStopped: //nolint:errorlint // its own
				return
			case err != nil:
				yield(canyu.HeldSubmission{}, fmt.Errorf("cannot read what is held: %w", err))
				return
			}
		}
	}
}

func (a *Archive) heldKeys(ctx context.Context, query, activity string) (map[heldKey]moment, error) {
	rows, err := a.conn.Query(ctx, query, activity, activity)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	keys := make(map[heldKey]moment)
	for rows.Next() {
		var k heldKey
		var m moment
		if err := rows.Scan(&k.group.school, &k.group.grade, &k.group.class, &k.group.role, &k.participant, &k.id, &m.at, &m.day); err != nil {
			return nil, err
		}
		keys[k] = m
	}
	return keys, rows.Err()
}

var errStopped = fmt.Errorf("nobody reads on")

func (a *Archive) heldRows(ctx context.Context, activity, condition string, counted, known map[heldKey]moment, yield func(canyu.HeldSubmission) bool) error {
	rows, err := a.conn.Query(ctx, `SELECT school, grade, class, role, participant, id, at, toUInt16(day), why
		FROM held FINAL WHERE activity = ? AND `+condition, activity)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k heldKey
		var at int64
		var day uint16
		var why uint8
		if err := rows.Scan(&k.group.school, &k.group.grade, &k.group.class, &k.group.role, &k.participant, &k.id, &at, &day, &why); err != nil {
			return err
		}
		s := canyu.HeldSubmission{Participant: canyu.Participant(k.participant), ID: k.id, At: time.UnixMilli(at).UTC()}
		_, s.Known = known[k]
		if m, ok := counted[heldKey{k.group, k.participant, 0}]; ok {
			s.Counted, s.CountedAt, s.CountedOn = true, time.UnixMilli(m.at).UTC(), canyu.Day(m.day)
		}
		s.Class, s.Role = k.group.get()
		s.Day, s.Why = canyu.Day(day), canyu.Suspicion(why)
		if !yield(s) {
			return errStopped
		}
	}
	return rows.Err()
}

// HeldDecisions implements canyu.Archive.
func (a *Archive) HeldDecisions(ctx context.Context, activity string, schools []canyu.SchoolCode) ([]canyu.HeldDecision, error) {
	var all []canyu.HeldDecision
	for _, condition := range inSchools(schools) {
		rows, err := a.conn.Query(ctx, `SELECT school, grade, class, toUInt16(day), why, state, until, decider, decided
			FROM held_decisions FINAL WHERE activity = ? AND `+condition, activity)
		if err == nil {
			all, err = appendDecisions(all, rows)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read what was decided about held submissions: %w", err)
		}
	}
	slices.SortFunc(all, func(x, y canyu.HeldDecision) int { return x.Compare(y.HeldCase) })
	return all, nil
}

func appendDecisions(all []canyu.HeldDecision, rows driver.Rows) ([]canyu.HeldDecision, error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d canyu.HeldDecision
		var g groupRow
		var day uint16
		var why, state uint8
		var until, decided int64
		if err := rows.Scan(&g.school, &g.grade, &g.class, &day, &why, &state, &until, &d.By, &decided); err != nil {
			return nil, err
		}
		d.Class, _ = g.get()
		d.Day, d.Why, d.State = canyu.Day(day), canyu.Suspicion(why), canyu.HeldState(state)
		d.Until, d.At = time.UnixMilli(until).UTC(), time.UnixMilli(decided).UTC()
		all = append(all, d)
	}
	return all, rows.Err()
}

// DecideHeld implements canyu.Archive.
func (a *Archive) DecideHeld(ctx context.Context, activity string, ds []canyu.HeldDecision) error {
	if len(ds) == 0 {
		return nil
	}
	var activities, deciders []string
	var schools []uint64
	var grades, whys, states []uint8
	var classes []uint16
	var days []time.Time
	var untils, decided []int64
	for _, d := range ds {
		activities, deciders = append(activities, activity), append(deciders, d.By)
		schools, grades, classes = append(schools, uint64(d.Class.School)), append(grades, d.Class.Grade), append(classes, d.Class.Number)
		days, whys, states = append(days, date(d.Day)), append(whys, uint8(d.Why)), append(states, uint8(d.State))
		untils, decided = append(untils, d.Until.UnixMilli()), append(decided, d.At.UnixMilli())
	}
	err := a.insert(ctx, "held_decisions", "activity, school, grade, class, day, why, state, until, decider, decided",
		activities, schools, grades, classes, days, whys, states, untils, deciders, decided)
	if err != nil {
		return fmt.Errorf("cannot store what was decided about held submissions: %w", err)
	}
	return nil
}
