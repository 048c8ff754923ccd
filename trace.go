package canyu

// Trace is what each layer says of a part of an activity, by role: how the rollups
// that a report was made of come about. The day and the moment are the report's.
type Trace struct {
	Until    Tally // rollups up to the day,
	Later    Tally // and of the days after it
	After    Tally // of Until, who came after the moment,
	Around   Tally // and of those, who came within a minute of it: a report may have some of them
	Admitted Tally // of the rollups, who was held and let count by a person: no fact, and in no ledger
	Facts    Tally // participants in the archive
	Pending  Tally // in the log only, on their way there
	Ledger   Tally

	Submissions        int // of the rollups, of all roles
	SubmissionsUntil   int // of those, up to the day
	SubmissionsOfFacts int // with those that are admitted

	Stale bool // rollups and facts differ about a day
}

// Rollups are the participants of all days.
func (t *Trace) Rollups() Tally {
	sum := t.Until
	sum.Add(t.Later)
	return sum
}

// Agrees reports whether rollups, facts and ledger tell the same.
func (t *Trace) Agrees() bool { return t.RollupsAgree() && t.LedgerAgrees() }

// RollupsAgree reports whether the rollups are what the facts say.
func (t *Trace) RollupsAgree() bool {
	facts := t.Facts
	facts.Add(t.Admitted)
	return !t.Stale && t.Rollups() == facts && t.Submissions == t.SubmissionsOfFacts
}

// LedgerAgrees reports whether the ledger has those of the archive, and those on their
// way there.
func (t *Trace) LedgerAgrees() bool {
	recorded := t.Facts
	recorded.Add(t.Pending)
	return recorded == t.Ledger
}
