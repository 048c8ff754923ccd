package clickhousearchive

import "time"

// SetNow puts another clock into the archive.
func (a *Archive) SetNow(now func() time.Time) { a.now = now }
