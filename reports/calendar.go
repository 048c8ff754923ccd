package reports

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// ErrNoCalendar: the holidays of the year are not known. The State Council
// announces them in November of the year before; put them into
// calendar.d/YYYY.json beside the configuration.
var ErrNoCalendar = errors.New("no holiday calendar")

//go:embed calendar/*.json
var builtin embed.FS

// Calendar tells working days from holidays, in mainland China.
type Calendar struct {
	years map[int]bool
	// exceptions to "Monday to Friday is worked": true is worked.
	exceptions map[canyu.Day]bool
}

// holiday is one line of a calendar file, in the shape of the holiday-cn project.
type holiday struct {
	Name     string    `json:"name"`
	Date     canyu.Day `json:"date"`
	IsOffDay bool      `json:"isOffDay"`
}

// LoadCalendar reads the calendar that the program carries, then the files
// YYYY.json in dir, each of which replaces its year; "" or a folder that does not
// exist is none. A file is a list of {"name", "date", "isOffDay"}, or an object
// with that list under "days".
func LoadCalendar(dir string) (*Calendar, error) {
	c := &Calendar{years: make(map[int]bool), exceptions: make(map[canyu.Day]bool)}
	carried, err := fs.Sub(builtin, "calendar")
	if err != nil {
		return nil, fmt.Errorf("cannot read the calendar: %w", err)
	}
	if err := c.load(carried); err != nil {
		return nil, err
	}
	if dir == "" {
		return c, nil
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err := c.load(os.DirFS(dir)); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return c, nil
}

func (c *Calendar) load(files fs.FS) error {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return fmt.Errorf("cannot list calendar files: %w", err)
	}
	var errs []error
	for _, name := range names {
		if err := c.loadYear(files, name); err != nil {
			errs = append(errs, fmt.Errorf("calendar file %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Calendar) loadYear(files fs.FS, name string) error {
	year, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil || year < 1970 || year > 9999 {
		return errors.New("want a name such as 2027.json")
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	var days []holiday
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		var object struct {
			Year int       `json:"year"`
			Days []holiday `json:"days"`
		}
		if err = json.Unmarshal(text, &object); err == nil && object.Year != 0 && object.Year != year {
			err = fmt.Errorf("it is about the year %d", object.Year)
		}
		days = object.Days
	} else {
		err = json.Unmarshal(text, &days)
	}
	if err != nil {
		return err
	}
	if len(days) == 0 {
		return nil // published as an empty file until the notice comes: nothing is known yet
	}
	for _, d := range days {
		// A notice also speaks of the last days of the December before.
		if y, m, _ := d.Date.Date(); y != year && (y != year-1 || m != time.December) {
			return fmt.Errorf("%s is not a day of %d", d.Date, year)
		}
	}
	maps.DeleteFunc(c.exceptions, func(d canyu.Day, _ bool) bool {
		y, _, _ := d.Date()
		return y == year
	})
	for _, d := range days {
		c.exceptions[d.Date] = !d.IsOffDay
	}
	c.years[year] = true
	return nil
}

// Working reports whether the day is worked, or ErrNoCalendar.
func (c *Calendar) Working(day canyu.Day) (bool, error) {
	if year, _, _ := day.Date(); !c.years[year] {
		return false, fmt.Errorf("%w for %d", ErrNoCalendar, year)
	}
	if worked, ok := c.exceptions[day]; ok {
		return worked, nil
	}
	w := day.Weekday()
	return w != time.Saturday && w != time.Sunday, nil
}

// Years that are known, the earliest first.
func (c *Calendar) Years() []int { return slices.Sorted(maps.Keys(c.years)) }

// Missing is the year that somebody should bring the holidays of, or 0: the year
// of now, or, from mid-November on, when its notice is out, the next one.
func (c *Calendar) Missing(now time.Time) int {
	for _, year := range []int{now.Year(), now.AddDate(0, 0, 47).Year()} {
		if !c.years[year] {
			return year
		}
	}
	return 0
}
