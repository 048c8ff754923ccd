package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"
)

// page is what a visitor with this cookie gets, or the test ends.
func (v *server) page(path, cookie string) string {
	v.t.Helper()
	status, _, body := ask(v.t, "GET", v.url+path, cookie)
	if status != 200 {
		v.t.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

// texts are the texts of the elements that have the attribute, by its value.
func texts(t *testing.T, page, attribute string) map[string]string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key != attribute {
				continue
			}
			var words []string
			for d := range n.Descendants() {
				if d.Type == html.TextNode && strings.TrimSpace(d.Data) != "" {
					words = append(words, strings.TrimSpace(d.Data))
				}
			}
			found[a.Val] = strings.Join(words, " ")
		}
	}
	return found
}

func digits(text string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
	if err != nil {
		return -1
	}
	return n
}

// Every number of the pages of the week of 2017 against those that were counted
// independently.
func TestPagesOfTheWeek(t *testing.T) {
	t.Parallel()
	want := readExpected(t)
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "", "2017-04-01", "2017-04-07")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		s.apart("replay", s.weekFile())
		v := s.serve()
		visitor := newVisitors(t, s)["admin"]

		count, of := 0, 0
		for code, w := range want.Schools {
			page := v.page("/school/"+code, visitor)
			ids, facts := texts(t, page, "id"), texts(t, page, "data-fact")
			if digits(ids["count"]) != w.RequiredCount || digits(ids["of"]) != w.RequiredEnrolled {
				t.Errorf("%s: %s of %s, want %d of %d", code, ids["count"], ids["of"], w.RequiredCount, w.RequiredEnrolled)
			}
			for _, role := range []string{"parent", "teacher"} {
				if n := sum(w.New[role]); digits(facts[role]) != n {
					t.Errorf("%s: %s %s, want %d", code, facts[role], role, n)
				}
			}
			tiles := texts(t, page, "data-tile")
			for _, c := range want.Classes {
				if c[0] == code {
					key := fmt.Sprintf("%v.%v", c[1], c[2])
					if told := strings.Fields(tiles[key]); !slices.Contains(told, fmt.Sprint(c[4])) || !slices.Contains(told, fmt.Sprint(c[3])) {
						t.Errorf("%s %s: %q, want %v of %v", code, key, tiles[key], c[4], c[3])
					}
				}
			}
			count, of = count+w.RequiredCount, of+w.RequiredEnrolled
		}
		for _, region := range []string{"341800", "340000", "100000"} {
			ids := texts(t, v.page("/bureau/"+region, visitor), "id")
			if digits(ids["count"]) != count || digits(ids["of"]) != of {
				t.Errorf("%s: %s of %s, want %d of %d", region, ids["count"], ids["of"], count, of)
			}
		}
		v.eventually("the days of a page that did not wait for them", func() error {
			if page := v.page("/bureau/341800", visitor); !strings.Contains(texts(t, page, "id")["days"], "正在汇总") {
				checkDays(t, page, want)
				return nil
			}
			return errors.New("they are still being read")
		})
		checkBureauFiles(t, v, visitor, want)
		v.stop()
	})
}

func sum(list []int) (n int) {
	for _, of := range list {
		n += of
	}
	return n
}

// checkDays holds the table of days against the sums over all schools.
func checkDays(t *testing.T, page string, want expected) {
	t.Helper()
	days := texts(t, page, "id")["days"]
	total := 0
	for day := range 7 {
		student, parent, teacher, submissions := 0, 0, 0, 0
		for _, w := range want.Schools {
			student += w.New["student"][day]
			parent += w.New["parent"][day]
			teacher += w.New["teacher"][day]
			submissions += w.Submissions[day]
		}
		total += student
		row := regexp.MustCompile(fmt.Sprintf(`4月%d日 周. (\S+) (\S+) (\S+) (\S+) (\S+)`, day+1)).FindStringSubmatch(days)
		if row == nil {
			t.Errorf("day %d is missing in %s", day+1, days)
			continue
		}
		for i, n := range []int{student, total, parent, teacher, submissions} {
			if digits(row[i+1]) != n {
				t.Errorf("day %d, column %d: %s, want %d", day+1, i+1, row[i+1], n)
			}
		}
	}
}

// checkBureauFiles reads what a bureau can take home.
func checkBureauFiles(t *testing.T, v *server, visitor string, want expected) {
	t.Helper()
	text := v.page("/bureau/341800/table.csv?by=school", visitor)
	if !strings.HasPrefix(text, "\ufeff") {
		t.Errorf("the table begins with %q", text[:6])
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(want.Schools)+2 {
		t.Errorf("%d rows of %d schools, a heading and a sum", len(rows), len(want.Schools))
	}
	for _, row := range rows[1:] {
		if w, ok := want.Schools[row[0]]; ok && (row[2] != fmt.Sprint(w.RequiredEnrolled) || row[3] != fmt.Sprint(w.RequiredCount)) {
			t.Errorf("%v, want %d of %d", row, w.RequiredCount, w.RequiredEnrolled)
		}
	}
	book, err := excelize.OpenReader(strings.NewReader(v.page("/bureau/341800/table.xlsx?by=school&sort=left&dir=down", visitor)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	cells, err := book.GetRows(book.GetSheetName(0), excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range cells[1 : len(cells)-1] { // a file ranks nobody
		if i > 0 && row[0] > cells[i][0] {
			t.Errorf("row %d is %s, the one before %s", i, row[0], cells[i][0])
		}
	}
}

// Seats, filters, receipts and refusals of one small school.
func TestPagesOfASchool(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "")
	s.must("roster", "import", s.file("roster.csv", []byte("region,school,name,grade,class,enrolled\n"+
		"341802,3418020001,=1+1小学,3,1,5\n341802,3418020001,=1+1小学,1,1,4\n341802,3418020002,空空小学,3,1,30\n")))
	v := s.serve()
	visitors := newVisitors(t, s)
	county := visitors["county"]
	var receipt string
	for _, seat := range []int{2, 5} {
		_, body := v.post("application/json", s.submission(map[string]any{"grade": 3, "class": 1, "seat": seat}))
		if receipt = regexp.MustCompile(`"receipt":"([^"]+)"`).FindStringSubmatch(body)[1]; receipt == "" {
			t.Fatal(body)
		}
	}
	page := ""
	v.eventually("two of five", func() error { // one second is how long a page keeps its numbers
		page = v.page("/school/3418020001?grade=3&class=1", county)
		if ids := texts(t, page, "id"); ids["count"] != "2" || ids["of"] != "5" || ids["rate"] != "40.0%" {
			return fmt.Errorf("%s of %s, %s", ids["count"], ids["of"], ids["rate"])
		}
		return nil
	})
	if seats := texts(t, page, "id")["seats"]; !strings.Contains(seats, "未参与座号： 1、3、4") || !strings.Contains(seats, "已参与 2 人") {
		t.Errorf("seats: %s", seats)
	}
	for path, want := range map[string]string{
		"/school/3418020001/not-yet.csv?grade=3&class=1": "\ufeff年级,班级,座号\r\n3,1,1\r\n3,1,3\r\n3,1,4\r\n",
		"/school/3418020001/not-yet.csv":                 "\ufeff年级,班级,在校人数,学生,未参与,未参与座号\r\n3,1,5,2,3,1、3、4\r\n",
		"/school/3418020001/classes.csv": "\ufeff代码,学校,年级,班级,在校人数,学生,参与率,家长,教师\r\n" +
			"3418020001,'=1+1小学,1,1,4,0,0.0000,0,0\r\n3418020001,'=1+1小学,3,1,5,2,0.4000,0,0\r\n",
		"/bureau/341802/table.csv?show=none": "\ufeff代码,学校,应参与,已参与,参与率,未参与,未全员参与班级,在校人数,学生,家长,教师\r\n" +
			"3418020002,空空小学,30,0,0.0000,30,1,30,0,0,0\r\n",
	} {
		if got := v.page(path, county); got != want {
			t.Errorf("%s:\n%q, want\n%q", path, got, want)
		}
	}
	if got := texts(t, v.page("/school/3418020001/not-yet.html", county), "class")["open"]; got != "4" {
		t.Errorf("the printed list ends with seat %q", got)
	}
	if got := v.page("/school/3418020001/links", county); strings.Count(got, "<svg") != 2 {
		t.Errorf("the sheet has %d codes", strings.Count(got, "<svg"))
	}
	for q, want := range map[string]int{"": 2, "q=" + "%E7%A9%BA": 1, "q=0001": 1, "q=" + url.QueryEscape("３４１８０２０００１"): 1, "q=" + url.QueryEscape("＝１＋１"): 1, "q=nobody": 0, "show=none": 1, "show=short": 2} {
		if rows := texts(t, v.page("/bureau/341802?"+q, county), "data-row"); len(rows) != want {
			t.Errorf("%q: %d rows, want %d", q, len(rows), want)
		}
	}
	// Of a city, what no county is called is looked for among its schools.
	for q, want := range map[string]string{"q=%E5%AE%A3%E5%B7%9E": "341802", "q=0002": "3418020002", "q=0002&show=short": "3418020002", "q=%E7%A9%BA": "3418020002", "q=%E7%A9%BA&by=school": "3418020002"} {
		path := "/bureau/341800?" + q
		page := v.page(path, visitors["city"])
		rows := texts(t, page, "data-row")
		if _, ok := rows[want]; !ok || len(rows) != 1 {
			t.Errorf("%s: %v, want %s", path, rows, want)
		}
		if table := v.page(strings.Replace(path, "?", "/table.csv?", 1), visitors["city"]); !strings.Contains(table, want) {
			t.Errorf("%s as a file: %s", path, table)
		}
		current := "按学校"
		if len(want) == 6 {
			current = "按区划"
		}
		tabs := regexp.MustCompile(`<a href="([^"]+)"( aria-current="true")?>(按..)</a>`).FindAllStringSubmatch(page, -1)
		for _, tab := range tabs {
			if (tab[2] != "") != (tab[3] == current) {
				t.Errorf("%s: current is %q", path, tab)
			}
		}
		if back, _, _ := strings.Cut(html.UnescapeString(tabs[0][1]), "#"); len(texts(t, v.page(back, visitors["city"]), "data-row")["341802"]) == 0 {
			t.Errorf("%s: no way back to the counties by %s", path, back)
		}
	}
	if rows := texts(t, v.page("/bureau/341800?q=nobody", visitors["city"]), "data-row"); len(rows) != 0 {
		t.Errorf("nobody: %v", rows)
	}
	for form, want := range map[string]string{
		"of=3.1&receipt=" + strings.ToLower(receipt):       "三年级1班 5 号学生，已计入",
		"of=3.1&receipt=" + url.QueryEscape(wide(receipt)): "三年级1班 5 号学生，已计入",
		"of=1.1&receipt=" + receipt:                        "一年级1班的学生中没有这张回执。家长、教师的回执不能在这里核对。",
		"of=&receipt=" + receipt:                           "请选择班级",
	} {
		if got := v.check(form, county); !strings.Contains(got, want) {
			t.Errorf("%s: %s", form, got)
		}
	}
	for _, path := range []string{"/school/3418029999", "/school/12", "/school/3418020001/nothing", "/bureau/341802/table.exe",
		"/bureau/341802/report.html?day=2017-04-01&revision=1", "/school/3418020001/not-yet.csv/x"} {
		if status, _, body := ask(t, "GET", v.url+path, visitors["admin"]); status != 404 || !strings.Contains(body, "没有这个页面") {
			t.Errorf("%s: %d", path, status)
		}
	}
	v.stop()
}

// A wall names its schools without the region that heads it, and shows all of them by
// turns.
func TestPagesOfAWall(t *testing.T) {
	t.Parallel()
	names := map[string]string{ // of the roster, on the wall
		"安徽省宣城市宣州区水阳镇中心小学": "水阳镇中心小学", "宣州区水阳镇初级中学": "水阳镇初级中学", "宣城市第二中学": "宣城市第二中学",
		"宣州区第一小学": "宣州区第一小学", "第一小学": "第一小学", "宣州区校": "宣州区校",
	}
	for n := len(names); n < 61; n++ {
		names[fmt.Sprintf("宣州区第%d小学", n)] = fmt.Sprintf("第%d小学", n)
	}
	roster, want, n := "region,school,name,grade,class,enrolled\n", make(map[string]string), 0
	for name, told := range names {
		n++
		want[fmt.Sprintf("341802%04d", n)] = told
		roster += fmt.Sprintf("341802,341802%04d,%s,3,1,5\n", n, name)
	}
	s := newSite(t, pair{}, "")
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	v := s.serve()
	county := newVisitors(t, s)["county"]
	for path, more := range map[string]string{"/bureau/341802?screen=wall": "第 1–31 所，共 61 所", "/bureau/341802?page=2&screen=wall": "第 32–61 所，共 61 所"} {
		page := v.page(path, county)
		for code, tile := range texts(t, page, "data-tile") {
			if told, _, _ := strings.Cut(tile, " "); told != want[code] {
				t.Errorf("%s is called %s, want %s", code, told, want[code])
			}
			delete(want, code)
		}
		next := "/bureau/341802?page=2&screen=wall"
		if path == next {
			next = "/bureau/341802?page=1&screen=wall"
		}
		if told := texts(t, page, "data-next"); told[next] != more {
			t.Errorf("%s: %v, want %q and then %s", path, told, more, next)
		}
	}
	if len(want) > 0 {
		t.Errorf("not on the wall: %v", want)
	}
	if page := v.page("/bureau/341802", county); !strings.Contains(page, "安徽省宣城市宣州区水阳镇中心小学") || strings.Contains(page, "data-next") {
		t.Error("the table is that of a wall")
	}
	v.stop()
}

// wide is a text as some input methods type it.
func wide(text string) string {
	return strings.Map(func(r rune) rune { return r - '!' + '！' }, text)
}

// A table that is cut says how many there are in all, or match; one that is whole only
// says how many match.
func TestPagesOfManySchools(t *testing.T) {
	t.Parallel()
	roster := "region,school,name,grade,class,enrolled\n"
	for n := 1; n <= 230; n++ {
		roster += fmt.Sprintf("341802,341802%04d,第%d小学,3,1,5\n", n, n)
	}
	s := newSite(t, pair{}, "")
	s.must("roster", "import", s.file("roster.csv", []byte(roster)))
	v := s.serve()
	visitors := newVisitors(t, s)
	for path, want := range map[string]string{
		"/bureau/341802":                                "共 230 项。本页显示第 1–100 项。",
		"/bureau/341802?page=3":                         "共 230 项。本页显示第 201–230 项。",
		"/bureau/341802?lang=zh-Hant&page=3":            "共 230 項。本頁顯示第 201–230 項。",
		"/bureau/341802?q=" + url.QueryEscape("第1"):     "符合条件的共 111 项。本页显示第 1–100 项。",
		"/bureau/341802?show=none":                      "符合条件的共 230 项。本页显示第 1–100 项。",
		"/bureau/341802?lang=en&page=2&q=3":             "Matches: 230. Shown here: 101–200.", // each code has a 3
		"/bureau/341802?q=" + url.QueryEscape("第220小学"): "符合条件的共 1 项。",
		"/bureau/341802?q=nobody":                       "",
		"/bureau/341800":                                "", // one county
	} {
		if got := texts(t, v.page(path, visitors["city"]), "id")["matches"]; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	v.stop()
}

// check is what the form of receipts answers.
func (v *server) check(form, cookie string) string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), "POST", v.url+"/school/3418020001", strings.NewReader(form))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Cookie", cookie)
	r, err := httpClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		v.t.Fatal(err)
	}
	return texts(v.t, b.String(), "id")["receipt"]
}
