package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/redis/go-redis/v9"

	"github.com/canyu/canyu"
)

// memory: what a participant takes, in classes of 50 that are full, when the archive
// has everything.
func (c *GrowthCmd) memory(ctx context.Context) error {
	sizes, err := numbers(c.Memory)
	if err != nil {
		return err
	}
	for _, engine := range splitList(c.Engines) {
		if err := c.memoryOf(ctx, engine, sizes); err != nil {
			return err
		}
	}
	return nil
}

func (c *GrowthCmd) memoryOf(ctx context.Context, engine string, sizes []int64) error {
	most := int64(0)
	for _, n := range sizes {
		most = max(most, n)
	}
	// Arrays of two classes each: what is recorded is whole classes.
	st, err := c.Place.open(schoolsFor(most), SourceOptions{Array: MaxArray})
	if err != nil {
		return err
	}
	defer st.close()
	n, err := st.engine(ctx, "memory", engine)
	if err != nil {
		return err
	}
	var rows [][]string
	var used0 int64
	if engine == "embedded" {
		rows = [][]string{{"participants", "server memory", "ledger on disk, bytes each", "archive on disk, bytes each"}}
	} else {
		rows = [][]string{{"participants", "Redis used_memory, bytes each", "MEMORY USAGE of all keys, bytes each", "keys", "server memory",
			"ClickHouse participants, compressed bytes each", "submissions", "rows of both"}}
		if used0, _, _, err = redisMemory(ctx, n.redis, false); err != nil {
			return err
		}
	}
	recorded := int64(0)
	for _, size := range sizes {
		res, err := Run(ctx, Options{Target: n.target, Source: st.source, Schedule: Flood{}, Connections: 32, Timeout: time.Minute,
			First: recorded / MaxArray, Count: (size - recorded) / MaxArray})
		if err == nil {
			err = errors.Join(ctx.Err(), allCounted(res))
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, n.lastLines())
		}
		recorded = size / MaxArray * MaxArray
		if err := n.archived(ctx, c.Limit); err != nil {
			return err
		}
		settle(ctx, c.Patience)
		each := func(b int64) string { return fmt.Sprintf("%.2f", float64(b)/float64(recorded)) }
		server := megabytes(resident(n.cmd.Process.Pid))
		if engine == "embedded" {
			ledger, archive, err := dataSizes(filepath.Join(st.dir, n.name))
			if err != nil {
				return err
			}
			rows = append(rows, []string{thousands(recorded), server, each(ledger), each(archive)})
			continue
		}
		used, sum, keys, err := redisMemory(ctx, n.redis, true)
		if err != nil {
			return err
		}
		people, submissions, stored, err := clickhouseBytes(ctx, n.clickhouse)
		if err != nil {
			return err
		}
		rows = append(rows, []string{thousands(recorded), each(used - used0), each(sum), thousands(keys), server,
			fmt.Sprintf("%.2f", people), fmt.Sprintf("%.2f", submissions), thousands(stored)})
	}
	c.title("Memory and disk: %s", engine)
	return table(c.out, rows)
}

// redisMemory is used_memory, and where all is set MEMORY USAGE summed over all keys.
func redisMemory(ctx context.Context, server string, all bool) (used, sum, keys int64, err error) {
	o, err := redis.ParseURL(server)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("cannot parse the Redis URL: %w", err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("cannot ask Redis for its memory: %w", err)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			if used, err = strconv.ParseInt(v, 10, 64); err != nil {
				return 0, 0, 0, fmt.Errorf("used_memory: %w", err)
			}
		}
	}
	for cursor := uint64(0); all; {
		names, next, err := client.Scan(ctx, cursor, "*", 1000).Result()
		if err != nil {
			return 0, 0, 0, fmt.Errorf("cannot list the keys of Redis: %w", err)
		}
		replies, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, name := range names {
				p.MemoryUsage(ctx, name, 0) // 0 samples: all of it
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) { // one may be gone by now
			return 0, 0, 0, fmt.Errorf("cannot ask for the memory of keys: %w", err)
		}
		for _, r := range replies {
			sum += r.(*redis.IntCmd).Val()
		}
		keys += int64(len(names))
		if cursor = next; cursor == 0 {
			break
		}
	}
	return used, sum, keys, nil
}

// clickhouseBytes are compressed bytes per row of the two tables of facts, and rows.
func clickhouseBytes(ctx context.Context, dsn string) (participants, submissions float64, rows int64, err error) {
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return 0, 0, 0, errors.New("cannot read the ClickHouse address")
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("cannot open ClickHouse: %w", err)
	}
	defer conn.Close()
	for name, each := range map[string]*float64{"participants": &participants, "submissions": &submissions} {
		var n, compressed uint64
		err := conn.QueryRow(ctx, "SELECT sum(rows), sum(data_compressed_bytes) FROM system.parts WHERE active AND database = ? AND table = ?",
			o.Auth.Database, name).Scan(&n, &compressed)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("cannot read system.parts: %w", err)
		}
		*each = float64(compressed) / float64(max(n, 1))
		rows += int64(n)
	}
	return participants, submissions, rows, nil
}

// dataSizes are the bytes of the archive's files and of all others.
func dataSizes(dir string) (ledger, archive int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), "archive") {
			archive += info.Size()
		} else {
			ledger += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("cannot measure the files: %w", err)
	}
	return ledger, archive, nil
}

// reports: how long a county's report and verify take, as commands beside the running
// server, opening the engines included.
func (c *GrowthCmd) reports(ctx context.Context) error {
	sizes, err := numbers(c.Reports)
	if err != nil {
		return err
	}
	for _, engine := range splitList(c.Engines) {
		rows := [][]string{{"schools of the county", "classes", "participants", "report render s", "its memory", "verify s", "its memory"}}
		for _, schools := range sizes {
			row, err := c.reportsOf(ctx, engine, int(schools))
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		c.title("Report and verify: %s", engine)
		if err := table(c.out, rows); err != nil {
			return err
		}
	}
	return nil
}

func (c *GrowthCmd) reportsOf(ctx context.Context, engine string, schools int) ([]string, error) {
	// 30 classes a school: a county of 300 schools has 9,000.
	st, err := c.Place.open(Synthetic{Schools: schools, Grades: 10, Classes: 3, Enrolled: 50}, SourceOptions{})
	if err != nil {
		return nil, err
	}
	defer st.close()
	n, err := st.engine(ctx, "reports", engine)
	if err != nil {
		return nil, err
	}
	filled, err := c.fill(ctx, st, n, 0, st.source.Pupils()/2)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return nil, fmt.Errorf("cannot load the time zone: %w", err)
	}
	day := canyu.DayAt(time.Now(), zone).String()
	var took [2][]float64
	var memory [2]int64
	for range c.Rounds {
		for i, args := range [][]string{
			{"report", "render", "--config", n.config, "--activity", st.activity, "--region", fmt.Sprint(firstCounty), "--date", day, "--out", filepath.Join(st.dir, "report")},
			{"verify", "--config", n.config},
		} {
			settle(ctx, c.Patience)
			began := time.Now()
			peak, err := st.measured(ctx, args...)
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], time.Since(began).Seconds())
			memory[i] = max(memory[i], peak)
		}
	}
	return []string{thousands(int64(schools)), thousands(int64(st.source.Classes())), thousands(filled),
		spreadOf(took[0]).text("%.2f"), megabytes(memory[0]), spreadOf(took[1]).text("%.2f"), megabytes(memory[1])}, nil
}
