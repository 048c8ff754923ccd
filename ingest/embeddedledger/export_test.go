package embeddedledger

// SaveAfter makes the ledger save its sets after so many participations.
func (l *Ledger) SaveAfter(n int) { l.saveAfter = n }
