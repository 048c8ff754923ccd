package reports

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/canyu/canyu"
)

// wallAtOnce tiles leave room for two lines of a name that is read from afar; the script
// turns to the others.
const wallAtOnce = 60

// Crowd is the style of a board of so many tiles.
func (v *bureauView) Crowd() string {
	switch n := len(v.Items); {
	case n > 24:
		return " many"
	case n < 10:
		return " few"
	}
	return ""
}

// wallPage are the items of a wall's page, as many on each.
func (r *visit) wallPage(v *bureauView, region canyu.Region, shown []*item) []*item {
	if !v.Parts {
		dropPlace(region, shown)
	}
	pages := pagesOf(shown, wallAtOnce)
	if pages == 1 {
		return shown
	}
	each := (len(shown) + pages - 1) / pages
	at := r.pageAsked(pages)
	first, last := (at-1)*each, min(len(shown), at*each)
	v.More = r.Say("wall.more", number(first+1), number(last), number(len(shown)))
	v.Next = r.address("page", strconv.Itoa(at%pages+1))
	return shown[first:last]
}

// dropPlace takes the region that heads the wall from the front of names, where they
// still differ without it: 安徽省宣城市宣州区水阳镇中心小学 is 水阳镇中心小学.
func dropPlace(region canyu.Region, items []*item) {
	var names []string // of the regions around it, the largest first
	for at := region; ; at = at.Parent() {
		names = slices.Insert(names, 0, at.Name())
		if at == at.Parent() {
			break
		}
	}
	short := func(name string) string {
		rest, whole := name, false
		for i, n := range names {
			if cut, ok := strings.CutPrefix(rest, n); ok {
				rest, whole = cut, i == len(names)-1
			}
		}
		if !whole || utf8.RuneCountInString(rest) < 2 {
			return name
		}
		return rest
	}
	called := make(map[string]int, len(items))
	for _, i := range items {
		called[short(i.Name)]++
	}
	for _, i := range items {
		if name := short(i.Name); called[name] == 1 {
			i.Name = name
		}
	}
}
