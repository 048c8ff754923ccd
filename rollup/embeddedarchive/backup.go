package embeddedarchive

import (
	"context"
	"fmt"
)

// Backup copies the archive as of one moment into path, an empty file or none, also
// beside other processes. It returns the version of the schema.
func (a *Archive) Backup(ctx context.Context, path string) (schema int, err error) {
	if _, err := a.write.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return 0, fmt.Errorf("cannot copy the archive: %w", err)
	}
	return schemaVersion(ctx, a.write)
}
