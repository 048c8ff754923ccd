package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
		found, err := c.memoryOf(ctx, engine, sizes)
		if err != nil {
			return err
		}
		rows := [][]string{{"participants", "server memory", "ledger on disk, bytes each", "archive on disk, bytes each"}}
		if engine != "embedded" {
			rows = [][]string{{"participants", "server memory", "Redis used_memory, bytes each", "MEMORY USAGE of all keys, bytes each", "keys",
				"ClickHouse participants, compressed bytes each", "submissions", "rows of both"}}
		}
		for _, k := range found {
			row := []string{thousands(k.participants), megabytes(k.server)}
			for _, bytes := range k.each {
				row = append(row, fmt.Sprintf("%.2f", bytes))
			}
			if engine != "embedded" {
				row = slices.Insert(append(row, thousands(k.rows)), 4, thousands(k.keys))
			}
			rows = append(rows, row)
		}
		c.title("Memory and disk: %s", engine)
		if err := table(c.out, rows); err != nil {
			return err
		}
	}
	return nil
}

// kept is what some participants take.
type kept struct {
	participants int64
	server       int64 // bytes of the process
	// Bytes for each participant. Embedded: of the ledger and of the archive on disk;
	// else Redis' used_memory, MEMORY USAGE of all keys, and ClickHouse's bytes for a
	// row of participants and of submissions.
	each       []float64
	keys, rows int64 // of Redis, and of both tables
}

func (c *GrowthCmd) memoryOf(ctx context.Context, engine string, sizes []int64) (found []kept, err error) {
	// Arrays of two classes each: what is recorded is whole classes.
	st, err := c.Place.open(schoolsFor(slices.Max(sizes)), SourceOptions{Array: MaxArray})
	if err != nil {
		return nil, err
	}
	defer st.close()
	n, err := st.engine(ctx, "memory", engine)
	if err != nil {
		return nil, err
	}
	var used0 int64
	if engine != "embedded" {
		if used0, _, _, err = redisMemory(ctx, n.redis, false); err != nil {
			return nil, err
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
			return nil, fmt.Errorf("%w\n%s", err, n.lastLines())
		}
		recorded = size / MaxArray * MaxArray
		if err := n.archived(ctx, c.Limit); err != nil {
			return nil, err
		}
		settle(ctx, c.Patience)
		k := kept{participants: recorded, server: resident(n.cmd.Process.Pid)}
		each := func(bytes int64) float64 { return float64(bytes) / float64(recorded) }
		if engine == "embedded" {
			ledger, archive, err := dataSizes(filepath.Join(st.dir, n.name))
			if err != nil {
				return nil, err
			}
			k.each = []float64{each(ledger), each(archive)}
		} else {
			used, sum, keys, err := redisMemory(ctx, n.redis, true)
			if err != nil {
				return nil, err
			}
			people, submissions, rows, err := clickhouseBytes(ctx, n.clickhouse)
			if err != nil {
				return nil, err
			}
			k.each, k.keys, k.rows = []float64{each(used - used0), each(sum), people, submissions}, keys, rows
		}
		found = append(found, k)
	}
	return found, nil
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
			r, err := c.reportsOf(ctx, engine, int(schools))
			if err != nil {
				return err
			}
			rows = append(rows, []string{thousands(schools), thousands(int64(r.classes)), thousands(r.participants),
				r.render.text("%.2f"), megabytes(r.renderMemory), r.verify.text("%.2f"), megabytes(r.verifyMemory)})
		}
		c.title("Report and verify: %s", engine)
		if err := table(c.out, rows); err != nil {
			return err
		}
	}
	return nil
}

// reported is how long a county's report and verify took, in seconds, and their memory.
type reported struct {
	classes                    int
	participants               int64
	render, verify             spread
	renderMemory, verifyMemory int64
}

func (c *GrowthCmd) reportsOf(ctx context.Context, engine string, schools int) (*reported, error) {
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
	return &reported{st.source.Classes(), filled, spreadOf(took[0]), spreadOf(took[1]), memory[0], memory[1]}, nil
}
