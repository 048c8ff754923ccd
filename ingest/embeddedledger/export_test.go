package embeddedledger

import "syscall"

// CopyLock copies the descriptor of the lock, as the start of a child does.
func (l *Ledger) CopyLock() (int, error) { return syscall.Dup(int(l.lock.Fd())) }

// SaveAfter makes the ledger save its sets after so many participations.
func (l *Ledger) SaveAfter(n int) { l.saveAfter = n }
