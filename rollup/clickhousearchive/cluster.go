package clickhousearchive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// cluster is a driver.Conn to the servers of a ClickHouse cluster: what is asked goes
// to the first that answers, in the order of the address.
//
// A replica fetches what another one has written a moment later, and one that was away
// has all of it still to fetch. What is inserted is therefore awaited on every replica
// that is there (copied); a server that comes back is asked again when it has caught
// up; and what something is decided by, first of all a restatement, is read from a
// server that has just fetched all there is (exact), or not at all.
type cluster struct {
	driver.Conn // the first server's, for what is not said here
	name        string
	servers     []*server
}

type server struct {
	driver.Conn
	address string

	mu     sync.Mutex
	shard  string    // its macro; "" until it was asked
	shards int       // how many there are
	behind bool      // it may lack what the others have
	away   time.Time // until when the others are asked first
}

const (
	awayFor  = 15 * time.Second // a server that failed
	patience = 30 * time.Second // with one that has to fetch something
	briefly  = 2 * time.Second  // where another one can be asked
)

var clusterName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// CheckAddress is an error where Open could not read the DSN.
func CheckAddress(dsn string) error {
	_, _, err := options(dsn)
	return err
}

// options reads a DSN; cluster is a parameter of ours.
func options(dsn string) (opts *clickhouse.Options, cluster string, err error) {
	opts, err = clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the ClickHouse address: %w", err)
	}
	if opts.Auth.Database == "" {
		opts.Auth.Database = "default"
	}
	if name, there := opts.Settings["cluster"]; there {
		delete(opts.Settings, "cluster")
		if cluster = fmt.Sprint(name); !clusterName.MatchString(cluster) {
			return nil, "", fmt.Errorf("cannot read the ClickHouse address: cluster %q is no name", cluster)
		}
	}
	return opts, cluster, nil
}

// open reaches nobody yet. The cluster is nil where there is none.
func open(opts *clickhouse.Options, name string) (driver.Conn, *cluster, error) {
	if name == "" {
		conn, err := clickhouse.Open(opts)
		return conn, nil, err
	}
	c := &cluster{name: name}
	for _, address := range opts.Addr {
		o := *opts
		o.Addr = []string{address}
		if o.DialTimeout == 0 {
			o.DialTimeout = 5 * time.Second
		}
		o.Settings = clickhouse.Settings{
			"insert_distributed_sync": 1, // not later, from a folder of the server
			// Our rows replace themselves. ClickHouse would drop a block that it saw before
			// also where its rows were deleted since, or where the only server that has it is
			// gone for good.
			"insert_deduplicate":                                 0,
			"connect_timeout_with_failover_ms":                   1000,
			"max_replica_delay_for_distributed_queries":          5,
			"fallback_to_stale_replicas_for_distributed_queries": 1,
		}
		for k, v := range opts.Settings {
			o.Settings[k] = v
		}
		conn, err := clickhouse.Open(&o)
		if err != nil {
			return nil, nil, errors.Join(err, c.Close())
		}
		c.servers = append(c.servers, &server{Conn: conn, address: address, behind: true})
	}
	c.Conn = c.servers[0].Conn
	return c, c, nil
}

// Close lets go of all connections.
func (c *cluster) Close() error {
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.Conn.Close())
	}
	return errors.Join(errs...)
}

// on does something on the first server that can; one that has caught up, if there is.
func (c *cluster) on(ctx context.Context, do func(driver.Conn) error) (err error) {
	for _, s := range c.servers {
		if !s.there(ctx) {
			continue
		}
		if err = do(s); !elsewhere(ctx, err) {
			return err
		}
		s.fail()
	}
	for _, s := range c.servers {
		if err = do(s); !elsewhere(ctx, err) {
			return err
		}
		s.fail()
	}
	return err
}

// there: the server answers, as far as is known, and has caught up since it came back.
func (s *server) there(ctx context.Context) bool {
	s.mu.Lock()
	behind, away := s.behind, time.Now().Before(s.away)
	s.mu.Unlock()
	if !behind || away {
		return !away
	}
	ctx, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	if s.catchUp(ctx) != nil {
		s.fail()
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = false
	return true
}

func (s *server) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind, s.away = true, time.Now().Add(awayFor)
}

// elsewhere: another server may know better.
func elsewhere(ctx context.Context, err error) bool {
	var exception *clickhouse.Exception
	switch {
	case err == nil || ctx.Err() != nil:
		return false
	case errors.As(err, &exception):
		switch exception.Code {
		case 209, 210, 225, 242, 279, 319, 999: // of the network, of the keeper, read-only
			return true
		}
		return false
	}
	return true
}

// catchUp fetches what other replicas have of the tables, or of all.
func (s *server) catchUp(ctx context.Context, tables ...string) error {
	if tables == nil {
		rows, err := s.Query(ctx, "SELECT table FROM system.replicas WHERE database = currentDatabase()")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var table string
			if err := rows.Scan(&table); err != nil {
				return err
			}
			tables = append(tables, table)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	for _, table := range tables {
		if err := s.Exec(ctx, "SYSTEM SYNC REPLICA "+table); err != nil {
			return fmt.Errorf("%s of %s is behind: %w", table, s.address, err)
		}
	}
	return nil
}

// knowShard asks which shard the server belongs to.
func (s *server) knowShard(ctx context.Context, cluster string) error {
	s.mu.Lock()
	known := s.shard != ""
	s.mu.Unlock()
	if known {
		return nil
	}
	var shard string
	var shards uint32
	err := s.QueryRow(ctx, "SELECT substitution FROM system.macros WHERE macro = 'shard'").Scan(&shard)
	if err == nil {
		err = s.QueryRow(ctx, "SELECT max(shard_num) FROM system.clusters WHERE cluster = ?", cluster).Scan(&shards)
	}
	if err == nil && (shard == "" || shards == 0) {
		err = errors.New("want it in remote_servers, and the macros shard and replica")
	}
	if err != nil {
		return fmt.Errorf("%s does not know cluster %s: %w", s.address, cluster, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shard, s.shards = shard, int(shards)
	return nil
}

// exact is a server of each shard that has all that was acknowledged before. The
// tables are those of one server, with local names.
func (c *cluster) exact(ctx context.Context, tables ...string) ([]driver.Conn, error) {
	found := make(map[string]driver.Conn)
	shards := 1
	var errs []error
	for _, wait := range []time.Duration{briefly, patience} {
		errs = nil
		for _, s := range c.byAway() {
			if err := c.join(ctx, s, wait, found, tables); err != nil {
				errs = append(errs, err)
				continue
			}
			shards = s.shards
		}
		if len(found) >= shards {
			return slices.Collect(maps.Values(found)), nil
		}
	}
	return nil, fmt.Errorf("of %d shards, %d have a server in the address that answers and has everything: %w", shards, len(found), errors.Join(errs...))
}

// join adds a server to what was found, unless its shard has one already.
func (c *cluster) join(ctx context.Context, s *server, wait time.Duration, found map[string]driver.Conn, tables []string) error {
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := s.knowShard(within, c.name)
	if err == nil && found[s.shard] == nil {
		if err = s.catchUp(within, tables...); err == nil {
			found[s.shard] = s
		}
	}
	if elsewhere(ctx, err) {
		s.fail()
	}
	return err
}

// byAway are the servers, those that failed lately last.
func (c *cluster) byAway() []*server {
	var there, away []*server
	for _, s := range c.servers {
		s.mu.Lock()
		if time.Now().Before(s.away) {
			away = append(away, s)
		} else {
			there = append(there, s)
		}
		s.mu.Unlock()
	}
	return append(there, away...)
}

// copied waits until every server that is there has what was written to the tables.
func (c *cluster) copied(ctx context.Context, tables ...string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var waiting sync.WaitGroup
	for _, s := range c.servers {
		waiting.Go(func() {
			if s.there(ctx) && s.catchUp(ctx, tables...) != nil {
				s.fail()
			}
		})
	}
	waiting.Wait()
}

// trouble is what is wrong with servers that the address names.
func (c *cluster) trouble(ctx context.Context) (all []string) {
	for _, s := range c.servers {
		var tables, readOnly, delay uint64
		err := s.QueryRow(ctx, "SELECT count(), toUInt64(sum(is_readonly OR is_session_expired)), toUInt64(max(absolute_delay)) FROM system.replicas WHERE database = currentDatabase()").Scan(&tables, &readOnly, &delay)
		if err == nil {
			err = s.knowShard(ctx, c.name)
		}
		switch {
		case err != nil:
			all = append(all, err.Error())
		case readOnly > 0:
			all = append(all, s.address+" is read-only: its ZooKeeper or Keeper is away")
		case delay > 0:
			all = append(all, fmt.Sprintf("%s is %d seconds behind the other replicas", s.address, delay))
		}
	}
	return all
}

func (c *cluster) Query(ctx context.Context, query string, args ...any) (rows driver.Rows, err error) {
	err = c.on(ctx, func(conn driver.Conn) error {
		rows, err = conn.Query(ctx, query, args...)
		return err
	})
	return rows, err
}

func (c *cluster) QueryRow(ctx context.Context, query string, args ...any) (row driver.Row) {
	err := c.on(ctx, func(conn driver.Conn) error {
		row = conn.QueryRow(ctx, query, args...)
		return row.Err()
	})
	if err != nil {
		return noRow{err}
	}
	return row
}

func (c *cluster) Exec(ctx context.Context, query string, args ...any) error {
	return c.on(ctx, func(conn driver.Conn) error { return conn.Exec(ctx, query, args...) })
}

// PrepareBatch looks for a server that takes it; nothing is sent yet. Where sending
// fails, whoever tries again finds another one.
func (c *cluster) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (batch driver.Batch, err error) {
	err = c.on(ctx, func(conn driver.Conn) error {
		b, err := conn.PrepareBatch(ctx, query, opts...)
		if err == nil {
			batch = clusterBatch{b, conn.(*server)}
		}
		return err
	})
	return batch, err
}

type clusterBatch struct {
	driver.Batch
	to *server
}

func (b clusterBatch) Send() error {
	err := b.Batch.Send()
	if elsewhere(context.Background(), err) {
		b.to.fail()
	}
	return err
}
