// Package canyu (參與) is the vocabulary of a program that counts who took part
// in an online school activity, shows the count live and mails it to the
// education bureau every working day.
//
// A pupil opens the page of an [Activity], bows, offers flowers, writes a message
// and submits. The [Submission] is checked against the activity and the [Roster];
// what passes is a [Participation] of one [Participant]: a keyed hash that
// stands for a seat of a [Class] in one [Role], never a name. The first
// participation of a participant counts, later ones are repeats.
//
// The path of one participation, and the packages it visits:
//
//	ingest   decodes and checks it, joins it to the batch that is filling, and
//	         records the batch in the Ledger; the reply is the acknowledgement
//	rollup   reads the Ledger's log, stores the facts in the Archive, restates
//	         the rollups of the classes that were touched, acknowledges the log
//	reports  on working days freezes a region's numbers from the rollups,
//	         renders them, mails them and records that it did
//
// The two contracts between them, [Ledger] and [Archive], stand in this package
// with everything they promise. Each has two engines: embedded (SQLite) for one
// machine, Redis and ClickHouse past it. Only cmd/canyu chooses.
//
// The package imports nothing but the standard library: no network, no SQL.
package canyu
