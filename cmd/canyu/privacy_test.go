package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/redis/go-redis/v9"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// spellings are the ways in which a text may lie about: in other encodings, and
// escaped.
func spellings(text string) [][]byte {
	gb, _ := simplifiedchinese.GB18030.NewEncoder().String(text)
	var little, big, escaped, entities, entitiesHex, percent []byte
	for _, u := range utf16.Encode([]rune(text)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
		escaped = fmt.Appendf(escaped, `\u%04x`, u)
	}
	for _, r := range text {
		entities, entitiesHex = fmt.Appendf(entities, "&#%d;", r), fmt.Appendf(entitiesHex, "&#x%x;", r)
	}
	for i := range len(text) {
		percent = fmt.Appendf(percent, "%%%02X", text[i])
	}
	all := [][]byte{[]byte(text), []byte(gb), little, big, escaped, bytes.ToUpper(escaped), entities, entitiesHex, bytes.ToUpper(entitiesHex),
		percent, bytes.ToLower(percent), []byte(url.QueryEscape(text)), []byte(hex.EncodeToString([]byte(text))), bytes.ToUpper([]byte(hex.EncodeToString([]byte(text))))}
	for _, raw := range []string{text, gb} {
		for shift := range 3 { // where it stands within three bytes
			code := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), raw...))
			code = code[(shift*8+5)/6 : (shift+len(raw))*8/6]
			all = append(all, []byte(code), []byte(strings.NewReplacer("+", "-", "/", "_").Replace(code)))
		}
	}
	return all
}

// search is every byte of everything, by where it is.
type search map[string][]byte

// has is where a text is, in whatever spelling.
func (s search) has(text string) (places []string) {
	forms := spellings(text)
	for place, content := range s {
		for _, form := range forms {
			if bytes.Contains(content, form) {
				places = append(places, fmt.Sprintf("%s (as %.40q)", place, form))
				break
			}
		}
	}
	return places
}

// wants fails unless the text is in each of the places: a search that finds nothing is
// no proof.
func (s search) wants(t *testing.T, text string, places ...string) {
	t.Helper()
	for _, place := range places {
		found := false
		for name, content := range s {
			if strings.HasPrefix(name, place) {
				one := search{name: content}
				found = found || len(one.has(text)) > 0
			}
		}
		if !found {
			t.Errorf("%q is not found in %s, where it should be: the search finds nothing there", text, place)
		}
	}
}

// add adds a content, and what is packed in it.
func (s search) add(place string, content []byte) {
	s[place] = content
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")):
		if z, err := zip.NewReader(bytes.NewReader(content), int64(len(content))); err == nil {
			for _, f := range z.File {
				if r, err := f.Open(); err == nil {
					text, _ := io.ReadAll(r)
					s.add(place+"!"+f.Name, text)
				}
			}
		}
	case bytes.HasPrefix(content, []byte{0x1f, 0x8b}):
		if z, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			text, _ := io.ReadAll(z)
			s.add(place+"!", text)
		}
	case strings.HasSuffix(place, ".eml"):
		if m, err := mail.ReadMessage(bytes.NewReader(content)); err == nil {
			s.addPart(place, textproto.MIMEHeader(m.Header), m.Body)
		}
	}
}

func (s search) addPart(place string, header textproto.MIMEHeader, body io.Reader) {
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	kind, params, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if !strings.HasPrefix(kind, "multipart/") {
		text, _ := io.ReadAll(body)
		s.add(place+"!"+kind, text)
		return
	}
	parts := multipart.NewReader(body, params["boundary"])
	for i := 0; ; i++ {
		p, err := parts.NextRawPart()
		if err != nil {
			return
		}
		s.addPart(fmt.Sprint(place, "!", i), p.Header, p)
	}
}

// folder adds every file of a folder.
func (s search) folder(t *testing.T, name, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path)
		s.add(name+relative, text)
		return err
	})
	check(t, err)
}

// redis adds every key and value that there is.
func (s search) redis(t *testing.T, name string, c *redis.Client) (keys []string) {
	t.Helper()
	ctx := context.Background()
	keys, err := c.Keys(ctx, "*").Result()
	check(t, err)
	for _, key := range keys {
		var value any
		switch kind := c.Type(ctx, key).Val(); kind {
		case "string":
			value = c.Get(ctx, key).Val()
		case "set":
			value = c.SMembers(ctx, key).Val()
		case "stream":
			for _, m := range c.XRange(ctx, key, "-", "+").Val() {
				value = fmt.Sprint(value, m.Values["p"], m.Values["o"])
			}
		case "none": // gone meanwhile
		default:
			t.Fatalf("%s is a %s, which this test cannot read", key, kind)
		}
		s.add(name+key, fmt.Append([]byte(key), " ", value))
	}
	return keys
}

// clickhouse adds every column of every table, and returns which there are.
func (s search) clickhouse(t *testing.T, name, dsn string) map[string][]string {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	check(t, err)
	c, err := clickhouse.Open(o)
	check(t, err)
	defer c.Close()
	column := func(query string) (texts []string) {
		rows, err := c.Query(context.Background(), query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			check(t, rows.Scan(&text))
			texts = append(texts, text)
		}
		return texts
	}
	database := o.Auth.Database
	tables := make(map[string][]string)
	for _, table := range column("select name from system.tables where database = '" + database + "'") {
		tables[table] = column("select name from system.columns where database = '" + database + "' and table = '" + table + "'")
		for _, name2 := range tables[table] {
			s.add(name+table+"."+name2, []byte(strings.Join(column("select toString("+name2+") from "+database+"."+table), "\n")))
		}
	}
	if len(tables) < 5 {
		t.Fatalf("tables: %v", tables)
	}
	return tables
}

// people are names that nobody has by chance, and what else a request tells of a person.
var people = []string{"欧阳测试甲", "司马测试乙", "诸葛测试丙", "OuyangTestTong", "上官測試丁", "夏侯测试戊", "皇甫测试己", "尉迟测试庚"}

var whereabouts = []string{"203.0.113.77", "198.51.100.23", "192.0.2.211", "2001:db8:cafe:7::17", "AgentOfTheTest/7.13 (Windows NT 6.1)", "zh-TEST;q=0.7"}

// from are a visitor's headers, as a proxy hands them on.
func from(h map[string][]string) map[string][]string {
	h["X-Forwarded-For"] = []string{"203.0.113.77, 192.0.2.211"}
	h["X-Real-Ip"] = []string{"198.51.100.23"}
	h["Forwarded"] = []string{`for="[2001:db8:cafe:7::17]:4711";proto=http`}
	h["User-Agent"] = []string{"AgentOfTheTest/7.13 (Windows NT 6.1)"}
	h["Accept-Language"] = []string{"zh-TEST;q=0.7"}
	return h
}

// week is a file of a week's submissions: students by seat, with their names, parents and
// teachers by name. The students' seats are returned.
func (s *site) week(messages string) (lines []byte, students map[seatOf]bool) {
	students = make(map[seatOf]bool)
	at := 0
	add := func(fields map[string]any) {
		day := todayOf(-6 + at%7)
		fields["at"] = fmt.Sprintf("%sT08:%02d:%02d.%03d+08:00", day, at/60%60, at%60, at%1000)
		fields["message"] = fmt.Sprint(messages, at)
		fields["id"] = fmt.Sprint("week-", at)
		lines = append(append(lines, s.submission(fields)...), '\n')
		at++
	}
	for _, grade := range []int{1, 3, 5} {
		for seat := 1; seat <= 20; seat++ {
			students[seatOf{grade, 1, seat}] = true
			add(map[string]any{"grade": grade, "class": 1, "seat": seat, "name": people[seat%len(people)]})
			if seat%4 == 0 {
				add(map[string]any{"grade": grade, "class": 1, "seat": seat, "name": people[(seat+1)%len(people)], "role": "parent"})
			}
		}
		for _, name := range people {
			add(map[string]any{"grade": grade, "class": 1, "seat": nil, "name": name, "role": "teacher"})
		}
	}
	return lines, students
}

// strangeRequests are what else may have a name in it.
func (s *site) strangeRequests(v *server, message string) {
	s.t.Helper()
	for i, fields := range []map[string]any{
		{"name": people[0]},
		{"name": people[1], "role": "parent"},
		{"name": people[2], "role": "teacher", "seat": nil},
		{"name": people[3], "role": "parent"},
		{"name": people[0], "role": "visitor"},             // refused
		{"name": people[0], "seat": 999},                   // refused
		{people[2]: people[0]},                             // refused: the name of a field
		{"name": strings.Repeat(people[1], 20), "seat": 5}, // refused
		{"name": people[4], "school": people[5]},
		{"name": people[4], "activity": people[5]},
		{"name": people[4], "steps": []string{people[5]}},
		{"name": people[4], "id": strings.Repeat(people[6], 9)},
	} {
		fields["message"] = message
		if status, body := s.send(v, "/v1/participations", "application/json", s.submission(fields)); i < 4 && status != 201 {
			s.t.Fatalf("%v: %d %s", fields, status, body)
		}
	}
	for _, body := range []string{`{"activity":"` + s.activity + `","name":"` + people[7], people[7], `[{"name":["` + people[7] + `"]}]`} {
		s.send(v, "/v1/participations", "application/json", body)
	}
	form := url.Values{"school": {"3418020001"}, "grade": {"3"}, "class": {"2"}, "role": {"parent"}, "seat": {"20"}, "name": {people[0]}, "message": {message}}
	s.send(v, "/a/"+s.activity, "application/x-www-form-urlencoded", form.Encode())
	s.send(v, "/a/"+url.PathEscape(people[5])+"?name="+url.QueryEscape(people[6]), "application/x-www-form-urlencoded", form.Encode())
	s.send(v, "/v1/activities/"+s.activity+"/seats?school="+url.QueryEscape(people[5]), "", "")
}

// damagedEntry adds an entry of the log again, cut short, as by a disk's fault.
func damagedEntry(t *testing.T, c *redis.Client, activity string) {
	t.Helper()
	ctx, log := context.Background(), "canyu{"+activity+"/0}log"
	entries, err := c.XRangeN(ctx, log, "-", "+", 1).Result()
	if err != nil || len(entries) == 0 {
		t.Fatalf("the log is empty: %v", err)
	}
	p, _ := entries[0].Values["p"].(string)
	check(t, c.XAdd(ctx, &redis.XAddArgs{Stream: log, Values: []any{"p", p[:len(p)-1], "o", entries[0].Values["o"]}}).Err())
}

func countsOf(t *testing.T, v *server, activity string) (participants string) {
	t.Helper()
	status, body, err := v.get("/v1/activities/" + activity + "/counts?region=341802")
	var c struct{ Participants json.RawMessage }
	if err == nil {
		err = json.Unmarshal([]byte(body), &c)
	}
	if err != nil || status != 200 {
		t.Fatalf("counts: %d %.300s %v", status, body, err)
	}
	return string(c.Participants)
}
