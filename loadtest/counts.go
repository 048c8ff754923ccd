package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canyu/canyu"
)

// ErrDifference is returned where the server's counts are not what it acknowledged.
var ErrDifference = errors.New("acknowledged and counted differ")

// Counts is how many students of each class a server says have taken part.
type Counts map[canyu.Class]int

// FetchCounts asks GET /v1/activities/{activity}/counts for each school.
func FetchCounts(ctx context.Context, t *Target, activity string, schools []*canyu.School) (Counts, error) {
	const parallel = 4
	counts := make(Counts)
	var mu sync.Mutex
	errs := make([]error, parallel)
	var askers sync.WaitGroup
	for i := range parallel {
		askers.Go(func() {
			c := newConn(t, 30*time.Second)
			defer c.close()
			for k := i; k < len(schools) && errs[i] == nil; k += parallel {
				errs[i] = fetchSchool(ctx, c, activity, schools[k].Code, func(class canyu.Class, n int) {
					mu.Lock()
					counts[class] = n
					mu.Unlock()
				})
			}
		})
	}
	askers.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("cannot fetch the counts: %w", err)
	}
	return counts, nil
}

func fetchSchool(ctx context.Context, c *conn, activity string, school canyu.SchoolCode, each func(canyu.Class, int)) error {
	body, err := c.get(ctx, "/v1/activities/"+activity+"/counts", url.Values{"school": {school.String()}})
	if err != nil {
		return err
	}
	var reply struct {
		Classes []struct {
			Grade        uint8          `json:"grade"`
			Class        uint16         `json:"class"`
			Participants map[string]int `json:"participants"`
		} `json:"classes"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return fmt.Errorf("school %s: %w", school, err)
	}
	for _, r := range reply.Classes {
		each(canyu.Class{School: school, Grade: r.Grade, Number: r.Class}, r.Participants[canyu.Student.String()])
	}
	return nil
}

// Reconciliation is what the client was told set against what the server says.
type Reconciliation struct {
	Classes      int          `json:"classes"` // that were compared
	Acknowledged int          `json:"acknowledged"`
	Counted      int          `json:"counted"` // after the run minus before
	Unknown      int          `json:"unknown"` // requests whose outcome the client does not know
	Differences  []Difference `json:"differences,omitempty"`
}

// Difference is a class whose two numbers cannot both be true: fewer counted
// than acknowledged, or more than acknowledged and unknown together.
type Difference struct {
	Class        canyu.Class `json:"class"`
	Acknowledged int         `json:"acknowledged"`
	Counted      int         `json:"counted"`
	Unknown      int         `json:"unknown"`
}

// Reconcile compares class by class, over every class that either side knows.
// Nobody else may submit to the activity between the two fetches.
func Reconcile(before, after Counts, acknowledged, unknown map[canyu.Class]int) *Reconciliation {
	all := make(map[canyu.Class]bool, len(after))
	for _, m := range []map[canyu.Class]int{before, after, acknowledged, unknown} {
		for c := range m {
			all[c] = true
		}
	}
	rec := &Reconciliation{Classes: len(all)}
	for c := range all {
		d := Difference{c, acknowledged[c], after[c] - before[c], unknown[c]}
		rec.Acknowledged += d.Acknowledged
		rec.Counted += d.Counted
		rec.Unknown += d.Unknown
		if d.Counted < d.Acknowledged || d.Counted > d.Acknowledged+d.Unknown {
			rec.Differences = append(rec.Differences, d)
		}
	}
	slices.SortFunc(rec.Differences, func(a, b Difference) int { return a.Class.Compare(b.Class) })
	return rec
}

// Err is ErrDifference where there is any.
func (r *Reconciliation) Err() error {
	if n := len(r.Differences); n > 0 {
		return fmt.Errorf("%w in %d of %d classes", ErrDifference, n, r.Classes)
	}
	return nil
}

func (r *Reconciliation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d acknowledged, %d counted", r.Acknowledged, r.Counted)
	if r.Unknown > 0 {
		fmt.Fprintf(&b, " (%d with unknown outcome)", r.Unknown)
	}
	fmt.Fprintf(&b, " in %d classes: ", r.Classes)
	if len(r.Differences) == 0 {
		b.WriteString("no difference")
		return b.String()
	}
	fmt.Fprintf(&b, "%d DIFFER", len(r.Differences))
	for i, d := range r.Differences {
		if i == 20 {
			fmt.Fprintf(&b, "\n  … and %d more", len(r.Differences)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %d acknowledged, %d counted, %d unknown", d.Class, d.Acknowledged, d.Counted, d.Unknown)
	}
	return b.String()
}
