package embeddedarchive

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/canyu/canyu"
)

// Roster implements canyu.Archive.
func (a *Archive) Roster(ctx context.Context) (*canyu.Roster, error) {
	entries, err := collect(ctx, a.read, func(rows *sql.Rows, e *canyu.RosterEntry) error {
		return rows.Scan(&e.Region, &e.School, &e.Name, &e.Grade, &e.Class, &e.Enrolled)
	}, `SELECT s.region, s.code, s.name, c.grade, c.class, c.enrolled
		FROM schools s JOIN classes c ON c.school = s.code ORDER BY c.school, c.grade, c.class`)
	if err != nil {
		return nil, fmt.Errorf("cannot read the roster: %w", err)
	}
	r, err := canyu.NewRoster(entries)
	if err != nil {
		return nil, fmt.Errorf("the stored roster is damaged: %w", err)
	}
	return r, nil
}

// ImportRoster implements canyu.Archive.
func (a *Archive) ImportRoster(ctx context.Context, r *canyu.Roster) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		school, err := tx.PrepareContext(ctx, `INSERT INTO schools (code, region, name) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET region = excluded.region, name = excluded.name`)
		if err != nil {
			return err
		}
		clear, err := tx.PrepareContext(ctx, `DELETE FROM classes WHERE school = ?`)
		if err != nil {
			return err
		}
		class, err := tx.PrepareContext(ctx, `INSERT INTO classes (school, grade, class, enrolled) VALUES (?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		for _, s := range r.Schools(0) {
			code := int64(s.Code)
			if _, err := school.ExecContext(ctx, code, s.Region, s.Name); err != nil {
				return err
			}
			if _, err := clear.ExecContext(ctx, code); err != nil {
				return err
			}
			for _, c := range s.Classes {
				if _, err := class.ExecContext(ctx, code, c.Grade, c.Number, c.Enrolled); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot import the roster: %w", err)
	}
	return nil
}

// RemoveSchools implements canyu.Archive.
func (a *Archive) RemoveSchools(ctx context.Context, schools []canyu.SchoolCode) error {
	err := a.transact(ctx, func(tx *sql.Tx) error {
		for _, s := range schools {
			if _, err := tx.ExecContext(ctx, `DELETE FROM classes WHERE school = ?`, int64(s)); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM schools WHERE code = ?`, int64(s)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot remove schools from the roster: %w", err)
	}
	return nil
}
