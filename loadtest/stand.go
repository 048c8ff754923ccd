package loadtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu"
)

// Place is where a measurement starts its servers. It takes what it is given and
// starts the rest; what it cannot start is ClickHouse: see deploy/testservers.sh.
type Place struct {
	Redis      string `help:"URL of the Redis; without one, redis-server is started." env:"CANYU_TEST_REDIS"`
	Clickhouse string `help:"DSN of the ClickHouse; deploy/testservers.sh starts one." env:"CANYU_TEST_CLICKHOUSE"`
	Dir        string `help:"Where the servers keep their data: a real disk, or fsync costs nothing. It is removed at the end." type:"existingdir"`
	Program    string `help:"The canyu that is measured; this one if empty." type:"existingfile"`
}

// stand is a place that is set up: a folder, a roster and the requests of its pupils.
type stand struct {
	place    Place
	log      io.Writer // what is done
	id       string
	dir      string
	activity string
	roster   *canyu.Roster // that is imported
	loaded   *canyu.Roster // that requests are of
	source   *Source
	closers  []func()
}

// open makes the folder, the roster and the requests. extra schools are in the roster
// and in no request.
func (p Place) open(s Synthetic, o SourceOptions, extra ...canyu.RosterEntry) (*stand, error) {
	id := randomID()
	st := &stand{place: p, log: os.Stderr, id: id, activity: "bench-" + id}
	var err error
	if st.place.Program == "" {
		if st.place.Program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("cannot find canyu itself: %w", err)
		}
	}
	if st.loaded, err = s.Roster(); err != nil {
		return nil, err
	}
	if st.roster, err = canyu.NewRoster(append(st.loaded.Entries(), extra...)); err != nil {
		return nil, err
	}
	o.Activity, o.Steps, o.Seed = st.activity, benchSteps, cmp.Or(o.Seed, 1)
	if st.source, err = NewSource(st.loaded, o); err != nil {
		return nil, err
	}
	if st.dir, err = os.MkdirTemp(p.Dir, "canyu-bench-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	st.closers = append(st.closers, func() { os.RemoveAll(st.dir) })
	f, err := os.Create(st.rosterFile())
	if err != nil {
		st.close()
		return nil, fmt.Errorf("cannot write the roster: %w", err)
	}
	if err := errors.Join(WriteRoster(f, st.roster), f.Close()); err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

var benchSteps = []string{"bow", "flower", "message"}

func (s *stand) close() {
	for _, f := range slices.Backward(s.closers) {
		f()
	}
}

func randomID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// rosterFile may be read by whoever a server runs as.
func (s *stand) rosterFile() string { return filepath.Join(s.dir, "roster.csv") }

// ownRedis starts a Redis that holds nothing else.
func (s *stand) ownRedis(ctx context.Context, name string) (string, error) {
	stop, server, err := startRedis(ctx, s.log, s.dir, name)
	if err == nil {
		s.closers = append(s.closers, stop)
	}
	return server, err
}

// database is the DSN of a ClickHouse database that holds nothing else. It is dropped
// at the end.
func (s *stand) database(name string) (string, error) {
	dsns := splitList(s.place.Clickhouse)
	if len(dsns) == 0 {
		return "", errors.New("this needs a ClickHouse: run it under deploy/testservers.sh, or set CANYU_TEST_CLICKHOUSE")
	}
	database := "canyu_" + s.id + "_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	dsn, err := withPath(dsns[0], "/"+database)
	if err != nil {
		return "", err
	}
	s.closers = append(s.closers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		o, err := clickhouse.ParseDSN(dsns[0])
		if err == nil {
			o.Auth.Database = "default"
			var conn clickhouse.Conn
			if conn, err = clickhouse.Open(o); err == nil {
				err = errors.Join(conn.Exec(ctx, "DROP DATABASE IF EXISTS "+database), conn.Close())
			}
		}
		if err != nil {
			fmt.Fprintf(s.log, "the database %s is left behind: %v\n", database, err)
		}
	})
	return dsn, nil
}

func withPath(raw, path string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("the URL of a server cannot be read")
	}
	u.Path = path
	return u.String(), nil
}

// node is a canyu and what it runs beside.
type node struct {
	*server
	config            string
	redis, clickhouse string // "": embedded
}

// node configures a canyu, imports the roster and starts it. beside, where not nil, is
// a node whose data it shares.
func (s *stand) node(ctx context.Context, name, redis, clickhouse, run string, beside *node) (*node, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	n := &node{redis: redis, clickhouse: clickhouse}
	if n.config, err = s.configure(name, addr, redis, clickhouse); err != nil {
		return nil, err
	}
	if beside == nil {
		if _, err := s.command(ctx, "roster", "import", s.rosterFile(), "--config", n.config); err != nil {
			return nil, err
		}
	}
	args := []string{s.place.Program, "serve", "--config", n.config}
	if run != "" {
		args = append(args, "--run", run)
	}
	if n.server, err = startServer(ctx, s.log, s.dir, name, addr, args...); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, n.stop)
	return n, nil
}

// configure writes canyu's configuration. The activity is open today.
func (s *stand) configure(name, addr, redis, clickhouse string) (string, error) {
	var engines string
	if redis != "" {
		engines = fmt.Sprintf("redis: %q\nclickhouse: %q\n", redis, clickhouse)
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return "", fmt.Errorf("cannot load the time zone: %w", err)
	}
	today := canyu.DayAt(time.Now(), zone)
	text := fmt.Sprintf(`listen: %q
data: %q
key_file: %q
%sactivities:
  - id: %s
    title: {zh-Hans: 压力测试}
    timezone: Asia/Shanghai
    first_day: %s
    last_day: %s
    steps: [bow, flower, message]
    required_grades: [3, 4, 5, 6, 7, 8, 10, 11]
    roles: [student, parent, teacher]
    identify: seat
    report: {at: "16:30", days: daily, recipients: {}}
`, addr, filepath.Join(s.dir, name), filepath.Join(s.dir, "key"), engines, s.activity, today-1, today+1)
	key := make([]byte, 32)
	rand.Read(key)
	if _, err = os.Stat(filepath.Join(s.dir, "key")); err != nil { // one for all of the stand
		err = os.WriteFile(filepath.Join(s.dir, "key"), []byte(hex.EncodeToString(key)+"\n"), 0o600)
	}
	path := filepath.Join(s.dir, name+".yaml")
	return path, errors.Join(err, os.Mkdir(filepath.Join(s.dir, name), 0o700), os.WriteFile(path, []byte(text), 0o600))
}

// command runs canyu to its end and returns what it said.
func (s *stand) command(ctx context.Context, args ...string) (string, error) {
	said, _, err := s.execute(ctx, args)
	return said, err
}

// measured runs canyu to its end and returns how much memory it had at most, where
// the system tells it.
func (s *stand) measured(ctx context.Context, args ...string) (peak int64, err error) {
	_, state, err := s.execute(ctx, args)
	if err != nil {
		return 0, err
	}
	return peakMemory(state), nil
}

func (s *stand) execute(ctx context.Context, args []string) (said string, state *os.ProcessState, err error) {
	args = append([]string{s.place.Program}, args...)
	fmt.Fprintf(s.log, "$ %s\n", commandLine(args))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", nil, fmt.Errorf("cannot run canyu %s: %w\n%s", strings.Join(args[1:], " "), err, out)
	}
	return string(out), cmd.ProcessState, nil
}

// fetch asks for the counts of the schools that requests are of.
func (s *stand) fetch(ctx context.Context, t *Target) (Counts, error) {
	return FetchCounts(ctx, t, s.activity, s.loaded.Schools(0))
}
