package ingest

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

// searchView is the search for a school, and what it found.
type searchView struct {
	Action, Query, Region, Role, Lang string
	Asked                             bool
	Links                             []link
	More                              bool // there are others
}

const (
	mostFound = 20
	mostAsked = 40 // characters
)

// search looks for schools by ?q= among those of the region shown. Where there are few
// schools the list below does as well.
func (p *pageRequest) search(r *canyu.Roster) {
	from, err := canyu.ParseRegion(p.at.region)
	if err != nil || len(r.Schools(from)) == 0 {
		from = 0
	}
	schools := r.Schools(from)
	if len(schools) <= mostFound/2 {
		return
	}
	q := []rune(strings.TrimSpace(arg(p.ctx.QueryArgs(), "q")))
	v := &searchView{Action: "/a/" + p.a.ID, Query: string(q[:min(len(q), mostAsked)]), Role: p.at.role, Lang: p.lang}
	if from != 0 {
		v.Region = from.String()
	}
	p.Search = v
	if v.Query == "" {
		return
	}
	v.Asked = true
	found := findSchools(schools, v.Query)
	if v.More = len(found) > mostFound; v.More {
		found = found[:mostFound]
	}
	for _, s := range found {
		v.Links = append(v.Links, link{URL: p.url(choice{school: s.Code.String(), role: p.at.role}), Text: s.Name, Note: regionName(s.Region)})
	}
}

// findSchools are the schools whose name, place or code has every word of the query:
// those that have it as it stands, then those that have its characters in this order,
// as 一小 in 第一小学.
func findSchools(schools []*canyu.School, query string) []*canyu.School {
	words := strings.Fields(strings.ToLower(norm.NFKC.String(query)))
	type hit struct {
		*canyu.School
		rank int
	}
	var hits []hit
	for _, s := range schools {
		name, place, code := strings.ToLower(s.Name), regionName(s.Region), s.Code.String()
		rank := 0
		for _, w := range words {
			switch {
			case strings.HasPrefix(name, w), strings.HasPrefix(code, w):
			case strings.Contains(name, w):
				rank++
			case strings.Contains(place, w):
				rank += 2
			case inOrder(name, w):
				rank += 3 + len(name)
			default:
				rank = -1
			}
			if rank < 0 {
				break
			}
		}
		if rank >= 0 {
			hits = append(hits, hit{s, rank})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.rank, b.rank) })
	found := make([]*canyu.School, len(hits))
	for i, h := range hits {
		found[i] = h.School
	}
	return found
}

// inOrder reports whether all characters of w stand in s, in their order.
func inOrder(s, w string) bool {
	rest := []rune(w)
	for _, r := range s {
		if len(rest) > 0 && r == rest[0] {
			rest = rest[1:]
		}
	}
	return len(rest) == 0
}
