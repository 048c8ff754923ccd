package canyu

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// EachAdmitted calls do for every held submission of the schools that a decision lets
// count, the earliest first; fresh says that with it its participant is counted. Where
// nothing is admitted that is one small question to the archive.
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
		do(s, !s.Counted && !counted[p])
		counted[p] = true
	}
	return nil
}

// AddAdmitted adds to the rollups of the schools from day from to day to what is
// admitted there: participants that do not count already, each on the day of the
// earliest admitted submission, and submissions that are not known already.
func AddAdmitted(ctx context.Context, a HeldArchive, activity string, schools []SchoolCode, from, to Day, rollups []Rollup) ([]Rollup, error) {
	type group struct {
		class Class
		role  Role
		day   Day
	}
	extra := make(map[group]*Rollup)
	err := EachAdmitted(ctx, a, activity, schools, func(s *HeldSubmission, fresh bool) {
		g := group{s.Class, s.Role, s.Day}
		if s.Day < from || s.Day > to {
			return
		}
		r := extra[g]
		if r == nil {
			r = &Rollup{Class: s.Class, Role: s.Role, Day: s.Day}
			extra[g] = r
		}
		if fresh {
			r.Admitted++
		}
		if !s.Known {
			r.AdmittedSubmissions++
		}
	})
	if err != nil || len(extra) == 0 {
		return rollups, err
	}
	add := func(r *Rollup, e *Rollup) {
		r.Admitted, r.AdmittedSubmissions = e.Admitted, e.AdmittedSubmissions
		r.Participants += e.Admitted
		r.Submissions += e.AdmittedSubmissions
	}
	for i := range rollups {
		g := group{rollups[i].Class, rollups[i].Role, rollups[i].Day}
		if e := extra[g]; e != nil {
			add(&rollups[i], e)
			delete(extra, g)
		}
	}
	for _, e := range extra {
		add(e, &Rollup{Admitted: e.Admitted, AdmittedSubmissions: e.AdmittedSubmissions})
		rollups = append(rollups, *e)
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
	extra, err := AddAdmitted(ctx, a, activity, schools, from, to, nil)
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
	more := false
	err := EachAdmitted(ctx, a, activity, schools, func(s *HeldSubmission, fresh bool) {
		if !fresh || s.Day != day {
			return
		}
		at := s.At.Truncate(time.Minute)
		i := slices.IndexFunc(minutes, func(m Minute) bool { return m.Role == s.Role && m.At.Equal(at) })
		if i < 0 {
			i, minutes = len(minutes), append(minutes, Minute{Role: s.Role, At: at})
		}
		minutes[i].Participants++
		more = true
	})
	if more {
		slices.SortFunc(minutes, func(x, y Minute) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Role, y.Role)) })
	}
	return minutes, err
}

// AdmittedParticipants are those of a class and role, ascending, who count only because
// a person let them: they are in no ledger.
func AdmittedParticipants(ctx context.Context, a HeldArchive, activity string, class Class, role Role) (all []Participant, err error) {
	err = EachAdmitted(ctx, a, activity, []SchoolCode{class.School}, func(s *HeldSubmission, fresh bool) {
		if fresh && s.Class == class && s.Role == role {
			all = append(all, s.Participant)
		}
	})
	slices.Sort(all)
	return all, err
}
