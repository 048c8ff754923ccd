// Package rollup carries what the ledger recorded into the archive, and holds the
// two against each other.
//
// A [Worker] reads the log of each activity, stores it as facts, restates the
// rollups of the classes that were touched, and only then acknowledges the log.
// Whatever happens in between (a crash, an archive that is away, a claim that
// somebody else took over), the log still has it, and storing it once more changes
// nothing. The odd part: nothing is ever added to a rollup. A class that was
// touched is counted anew from its facts, so that no retry can count twice.
//
// What can never go in (a damaged entry, one that the archive refuses while it takes
// others) becomes a [DeadLetter], and the rest goes on.
//
// [Verify] compares ledger, facts and rollups class by class while everything is
// running; [Repair] restates the rollups that differ. [Rebuild] fills a ledger
// that lost its data from the archive.
package rollup
