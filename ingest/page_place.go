package ingest

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
)

// choice is what a visitor has chosen so far, as it stands in the address. Nothing
// of it is known to exist.
type choice struct {
	region, school, grade, class, role string

	mode string // "class": at one screen, else ""
	seat string // in that mode, the pupil's
}

// choiceOf leaves out what is too long to mean anything: it would stand in every
// link of the page.
func choiceOf(args *fasthttp.Args) choice {
	short := func(name string) string {
		if s := arg(args, name); len(s) <= len("3418020001") {
			return s
		}
		return ""
	}
	c := choice{region: short("region"), school: short("school"), grade: short("grade"), class: short("class"), role: short("role")}
	if short("mode") == "class" {
		c.mode = "class"
	}
	return c
}

// url is the address of the page with this choice.
func (p *pageRequest) url(c choice) string { return p.urlIn(c, p.lang) }

func (p *pageRequest) urlIn(c choice, lang string) string {
	if c.school != "" {
		c.region = "" // the roster knows it
	}
	q := ""
	for _, kv := range [...][2]string{
		{"region", c.region}, {"school", c.school}, {"grade", c.grade}, {"class", c.class}, {"role", c.role}, {"mode", c.mode}, {"seat", c.seat}, {"lang", lang},
	} {
		if kv[1] != "" {
			q += "&" + kv[0] + "=" + url.QueryEscape(kv[1])
		}
	}
	if q == "" {
		return "/a/" + p.a.ID
	}
	return "/a/" + p.a.ID + "?" + q[1:]
}

// list is one list of links, in groups.
type list struct {
	Title  string
	Groups []linkGroup
}

type linkGroup struct {
	Title string
	Kind  string // regions, schools or classes
	Links []link
}

// place shows the form of the class that was chosen, or what is to be chosen next.
func (p *pageRequest) place(s *Server, r *canyu.Roster) {
	if sc, grade, class := p.at.find(r); sc != nil && p.at.class != "" {
		if p.at.mode != "" && p.oneScreen() && p.atSeat() == "" {
			p.classGrid(s, sc, grade, class)
			return
		}
		p.form(r, newForm(p.at, p.a), nil, fasthttp.StatusOK)
		return
	}
	p.choose(s, r, fasthttp.StatusOK)
}

// find is the school, grade and class that the choice means; the school is nil
// where it means no class of the roster.
func (c choice) find(r *canyu.Roster) (school *canyu.School, grade uint8, class uint16) {
	code, err := canyu.ParseSchoolCode(c.school)
	if err != nil {
		return nil, 0, 0
	}
	g, _ := strconv.ParseUint(c.grade, 10, 8)
	n, _ := strconv.ParseUint(c.class, 10, 16)
	if school = r.School(code); school == nil {
		return nil, 0, 0
	}
	if _, ok := school.Enrolled(uint8(g), uint16(n)); !ok {
		return nil, 0, 0
	}
	return school, uint8(g), uint16(n)
}

// choose lists the classes of a school, else the schools and regions of a region.
func (p *pageRequest) choose(s *Server, r *canyu.Roster, status int) {
	if code, err := canyu.ParseSchoolCode(p.at.school); err == nil {
		if sc := r.School(code); sc != nil {
			p.chooseClass(sc)
			p.write(status, "choose")
			return
		}
	}
	p.chooseSchool(r)
	p.search(s, r)
	p.write(status, "choose")
}

func (p *pageRequest) chooseClass(s *canyu.School) {
	p.Where = &where{
		Text:   s.Region.Name() + " · " + s.Name,
		URL:    p.url(choice{region: s.Region.String(), role: p.at.role}),
		Change: p.T.Say("change.school"),
	}
	l := list{Title: p.T.Say("choose.class")}
	only, _ := strconv.ParseUint(p.at.grade, 10, 8)
	if !slices.ContainsFunc(s.Classes, func(c canyu.SchoolClass) bool { return uint64(c.Grade) == only }) {
		only = 0
	}
	for _, c := range s.Classes {
		if only != 0 && uint64(c.Grade) != only {
			continue
		}
		title := p.T.grade(c.Grade)
		if n := len(l.Groups); n == 0 || l.Groups[n-1].Title != title {
			l.Groups = append(l.Groups, linkGroup{Title: title, Kind: "classes"})
		}
		g := &l.Groups[len(l.Groups)-1]
		to := choice{school: s.Code.String(), grade: strconv.Itoa(int(c.Grade)), class: strconv.Itoa(int(c.Number)), role: p.at.role}
		g.Links = append(g.Links, link{URL: p.url(to), Text: p.T.Say("class", c.Number)})
	}
	p.Lists = append(p.Lists, l)
}

func (p *pageRequest) chooseSchool(r *canyu.Roster) {
	from, err := canyu.ParseRegion(p.at.region)
	if err != nil || len(r.Schools(from)) == 0 {
		from = 0
	}
	at, regions, schools := within(r, from)
	if at != 0 {
		p.Where = &where{Text: fullName(at)}
		if top, _, _ := within(r, 0); top != at {
			p.Where.URL, p.Where.Change = p.url(choice{role: p.at.role}), p.T.Say("change.region")
		}
	}
	if len(regions) > 0 {
		g := linkGroup{Kind: "regions"}
		for _, c := range regions {
			g.Links = append(g.Links, link{URL: p.url(choice{region: c.String(), role: p.at.role}), Text: c.Name()})
		}
		p.Lists = append(p.Lists, list{Title: p.T.Say("choose.region"), Groups: []linkGroup{g}})
	}
	if len(schools) > 0 {
		g := linkGroup{Kind: "schools"}
		for _, s := range schools {
			g.Links = append(g.Links, link{URL: p.url(choice{school: s.Code.String(), role: p.at.role}), Text: s.Name})
		}
		p.Lists = append(p.Lists, list{Title: p.T.Say("choose.school"), Groups: []linkGroup{g}})
	}
}

// within is what there is to choose in a region (0: everywhere): the regions one
// level below and the schools directly in it. Where there is only one region to
// choose it is taken, so a county's roster begins with its schools.
func within(r *canyu.Roster, at canyu.Region) (canyu.Region, []canyu.Region, []*canyu.School) {
	for {
		var regions []canyu.Region
		var schools []*canyu.School
		seen := make(map[canyu.Region]bool)
		for _, s := range r.Schools(at) {
			c := cmp.Or(at, canyu.Nation).Part(s.Region)
			switch {
			case c == at:
				schools = append(schools, s)
			case !seen[c]:
				seen[c] = true
				regions = append(regions, c)
			}
		}
		if len(regions) != 1 || len(schools) > 0 {
			slices.Sort(regions)
			return at, regions, schools
		}
		at = regions[0]
	}
}

// fullName is a region with what it lies in: 安徽省宣城市宣州区.
func fullName(r canyu.Region) string {
	if up := r.Parent(); up != r {
		return fullName(up) + r.Name()
	}
	return r.Name()
}

// whereClass is the class of the choice, which is in the roster.
func (p *pageRequest) whereClass(r *canyu.Roster) *where {
	s, grade, class := p.at.find(r)
	if s == nil {
		return nil
	}
	return &where{
		Text:   s.Name + " · " + p.T.classOf(grade, class),
		URL:    p.url(choice{school: p.at.school, role: p.at.role}),
		Change: p.T.Say("change.class"),
		Place:  "?school=" + s.Code.String() + "&grade=" + strconv.Itoa(int(grade)) + "&class=" + strconv.Itoa(int(class)),
	}
}
