package reports

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

type bureauView struct {
	Code     string
	Heading  string // of the table
	Parts    bool   // rows are regions
	Views    []pageLink
	Switch   []pageLink // regions or schools
	Filters  []pageLink
	Search   string
	Keep     []pageLink // hidden fields of the search form
	Head     []columnHead
	Items    []*item
	Board    bool
	Matches  string // how many there are, where that is not seen
	Pages    []pageLink
	More     string // which of them a wall shows
	Next     string // the address of its next page
	Notes    []string
	Reports  []dispatch
	Later    bool // reports are still being read
	NoReport bool
	Key      string // where the public key is, if any report is signed
}

type columnHead struct {
	Key, Text, URL string
	Sorted         string // ascending, descending or ""
	Number         bool
}

// item is a row of the table, or a tile of the board: a school or a region.
type item struct {
	tile
	Code   string
	Region string
	Left   int
	Others []string // parents, teachers…
	sums   *sums
}

// itemsAtOnce are drawn; the others are on further pages.
const itemsAtOnce = 100

func regionScope(region canyu.Region, activity string) canyu.Scope {
	return canyu.Scope{Kind: canyu.RegionScope, Region: region, Activity: activity}
}

func (s speaker) region(region canyu.Region) string {
	if region == canyu.Nation {
		return s.page("nation")
	}
	return region.Name()
}

// bureau is everything below /bureau/{region}.
func (r *visit) bureau(text, file string) error {
	region, err := canyu.ParseRegion(text)
	if err != nil {
		return errNoPage
	}
	if err := r.choose(func(activity string) canyu.Scope { return regionScope(region, activity) }); err != nil {
		return err
	}
	if err := r.exports(file); err != nil {
		return err
	}
	where := place{activity: r.activity.ID, region: region}
	if strings.HasPrefix(file, "report.") {
		return r.exportReport(region, strings.TrimPrefix(file, "report."))
	}
	roster, err := r.roster()
	if err != nil {
		return err
	}
	schools := roster.Schools(region)
	if len(schools) == len(roster.Schools(0)) {
		where.region = 0 // asking for all is cheaper than for each
	}
	if len(schools) == 0 {
		return errNoPage
	}
	r.onlySchools = r.noRegion(region, schools)
	if file == "held" {
		r.Heading = r.s.region(region)
		return r.held(regionScope(region, r.activity.ID), schools)
	}
	if file == "messages" {
		r.Heading = r.s.region(region)
		return r.review(regionScope(region, r.activity.ID), schools)
	}
	c, err := r.census(where, schools)
	if err != nil {
		return err
	}
	switch {
	case file == "":
		return r.drawBureau(where, region, c)
	case strings.HasPrefix(file, "table."):
		return r.exportBureau(region, c, strings.TrimPrefix(file, "table."))
	}
	return errNoPage
}

func (r *visit) drawBureau(where place, region canyu.Region, c *census) error {
	s := r.s
	r.Kind, r.Heading = "bureau", s.region(region)
	v := &bureauView{Code: region.String()}
	r.Bureau = v
	r.Live = "/v1/activities/" + r.activity.ID + "/live?region=" + v.Code
	if region != canyu.Nation {
		if crumbs := r.crumbs(region); len(crumbs) > 0 {
			r.Crumbs = crumbs[:len(crumbs)-1] // the last one is this page
		}
	}
	sum, items := r.items(region, c)
	r.total(c, sum)
	r.Total.Facts = append(r.Total.Facts, pageFact{"schools", s.say("schools"), number(sum.Schools), s.page("fact.silent", number(sum.Silent))})
	r.curve(where, c.schools)
	r.dayTable(where, c.schools)
	v.Notes = r.quality(where, c, sum)
	r.Alarms = r.alarmTexts(region)
	r.controls(v, region)
	shown := r.filter(items)
	if r.Wall {
		v.Items = r.wallPage(v, region, shown)
	} else {
		v.Items = r.onePage(v, shown)
	}
	for _, i := range v.Items {
		r.draw(i, !v.Parts)
	}
	r.reports(v, region)
	base := "/bureau/" + v.Code
	keep := []string{"by", r.arg("by"), "show", r.arg("show"), "q", r.arg("q"), "sort", r.arg("sort"), "dir", r.arg("dir")}
	r.Exports = []pageLink{
		{URL: r.link(base+"/table.xlsx", keep...), Text: s.page("export.table.xlsx")},
		{URL: r.link(base+"/table.csv", keep...), Text: s.page("export.table.csv")},
	}
	r.reviewLink(where, base, c.schools)
	r.heldLink(where, base, c.schools)
	r.write(fasthttp.StatusOK, r.part())
	return nil
}

// bySchool reports whether the rows are schools rather than regions.
func (r *visit) bySchool(region canyu.Region) bool {
	return region%100 != 0 || r.arg("by") == "school" || r.onlySchools
}

// query is what is searched for.
func (r *visit) query() string { return strings.TrimSpace(searchable(r.arg("q"))) }

// searchable is a text as it is searched: full-width letters and digits, which Chinese
// input methods type, are those that they mean.
func searchable(text string) string { return strings.ToLower(norm.NFKC.String(text)) }

func matches(q string, texts ...string) bool {
	return q == "" || slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(searchable(text), q) })
}

// noRegion reports whether something is searched for that no part of the region is
// called: then it is a school.
func (r *visit) noRegion(region canyu.Region, schools []*canyu.School) bool {
	q := r.query()
	return q != "" && !slices.ContainsFunc(schools, func(s *canyu.School) bool {
		part := region.Part(s.Region)
		return matches(q, r.s.region(part), part.String())
	})
}

// items are the rows, and the sums over all of them.
func (r *visit) items(region canyu.Region, c *census) (*sums, []*item) {
	var all sums
	var items []*item
	parts := make(map[canyu.Region]*item)
	bySchool := r.bySchool(region)
	c.each(r.activity, func(school *canyu.School, sum *sums, _ []canyu.Tally) {
		all.add(sum)
		if bySchool {
			own := *sum
			i := &item{Code: school.Code.String(), sums: &own, tile: tile{Name: school.Name}}
			if region%100 == 0 {
				i.Region = r.s.region(school.Region)
			}
			items = append(items, i)
			return
		}
		part := region.Part(school.Region)
		i := parts[part]
		if i == nil {
			i = &item{Code: part.String(), sums: &sums{}, tile: tile{Name: r.s.region(part)}}
			parts[part] = i
			items = append(items, i)
		}
		i.sums.add(sum)
	})
	for _, i := range items { // so that they add up to all
		i.sums.must = all.Required.Enrolled > 0
	}
	slices.SortFunc(items, func(a, b *item) int { return cmp.Compare(a.Code, b.Code) })
	return &all, items
}

// draw fills in what is shown of an item.
func (r *visit) draw(i *item, bySchool bool) {
	count, of, left := i.sums.headline()
	t := newTile(count, of, left)
	t.Name, t.Full, t.Key = i.Name, i.Name, i.Code
	if t.URL = r.link("/bureau/" + i.Code); bySchool {
		t.URL = r.link("/school/" + i.Code)
	}
	i.tile, i.Left = t, left
	i.Others = nil
	if !bySchool {
		i.Others = append(i.Others, number(i.sums.Schools), number(i.sums.Silent))
	}
	i.Others = append(i.Others, number(i.sums.Short))
	for _, role := range r.activity.Roles {
		if role != canyu.Student {
			i.Others = append(i.Others, number(i.sums.Tally[role]))
		}
	}
}

// filter leaves the items that were asked for, in the order that was asked for: by
// code unless somebody wants another. Nothing ranks by itself.
func (r *visit) filter(items []*item) []*item {
	show, q := r.arg("show"), r.query()
	shown := slices.DeleteFunc(slices.Clone(items), func(i *item) bool {
		_, _, left := i.sums.headline()
		switch {
		case show == "none" && i.sums.Tally[canyu.Student] > 0:
			return true
		case show == "short" && left == 0:
			return true
		}
		return !matches(q, i.Name, i.Code, i.Region)
	})
	by := r.sortedBy()
	key := func(i *item) float64 {
		count, of, left := i.sums.headline()
		switch by {
		case "rate":
			if q := rate(count, of); q != nil {
				return *q
			}
			return math.Inf(1)
		case "count":
			return float64(count)
		case "of":
			return float64(of)
		case "left":
			return float64(left)
		}
		return 0
	}
	slices.SortStableFunc(shown, func(a, b *item) int {
		order := cmp.Compare(key(a), key(b))
		switch by {
		case "code", "":
			order = cmp.Compare(a.Code, b.Code)
		case "name":
			order = cmp.Compare(a.Name, b.Name)
		}
		if r.arg("dir") == "down" {
			return -order
		}
		return order
	})
	return shown
}

// controls are what the table can be turned into.
func (r *visit) controls(v *bureauView, region canyu.Region) {
	s, bySchool := r.s, r.bySchool(region)
	v.Parts, v.Board = !bySchool, r.arg("view") == "board" || r.Wall
	option := func(list *[]pageLink, key, value, text string) {
		*list = append(*list, pageLink{URL: r.address(key, value, "page", "") + "#table", Text: s.page(text), Current: r.arg(key) == value})
	}
	option(&v.Views, "view", "", "view.table")
	option(&v.Views, "view", "board", "view.board")
	if region%100 == 0 {
		option(&v.Switch, "by", "", "by.region")
		option(&v.Switch, "by", "school", "by.school")
		v.Switch[0].Current, v.Switch[1].Current = !bySchool, bySchool
		if r.onlySchools {
			v.Switch[0].URL = r.address("by", "", "q", "", "page", "") + "#table" // else it would lead to schools again
		}
	}
	option(&v.Filters, "show", "", "show.all")
	option(&v.Filters, "show", "short", "show.short")
	option(&v.Filters, "show", "none", "show.none")
	v.Search = r.arg("q")
	for _, key := range []string{"activity", "lang", "by", "show", "view", "sort", "dir"} {
		if value := r.arg(key); value != "" {
			v.Keep = append(v.Keep, pageLink{Lang: key, Text: value})
		}
	}
	v.Heading = s.page("rows.regions")
	if bySchool {
		v.Heading = s.say("schools")
	}
	for _, c := range r.columns(bySchool) {
		if c.Key != "" {
			dir := ""
			if at := r.arg("sort"); at == c.Key || at == "" && c.Key == "code" {
				if c.Sorted, dir = "ascending", "down"; r.arg("dir") == "down" {
					c.Sorted, dir = "descending", ""
				}
			} else if c.Key == "count" || c.Key == "left" || c.Key == "of" {
				dir = "down"
			}
			c.URL = r.address("sort", c.Key, "dir", dir, "page", "") + "#table"
		}
		v.Head = append(v.Head, c)
	}
}

// columns of the table; those with a key can be sorted by.
func (r *visit) columns(bySchool bool) []columnHead {
	s := r.s
	name := s.say("region")
	if bySchool {
		name = s.say("school")
	}
	head := []columnHead{
		{Key: "code", Text: name}, {Key: "of", Text: s.page("column.of"), Number: true}, {Key: "count", Text: s.page("column.count"), Number: true},
		{Key: "rate", Text: s.say("rate"), Number: true}, {Key: "left", Text: s.page("column.left"), Number: true},
	}
	more := []string{s.page("column.short")}
	if !bySchool {
		more = append([]string{s.say("schools"), s.page("column.silent")}, more...)
	}
	for _, role := range r.activity.Roles {
		if role != canyu.Student {
			more = append(more, s.role(role))
		}
	}
	for _, text := range more {
		head = append(head, columnHead{Text: text, Number: true})
	}
	return head
}

func pagesOf(shown []*item, each int) int { return max(1, (len(shown)+each-1)/each) }

// pageAsked is the one that was asked for, else the first.
func (r *visit) pageAsked(pages int) int {
	at, err := strconv.Atoi(r.arg("page"))
	if err != nil || at < 1 || at > pages {
		return 1
	}
	return at
}

// onePage are the items of the page that was asked for.
func (r *visit) onePage(v *bureauView, shown []*item) []*item {
	pages := pagesOf(shown, itemsAtOnce)
	at := r.pageAsked(pages)
	first, last := (at-1)*itemsAtOnce, min(len(shown), at*itemsAtOnce)
	if asked := r.query() != "" || r.arg("show") != ""; asked && len(shown) > 0 {
		v.Matches = r.Say("matches", number(len(shown)))
	} else if pages > 1 {
		v.Matches = r.Say("matches.all", number(len(shown)))
	}
	if pages > 1 {
		v.Matches += r.Say("matches.page", number(first+1), number(last))
		for n := 1; n <= pages; n++ {
			if n == 1 || n == pages || max(n-at, at-n) <= 2 {
				v.Pages = append(v.Pages, pageLink{URL: r.address("page", strconv.Itoa(n)) + "#table", Text: strconv.Itoa(n), Current: n == at})
			} else if last := len(v.Pages) - 1; v.Pages[last].Text != "…" {
				v.Pages = append(v.Pages, pageLink{Text: "…"})
			}
		}
	}
	return shown[first:last]
}
