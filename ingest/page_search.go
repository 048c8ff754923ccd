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
func (p *pageRequest) search(s *Server, r *canyu.Roster) {
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
	found := s.schoolIndex(r).find(from, v.Query)
	if v.More = len(found) > mostFound; v.More {
		found = found[:mostFound]
	}
	for _, s := range found {
		v.Links = append(v.Links, link{URL: p.url(choice{school: s.Code.String(), role: p.at.role}), Text: s.Name, Note: s.Region.Name()})
	}
}

// schoolIndex is the schools of a roster as they are searched.
type schoolIndex struct {
	of      *canyu.Roster
	entries []schoolEntry
}

type schoolEntry struct {
	*canyu.School
	name, place, code string // folded
}

// schoolIndex is made once for each roster.
func (s *Server) schoolIndex(r *canyu.Roster) *schoolIndex {
	if x := s.searched.Load(); x != nil && x.of == r {
		return x
	}
	x := &schoolIndex{of: r}
	for _, sc := range r.Schools(0) {
		x.entries = append(x.entries, schoolEntry{sc, folded(sc.Name), folded(sc.Region.Name()), sc.Code.String()})
	}
	s.searched.Store(x)
	return x
}

// find are the schools of a region, or of everywhere, whose name, place or code has
// every word of the query: those that have it as it stands, then those that have its
// characters in this order, as 一小 in 第一小学.
func (x *schoolIndex) find(from canyu.Region, query string) []*canyu.School {
	words := strings.Fields(folded(query))
	type hit struct {
		*canyu.School
		rank int
	}
	var hits []hit
	for _, e := range x.entries {
		if from != 0 && !from.Contains(e.Region) {
			continue
		}
		rank := 0
		for _, w := range words {
			switch {
			case strings.HasPrefix(e.name, w), strings.HasPrefix(e.code, w):
			case strings.Contains(e.name, w):
				rank++
			case strings.Contains(e.place, w):
				rank += 2
			case inOrder(e.name, w):
				rank += 3 + len(e.name)
			default:
				rank = -1
			}
			if rank < 0 {
				break
			}
		}
		if rank >= 0 {
			hits = append(hits, hit{e.School, rank})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.rank, b.rank) })
	found := make([]*canyu.School, len(hits))
	for i, h := range hits {
		found[i] = h.School
	}
	return found
}

// folded is a text as it is compared: what looks the same is, letters are lower-cased,
// and traditional characters are simplified as far as names of schools and places need.
func folded(s string) string {
	return simplifiedNames.Replace(strings.ToLower(norm.NFKC.String(s)))
}

var simplifiedNames = func() *strings.Replacer {
	const pairs = "學学區区縣县鎮镇鄉乡實实驗验國国際际語语師师範范東东門门龍龙馬马華华興兴陽阳陰阴雲云蘭兰廣广莊庄橋桥灣湾島岛嶺岭" +
		"灘滩澤泽澗涧潔洁漢汉濟济濱滨瀘泸烏乌獅狮環环電电瑪玛畢毕礦矿穀谷築筑紅红級级綠绿線线總总羅罗義义習习聖圣職职聯联" +
		"臨临舊旧藝艺蘇苏處处衛卫觀观許许詩诗豐丰貴贵賢贤賓宾趙赵車车軍军農农連连進进運运達达遠远遼辽鄧邓鄭郑鐵铁銅铜錦锦" +
		"長长開开關关陳陈陸陆陝陕隊队雙双韓韩順顺頭头願愿風风飛飞養养餘余駱骆魯鲁鳳凤鶴鹤鹽盐麗丽黃黄點点齊齐齡龄個个萬万" +
		"與与專专業业創创勝胜勞劳圓圆園园團团堅坚報报塊块壩坝壽寿寧宁寶宝對对岡冈峽峡崗岗帶带幹干強强憶忆愛爱慶庆應应懷怀" +
		"戰战執执擴扩數数斷断時时會会條条棗枣極极榮荣樂乐樓楼樹树橫横機机歡欢歲岁氣气汙污決决沖冲溝沟溫温滿满潯浔潤润潛潜" +
		"澀涩營营爾尔牽牵獨独現现璽玺産产異异當当療疗盧卢監监眾众確确禮礼種种穩稳窩窝競竞筆笔節节簡简紀纪純纯紡纺細细紹绍" +
		"終终結结絲丝經经維维"
	runes := []rune(pairs)
	var list []string
	for i := 0; i+1 < len(runes); i += 2 {
		list = append(list, string(runes[i]), string(runes[i+1]))
	}
	return strings.NewReplacer(list...)
}()

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
