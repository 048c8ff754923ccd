package clickhousearchive

import "time"

// SetNow puts another clock into the archive.
func (a *Archive) SetNow(now func() time.Time) { a.now = now }

// ClusterTables are the statements that a cluster gets instead.
func ClusterTables(database, statement string) []string {
	return (&cluster{name: "canyu"}).tables(database, statement)
}
