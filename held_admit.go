package canyu

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// EachAdmitted calls do for every held submission of the schools that a decision lets
// count, the earliest first; fresh says that its participant is counted by it. One who
// is Counted on a later day too is fresh, and not new on that day any more: what was
// told of a day stays true when those whom it tells of take part again.
func EachAdmitted(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, do func(s *HeldSubmission, fresh bool)) error {
	ds, err := a.HeldDecisions(ctx, activity, schools)
	if err != nil {
		return err
	}
	admitted := make(map[HeldCase]*HeldDecision)
	var in []SchoolCode
	for i := range ds {
		if ds[i].State == Admitted {
			admitted[ds[i].HeldCase] = &ds[i]
			in = append(in, ds[i].Class.School) // in order
		}
	}
	if len(in) == 0 {
		return nil
	}
	var all []HeldSubmission
	for s, err := range a.Held(ctx, activity, slices.Compact(in)) {
		if err != nil {
			return err
		}
		if d := admitted[s.HeldCase]; d != nil && d.covers(&s) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y HeldSubmission) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
	type person struct {
		class Class
		role  Role
		Participant
	}
	counted := make(map[person]bool)
	for i := range all {
		s := &all[i]
		p := person{s.Class, s.Role, s.Participant}
		do(s, !counted[p] && (!s.Counted || s.Day < s.CountedOn))
		counted[p] = true
	}
	return nil
}

type rollupKey struct {
	class Class
	role  Role
	day   Day
}

func (r *Rollup) key() rollupKey { return rollupKey{r.Class, r.Role, r.Day} }

// AdmittedRollups are what is admitted at the schools from day from to day to:
// participants, each on the day of the earliest admitted submission, and submissions
// that are not known already. Who counted on a later day is taken off there, so that a
// number may be below zero.
func AdmittedRollups(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day) ([]Rollup, error) {
	groups := make(map[rollupKey]*Rollup)
	add := func(s *HeldSubmission, day Day, participants, submissions int) {
		if day < from || day > to || participants == 0 && submissions == 0 {
			return
		}
		key := rollupKey{s.Class, s.Role, day}
		r := groups[key]
		if r == nil {
			r = &Rollup{Class: s.Class, Role: s.Role, Day: day}
			groups[key] = r
		}
		r.Admitted += participants
		r.Participants += participants
		r.AdmittedSubmissions += submissions
		r.Submissions += submissions
	}
	err := EachAdmitted(ctx, a, activity, schools, func(s *HeldSubmission, fresh bool) {
		participants, submissions := 0, 1
		if s.Known {
			submissions = 0
		}
		if fresh {
			participants = 1
			if s.Counted {
				add(s, s.CountedOn, -1, 0)
			}
		}
		add(s, s.Day, participants, submissions)
	})
	all := make([]Rollup, 0, len(groups))
	for _, r := range groups {
		all = append(all, *r)
	}
	return all, err
}

// AddAdmitted adds AdmittedRollups to the rollups of the schools from day from to day to.
func AddAdmitted(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day, rollups []Rollup) ([]Rollup, error) {
	extra, err := AdmittedRollups(ctx, a, activity, schools, from, to)
	if err != nil || len(extra) == 0 {
		return rollups, err
	}
	at := make(map[rollupKey]int, len(rollups))
	for i := range rollups {
		at[rollups[i].key()] = i
	}
	for _, e := range extra {
		i, ok := at[e.key()]
		switch {
		case ok:
			r := &rollups[i]
			r.Participants += e.Participants
			r.Submissions += e.Submissions
			r.Admitted, r.AdmittedSubmissions = e.Admitted, e.AdmittedSubmissions
		case e.Participants >= 0:
			rollups = append(rollups, e)
		} // else the rollup with those who are taken off is still to come
	}
	return rollups, nil
}

// WithoutAdmitted takes out again what AddAdmitted added: what remains is what ledger
// and facts know.
func WithoutAdmitted(rollups []Rollup) []Rollup {
	plain := make([]Rollup, 0, len(rollups))
	for _, r := range rollups {
		r.Participants -= r.Admitted
		r.Submissions -= r.AdmittedSubmissions
		r.Admitted, r.AdmittedSubmissions = 0, 0
		plain = append(plain, r)
	}
	return plain
}

// AddAdmittedDays does the same for the sums of days, and leaves them in order.
func AddAdmittedDays(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day, days []DaySum) ([]DaySum, error) {
	extra, err := AdmittedRollups(ctx, a, activity, schools, from, to)
	if err != nil || len(extra) == 0 {
		return days, err
	}
	for _, e := range extra {
		i := slices.IndexFunc(days, func(d DaySum) bool { return d.Day == e.Day && d.Role == e.Role })
		if i < 0 {
			i, days = len(days), append(days, DaySum{Day: e.Day, Role: e.Role})
		}
		days[i].Participants += e.Participants
		days[i].Submissions += e.Submissions
	}
	slices.SortFunc(days, func(x, y DaySum) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Role, y.Role)) })
	return days, nil
}

// AddAdmittedMinutes does the same for the minutes of a day.
func AddAdmittedMinutes(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, day Day, minutes []Minute) ([]Minute, error) {
	changed := false
	add := func(role Role, on Day, at time.Time, n int) {
		if on != day {
			return
		}
		at = at.Truncate(time.Minute)
		i := slices.IndexFunc(minutes, func(m Minute) bool { return m.Role == role && m.At.Equal(at) })
		if i < 0 {
			i, minutes = len(minutes), append(minutes, Minute{Role: role, At: at})
		}
		minutes[i].Participants += n
		changed = true
	}
	err := EachAdmitted(ctx, a, activity, schools, func(s *HeldSubmission, fresh bool) {
		if !fresh {
			return
		}
		add(s.Role, s.Day, s.At, 1)
		if s.Counted {
			add(s.Role, s.CountedOn, s.CountedAt, -1)
		}
	})
	if changed {
		minutes = slices.DeleteFunc(minutes, func(m Minute) bool { return m.Participants <= 0 })
		slices.SortFunc(minutes, func(x, y Minute) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Role, y.Role)) })
	}
	return minutes, err
}

// AdmittedParticipants are those of a class and role, ascending, who count only because
// a person let them: they are in no ledger.
func AdmittedParticipants(ctx context.Context, a HeldArchive, activity string, class Class, role Role) (all []Participant, err error) {
	err = EachAdmitted(ctx, a, activity, []SchoolCode{class.School}, func(s *HeldSubmission, fresh bool) {
		if fresh && !s.Counted && s.Class == class && s.Role == role {
			all = append(all, s.Participant)
		}
	})
	slices.Sort(all)
	return all, err
}
