package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/canyu/canyu/loadtest/baseline"
)

// PostgresCmd is canyu loadtest baseline postgres.
type PostgresCmd struct {
	Listen     string `help:"Address." default:"127.0.0.1:8090"`
	DSN        string `name:"dsn" help:"URL of the PostgreSQL." required:"" placeholder:"postgres://…"`
	RosterFile string `name:"roster" help:"The roster (CSV, UTF-8)." required:"" type:"existingfile"`
	Pool       int    `help:"Connections to PostgreSQL." default:"64"`
}

// Run serves until ctx ends.
func (c *PostgresCmd) Run(ctx context.Context) error {
	roster, err := (&RunCmd{RosterFile: c.RosterFile}).roster()
	if err != nil {
		return err
	}
	o, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return errors.New("cannot read the PostgreSQL URL")
	}
	o.MaxConns, o.MinConns = int32(min(c.Pool, 1000)), int32(min(c.Pool, 1000))
	pool, err := pgxpool.NewWithConfig(ctx, o)
	if err != nil {
		return fmt.Errorf("cannot reach PostgreSQL: %w", err)
	}
	defer pool.Close()
	p := &baseline.Postgres{Pool: pool, Roster: roster}
	if err := p.Prepare(ctx); err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", c.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	return p.Serve(ctx, ln)
}

// postgresPrograms finds the folder of initdb and postgres, which Debian keeps out of
// the PATH.
func postgresPrograms() (string, error) {
	look := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // the pattern is good
		slices.Reverse(found)              // the newest first
		look = append(look, found...)
	}
	for _, dir := range look {
		_, err1 := os.Stat(filepath.Join(dir, "initdb"))
		_, err2 := os.Stat(filepath.Join(dir, "postgres"))
		if err1 == nil && err2 == nil {
			return dir, nil
		}
	}
	return "", errors.New("the postgres row needs PostgreSQL's initdb and postgres, and they are neither in the PATH nor in " +
		"/usr/lib/postgresql/*/bin, /usr/pgsql-*/bin: install Debian's postgresql package, or name the other --rows")
}

// ownDatabase makes a database for one row, for the same pupils count again in each.
func ownDatabase(ctx context.Context, dsn, name string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err == nil {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		err = errors.Join(err, conn.Close(ctx))
	}
	if err != nil {
		return "", fmt.Errorf("cannot make the database %s: %w", name, err)
	}
	return withPath(dsn, "/"+name)
}

// startPostgres makes a cluster of its own and starts it: synchronous_commit and fsync
// on, with room enough that no checkpoint falls into a round. PostgreSQL refuses to
// run as root: then it runs as postgres or nobody.
func startPostgres(ctx context.Context, out io.Writer, dir string) (stop func(), dsn string, err error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(addr)
	data := filepath.Join(dir, "postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, "", fmt.Errorf("cannot start postgres: %w", err)
	}
	as, err := unprivileged(dir, data)
	if err != nil {
		return nil, "", fmt.Errorf("cannot start postgres: %w", err)
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		fmt.Fprintf(out, "$ %s\n", commandLine(cmd.Args))
		cmd.Dir, cmd.SysProcAttr = data, as
		cmd.Env = append(slices.DeleteFunc(environment(), func(v string) bool { return strings.HasPrefix(v, "PG") }), "HOME="+data)
		return cmd
	}
	if text, err := command("initdb", "-D", data, "-U", "canyu", "-A", "trust", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("cannot make a PostgreSQL cluster: %w\n%s", err, text)
	}
	cmd := command("postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "synchronous_commit=on", "-c", "fsync=on", "-c", "max_connections=300", "-c", "shared_buffers=512MB",
		"-c", "max_wal_size=8GB", "-c", "checkpoint_timeout=30min")
	log, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return nil, "", fmt.Errorf("cannot start postgres: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start postgres: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(exited)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // fast: it waits for no client
		<-exited
	}
	dsn = (&url.URL{Scheme: "postgres", User: url.User("canyu"), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}).String()
	if err := untilPostgres(ctx, dsn, exited); err != nil {
		stop()
		text, _ := os.ReadFile(log.Name())
		return nil, "", fmt.Errorf("postgres did not become ready: %w\n%s", err, text)
	}
	return stop, dsn, nil
}

func untilPostgres(ctx context.Context, dsn string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		pool, err := pgxpool.New(ctx, dsn)
		if err == nil {
			err = pool.Ping(ctx)
			pool.Close()
		}
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return errors.New("the process has ended")
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
