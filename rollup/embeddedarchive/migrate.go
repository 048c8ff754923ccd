package embeddedarchive

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations that the file has not seen. Each runs in a
// transaction that first looks again whether another process was quicker.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if version > len(files) { // an update was taken back
		var since int
		if err := db.QueryRowContext(ctx, "SELECT max(since) FROM readable").Scan(&since); err != nil {
			return err
		}
		if since > len(files) {
			return fmt.Errorf("its schema is version %d and needs a program that knows version %d; this one knows %d: "+
				"run the newer canyu that wrote it, or restore the backup from before the update", version, since, len(files))
		}
	}
	for i := version; i < len(files); i++ {
		script, err := migrations.ReadFile(files[i])
		if err != nil {
			return err
		}
		err = transact(ctx, db, func(tx *sql.Tx) error {
			now, err := schemaVersion(ctx, tx)
			if err != nil || now > i {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(script)); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", i+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot apply %s: %w", files[i], err)
		}
	}
	return nil
}

func schemaVersion(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (version int, err error) {
	err = q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}
