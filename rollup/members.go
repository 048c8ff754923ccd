package rollup

import (
	"context"
	"hash/maphash"
	"slices"

	"github.com/canyu/canyu"
)

// crowd stands for who is in a set, in whatever order they came: how many, and a sum of
// hashes under a key that is new for every verification, so that nobody can plant
// another set with the same sum.
type crowd struct {
	n   int
	sum uint64
}

func (c *crowd) add(seed maphash.Seed, p canyu.Participant) {
	c.n++
	c.sum += maphash.Comparable(seed, p)
}

// membersAtOnce are classes whose participants are in memory together.
const membersAtOnce = 1000

// strangers are the classes and roles of which ledger and facts have the same number,
// but not the same participants. Of what moved while it was looked at nothing is said.
func (v *verification) strangers(ctx context.Context, before, after map[classRole]int, facts map[classRole]crowd) (map[classRole]bool, error) {
	still := make(map[canyu.Class]bool)
	for g, c := range facts {
		if c.n > 0 && before[g] == c.n && after[g] == c.n {
			still[g.class] = true
		}
	}
	classes := make([]canyu.Class, 0, len(still))
	for c := range still {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, canyu.Class.Compare)
	differ := make(map[classRole]bool)
	for some := range slices.Chunk(classes, membersAtOnce) {
		members, err := v.ledger.Members(ctx, v.activity, some)
		if err != nil {
			return nil, err
		}
		for i, class := range some {
			for _, role := range canyu.Roles {
				g := classRole{class, role}
				var c crowd
				for _, p := range members[i][role] {
					c.add(v.seed, p)
				}
				if c.n == facts[g].n && after[g] == c.n && c != facts[g] {
					differ[g] = true
				}
			}
		}
	}
	return differ, nil
}
