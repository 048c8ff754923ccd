package clickhousearchive

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// publishedRoster is the roster of some imports.
type publishedRoster struct {
	imports []uint64
	roster  *canyu.Roster
}

// Roster implements canyu.Archive. It first asks which imports are published and
// then reads only those, whose rows do not change any more. While they are the same
// nothing else is read: every process asks every few seconds, and a nation has millions
// of classes.
func (a *Archive) Roster(ctx context.Context) (*canyu.Roster, error) {
	last := a.roster.Load()
	if last == nil {
		last = &publishedRoster{}
	}
	imports, entries, err := a.rosterEntries(ctx, last.imports)
	if err != nil {
		return nil, fmt.Errorf("cannot read the roster: %w", err)
	}
	if last.roster != nil && slices.Equal(imports, last.imports) {
		return last.roster, nil
	}
	r, err := canyu.NewRoster(entries)
	if err != nil {
		return nil, fmt.Errorf("the stored roster is damaged: %w", err)
	}
	a.roster.Store(&publishedRoster{imports, r})
	return r, nil
}

// rosterEntries are those of the published imports; none are read where these are known.
func (a *Archive) rosterEntries(ctx context.Context, known []uint64) (published []uint64, entries []canyu.RosterEntry, err error) {
	server, err := a.exactOne(ctx, "roster", "roster_imports")
	if err != nil {
		return nil, nil, err
	}
	published, err = imports(ctx, server)
	if err != nil || len(published) == 0 || slices.Equal(published, known) {
		return published, nil, err
	}
	list := "(" + strings.Trim(strings.ReplaceAll(fmt.Sprint(published), " ", ","), "[]") + ")"
	rows, err := server.Query(ctx, `SELECT region, school, name, grade, class, enrolled FROM roster
		WHERE (school, import) IN (SELECT school, max(import) FROM roster WHERE import IN `+list+` GROUP BY school)
		ORDER BY school, grade, class`)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e canyu.RosterEntry
		var region uint32
		var school uint64
		var enrolled uint16
		if err := rows.Scan(&region, &school, &e.Name, &e.Grade, &e.Class, &enrolled); err != nil {
			return nil, nil, err
		}
		e.Region, e.School, e.Enrolled = canyu.Region(region), canyu.SchoolCode(school), int(enrolled)
		entries = append(entries, e)
	}
	return published, entries, rows.Err()
}

func imports(ctx context.Context, conn driver.Conn) (imports []uint64, err error) {
	rows, err := conn.Query(ctx, "SELECT DISTINCT import FROM roster_imports ORDER BY import")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var i uint64
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		imports = append(imports, i)
	}
	return imports, rows.Err()
}

// ImportRoster implements canyu.Archive.
func (a *Archive) ImportRoster(ctx context.Context, r *canyu.Roster) error {
	entries := r.Entries()
	if len(entries) == 0 {
		return nil
	}
	err := func() error {
		number, err := a.nextImport(ctx)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(entries, rowsPerInsert) {
			if err := a.insertRoster(ctx, number, chunk); err != nil {
				return err
			}
		}
		return a.insert(ctx, "roster_imports", "import", []uint64{number})
	}()
	if err != nil {
		return fmt.Errorf("cannot import the roster: %w", err)
	}
	return nil
}

// nextImport is the number of a new import.
func (a *Archive) nextImport(ctx context.Context) (uint64, error) {
	imports, err := imports(ctx, a.conn)
	if err != nil {
		return 0, err
	}
	return a.uniqueVersion(slices.Max(append(imports, 0))), nil
}

// RemoveSchools implements canyu.Archive. An import without a class has everybody read
// the roster again.
func (a *Archive) RemoveSchools(ctx context.Context, schools []canyu.SchoolCode) error {
	if len(schools) == 0 {
		return nil
	}
	codes := make([]string, len(schools))
	for i, s := range schools {
		codes[i] = strconv.FormatUint(uint64(s), 10)
	}
	err := a.mutate(ctx, "roster", "DELETE WHERE school IN ("+strings.Join(codes, ", ")+")")
	var number uint64
	if err == nil {
		number, err = a.nextImport(ctx)
	}
	if err == nil {
		err = a.insert(ctx, "roster_imports", "import", []uint64{number})
	}
	if err != nil {
		return fmt.Errorf("cannot remove schools from the roster: %w", err)
	}
	return nil
}

func (a *Archive) insertRoster(ctx context.Context, number uint64, entries []canyu.RosterEntry) error {
	var (
		school, imports []uint64
		region          []uint32
		name            []string
		grade           []uint8
		class, enrolled []uint16
	)
	for _, e := range entries {
		school, imports, region = append(school, uint64(e.School)), append(imports, number), append(region, uint32(e.Region))
		name, grade = append(name, e.Name), append(grade, e.Grade)
		class, enrolled = append(class, e.Class), append(enrolled, uint16(e.Enrolled))
	}
	return a.insert(ctx, "roster", "school, import, region, name, grade, class, enrolled", school, imports, region, name, grade, class, enrolled)
}
