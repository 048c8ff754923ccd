package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/redis/go-redis/v9"
)

// No name from the input is found anywhere: not in the data folder, in Redis, in
// ClickHouse, in the log or in the metrics. A message is, so the search can find.
func TestNoNames(t *testing.T) {
	t.Parallel()
	names := []string{"欧阳测试甲", "司马测试乙", "诸葛测试丙", "OuyangTest"}
	const message = "这一句留言找得到"
	eachPair(t, func(t *testing.T, p pair) {
		s := newSite(t, p, "")
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		v := s.serve("--run", "ingest")
		for i, fields := range []map[string]any{
			{"name": names[0]},
			{"name": names[1], "role": "parent"},
			{"name": names[2], "role": "teacher", "seat": nil},
			{"name": names[3], "role": "parent"},
			{"name": names[0], "role": "visitor"},             // refused
			{"name": names[0], "seat": 999},                   // refused
			{names[2]: names[0]},                              // refused: the name of a field
			{"name": strings.Repeat(names[1], 20), "seat": 5}, // refused
		} {
			fields["message"] = message
			if status, body := v.post("application/json", s.submission(fields)); i < 4 && status != 201 {
				t.Fatalf("%v: %d %s", fields, status, body)
			}
		}
		r, err := httpClient.PostForm(v.url+"/a/"+s.activity, map[string][]string{
			"school": {"3418020001"}, "grade": {"3"}, "class": {"2"}, "role": {"parent"}, "seat": {"20"}, "name": {names[0]}, "message": {message}})
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		_, metrics, err := v.get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		found := s.redisText(p) // the log, before rollup has read it
		v.stop()
		v = s.serve()
		v.stop()
		s.must("report", "render", "--region", "341802", "--date", todayInShanghai(), "--out", filepath.Join(s.dir, "data"))
		found = append(found, s.redisText(p)...)
		found = append(found, s.clickhouseText(p)...)
		found = append(found, s.folderText()...)
		found = append(found, v.log.String()+v.out.String()+metrics...)
		if !bytes.Contains(found, []byte(message)) {
			t.Fatal("the message was not found: the search cannot find anything")
		}
		for _, name := range names {
			if bytes.Contains(found, []byte(name)) {
				t.Errorf("%s was stored", name)
			}
		}
	})
}

// folderText is every byte of the data folder.
func (s *site) folderText() (all []byte) {
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, text...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// redisText is every key and value of the activity.
func (s *site) redisText(p pair) (all []byte) {
	if p.dsn == "" {
		return nil
	}
	o, err := redis.ParseURL(os.Getenv("CANYU_TEST_REDIS"))
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer c.Close()
	ctx := context.Background()
	keys, err := c.Keys(ctx, "*"+s.activity+"*").Result()
	if err != nil || len(keys) == 0 {
		s.t.Fatalf("no keys of %s: %v", s.activity, err)
	}
	for _, key := range keys {
		var value any
		switch c.Type(ctx, key).Val() {
		case "string":
			value = c.Get(ctx, key).Val()
		case "set":
			value = c.SMembers(ctx, key).Val()
		case "stream":
			value = c.XRange(ctx, key, "-", "+").Val()
		default:
			s.t.Fatalf("%s is of no known type", key)
		}
		all = fmt.Append(all, key, value)
	}
	return all
}

// clickhouseText is every row of every table.
func (s *site) clickhouseText(p pair) (all []byte) {
	if p.dsn == "" {
		return nil
	}
	o, err := clickhouse.ParseDSN(p.dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := clickhouse.Open(o)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	column := func(query string) (texts []string) {
		rows, err := c.Query(context.Background(), query)
		if err != nil {
			s.t.Fatalf("%s: %v", query, err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				s.t.Fatal(err)
			}
			texts = append(texts, text)
		}
		return texts
	}
	database := o.Auth.Database
	tables := column("select name from system.tables where database = '" + database + "'")
	if len(tables) < 5 {
		s.t.Fatalf("tables: %v", tables)
	}
	for _, table := range tables {
		for _, name := range column("select name from system.columns where database = '" + database + "' and table = '" + table + "'") {
			all = fmt.Append(all, column("select toString("+name+") from "+database+"."+table))
		}
	}
	return all
}
