package reports

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// ErrNoCalendar: the holidays of the year are not known. The State Council
// announces them in November of the year before; put them into
// YYYY.json in the calendar's folder.
var ErrNoCalendar = errors.New("no holiday calendar")

//go:embed calendar/*.json
var builtin embed.FS

// Calendar tells working days from holidays, in mainland China. It may be used by
// many goroutines at once, also while one of them has it read its folder again.
type Calendar struct {
	dir   string
	known atomic.Pointer[almanac]
}

// almanac is what was read at once.
type almanac struct {
	stamp string // of the files in the folder
	years map[int]bool
	// exceptions to "Monday to Friday is worked": true is worked.
	exceptions map[canyu.Day]bool
}

// holiday is one line of a calendar file, in the shape of the holiday-cn project.
type holiday struct {
	Name     string     `json:"name"`
	Date     *canyu.Day `json:"date"`
	IsOffDay *bool      `json:"isOffDay"`
}

// published is a whole file of that project.
type published struct {
	Schema string    `json:"$schema"`
	ID     string    `json:"$id"`
	Year   int       `json:"year"`
	Papers []string  `json:"papers"`
	Days   []holiday `json:"days"`
}

// LoadCalendar reads the calendar that the program carries, then the files
// YYYY.json in dir, each of which replaces its year; "" or a folder that does not
// exist is none. A file is a list of {"name", "date", "isOffDay"}, or an object
// with that list under "days". Whatever else is in one is an error: a holiday that
// was not understood would be a working day.
func LoadCalendar(dir string) (*Calendar, error) {
	c := &Calendar{dir: dir}
	a, err := readAlmanac(dir, stamp(dir))
	if err != nil {
		return nil, err
	}
	c.known.Store(a)
	return c, nil
}

// Refresh reads the folder again if a file there is another one than before. What
// cannot be read leaves everything as it was.
func (c *Calendar) Refresh() error {
	if c.dir == "" {
		return nil
	}
	now := stamp(c.dir)
	if now == c.known.Load().stamp {
		return nil
	}
	a, err := readAlmanac(c.dir, now)
	if err != nil {
		return fmt.Errorf("the calendar stays as it was: %w", err)
	}
	c.known.Store(a)
	return nil
}

// stamp changes when a file of the folder is added, removed or written.
func stamp(dir string) string {
	if dir == "" {
		return ""
	}
	var text strings.Builder
	names, _ := filepath.Glob(filepath.Join(dir, "*.json")) // the only error is of the pattern
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintln(&text, name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return text.String()
}

func readAlmanac(dir, stamp string) (*almanac, error) {
	a := &almanac{stamp: stamp, years: make(map[int]bool), exceptions: make(map[canyu.Day]bool)}
	carried, err := fs.Sub(builtin, "calendar")
	if err != nil {
		return nil, fmt.Errorf("cannot read the calendar: %w", err)
	}
	if err := a.load(carried); err != nil {
		return nil, err
	}
	if dir == "" {
		return a, nil
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err := a.load(os.DirFS(dir)); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return a, nil
}

func (a *almanac) load(files fs.FS) error {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return fmt.Errorf("cannot list calendar files: %w", err)
	}
	var errs []error
	for _, name := range names {
		if err := a.loadYear(files, name); err != nil {
			errs = append(errs, fmt.Errorf("calendar file %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (a *almanac) loadYear(files fs.FS, name string) error {
	year, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil || year < 1970 || year > 9999 {
		return errors.New("want a name such as 2027.json")
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	var object published
	if bytes.HasPrefix(text, []byte("{")) {
		err = decodeStrictly(text, &object)
	} else {
		err = decodeStrictly(text, &object.Days)
	}
	days := object.Days
	switch {
	case err != nil:
		return fmt.Errorf("%w: want a list of %s", err, aHoliday)
	case object.Year != 0 && object.Year != year:
		return fmt.Errorf("it is about the year %d", object.Year)
	case len(days) == 0 && object.Year != 0 && days != nil:
		return nil // published like this until the notice comes: nothing is known yet
	case len(days) == 0:
		return fmt.Errorf("has no days: want a list of %s", aHoliday)
	}
	for i, d := range days {
		if d.Date == nil || d.IsOffDay == nil {
			return fmt.Errorf("days[%d]: date or isOffDay is missing: want %s", i, aHoliday)
		}
		// A notice also speaks of the last days of the December before.
		if y, m, _ := d.Date.Date(); y != year && (y != year-1 || m != time.December) {
			return fmt.Errorf("%s is not a day of %d", d.Date, year)
		}
	}
	maps.DeleteFunc(a.exceptions, func(d canyu.Day, _ bool) bool {
		y, _, _ := d.Date()
		return y == year
	})
	for _, d := range days {
		a.exceptions[*d.Date] = !*d.IsOffDay
	}
	a.years[year] = true
	return nil
}

const aHoliday = `{"name": "元旦", "date": "2026-01-01", "isOffDay": true}`

// decodeStrictly knows no keys but those of into.
func decodeStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after its end")
	}
	return nil
}

// Working reports whether the day is worked, or ErrNoCalendar.
func (c *Calendar) Working(day canyu.Day) (bool, error) {
	known := c.known.Load()
	if year, _, _ := day.Date(); !known.years[year] {
		return false, fmt.Errorf("%w for %d", ErrNoCalendar, year)
	}
	if worked, ok := known.exceptions[day]; ok {
		return worked, nil
	}
	w := day.Weekday()
	return w != time.Saturday && w != time.Sunday, nil
}

// Years that are known, the earliest first.
func (c *Calendar) Years() []int { return slices.Sorted(maps.Keys(c.known.Load().years)) }

// Missing is the year that somebody should bring the holidays of, or 0: the year
// of now, or, from mid-November on, when its notice is out, the next one.
func (c *Calendar) Missing(now time.Time) int {
	for _, year := range []int{now.Year(), now.AddDate(0, 0, 47).Year()} {
		if !c.known.Load().years[year] {
			return year
		}
	}
	return 0
}
