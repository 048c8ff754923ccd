package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// schoolView is of GET …/counts?school=….
type schoolView struct {
	Participants map[string]int
	Submissions  *int
	Classes      []struct {
		Grade        int
		Class        int
		Participants map[string]int
	}
}

func (v *schoolView) total() (n int) {
	for _, of := range v.Participants {
		n += of
	}
	return n
}

func (c *conn) school(addr, code string) (v schoolView, err error) {
	return v, c.get(addr, "/v1/activities/"+activityID+"/counts?school="+code, &v)
}

// watch looks at the live counts of one school after the other while faults happen:
// they never go down, and never lag behind what was acknowledged before they were
// asked for.
func (b *book) watch(ctx context.Context, doors []string) (looks int) {
	var h conn
	defer h.close()
	schools := len(b.classes) / perSchool
	seen := make([]int, schools)
	for i := 0; sleep(ctx, 20*time.Millisecond); i++ {
		school := i % schools
		if schools > 20 { // some are looked at often, the others now and then
			school = rand.IntN(schools)
			if i%2 == 0 {
				school = i / 2 % 10
			}
		}
		told := b.toldOf(school)
		v, err := h.school(doors[i%len(doors)], b.classes[school*perSchool].school)
		if err != nil {
			continue // that, too, is allowed under faults
		}
		looks++
		n := v.total()
		if n < seen[school] {
			b.differ("live", "school %s went down from %d to %d, at %.3f s", b.classes[school*perSchool].school, seen[school], n, time.Since(b.began).Seconds())
		}
		if n < told {
			b.differ("live", "school %s shows %d when %d had been told that they count, at %.3f s", b.classes[school*perSchool].school, n, told, time.Since(b.began).Seconds())
		}
		seen[school] = n
	}
	return looks
}

// schoolsOf are the codes, in order.
func schoolsOf(classes []class) (codes []string) {
	for i := 0; i < len(classes); i += perSchool {
		codes = append(codes, classes[i].school)
	}
	return codes
}

// live asks for the counts of every school.
func live(h *conn, door string, classes []class) (map[group]int, []int, error) {
	counts := make(map[group]int)
	submissions := make([]int, 0, len(classes)/perSchool+1)
	for school, code := range schoolsOf(classes) {
		v, err := h.school(door, code)
		if err != nil {
			return nil, nil, err
		}
		if v.Submissions == nil {
			return nil, nil, fmt.Errorf("school %s: the archive is away", code)
		}
		submissions = append(submissions, *v.Submissions)
		for _, c := range v.Classes {
			class := int32(school*perSchool + (c.Grade-1)*classesOf + c.Class - 1)
			for name, n := range c.Participants {
				counts[group{class, roleOf[name]}] = n
			}
		}
	}
	return counts, submissions, nil
}
