package redisledger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// mostShards is more than any cluster has masters.
const mostShards = 1024

// address is what a URL says: how the servers are reached, and what this package adds.
type address struct {
	single   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
	shards   int
	replicas int // that have a batch before it is acknowledged
}

// CheckAddress says what is wrong with a URL (see Open), and asks no server.
func CheckAddress(raw string) error {
	_, err := parse(raw)
	return err
}

func parse(raw string) (*address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, err
	}
	a := &address{}
	if a.shards, err = number(query, "shards", 1, mostShards, 1); err != nil {
		return nil, err
	}
	if a.replicas, err = number(query, "replicas", 0, 100, 0); err != nil {
		return nil, err
	}
	scheme, kind, _ := strings.Cut(u.Scheme, "+")
	u.Scheme = scheme
	switch {
	case kind == "":
		err = a.parseSingle(u, query)
	case kind != "sentinel" && kind != "cluster":
		err = fmt.Errorf("%s+%s://: want +sentinel, +cluster or neither", scheme, kind)
	case u.Hostname() == "":
		err = fmt.Errorf("%s+%s://: it names no host", scheme, kind)
	case kind == "sentinel":
		err = a.parseSentinel(u, query)
	default:
		err = a.parseCluster(u, query)
	}
	if err != nil { // the library's begin with "redis: "
		return nil, errors.New(strings.TrimPrefix(err.Error(), "redis: "))
	}
	return a, nil
}

// number takes a parameter of ours away from those of the library.
func number(query url.Values, name string, least, most, otherwise int) (int, error) {
	text := query.Get(name)
	many := len(query[name]) > 1
	query.Del(name)
	if text == "" && !many {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || many || n < least || n > most {
		return 0, fmt.Errorf("%s=%s: want one number from %d to %d", name, text, least, most)
	}
	return n, nil
}

const (
	readTimeout = 3 * time.Second
	// Where there are several servers the others are asked when one does not answer:
	// within the time that a batch has.
	dialTimeout = time.Second
	// reloadEvery is how often the masters of a cluster are asked for: when one does not
	// answer, the library would ask who has taken over once a minute.
	reloadEvery = time.Second
)

func (a *address) parseSingle(u *url.URL, query url.Values) error {
	u.RawQuery = query.Encode()
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return err
	}
	// A lost reply is for the writer to repeat, with the same sequence: it knows
	// whether it still has time. The library would repeat behind its back.
	o.MaxRetries, o.ReadTimeout, o.ContextTimeoutEnabled = -1, readTimeout, true
	a.single = o
	return nil
}

func (a *address) parseSentinel(u *url.URL, query url.Values) error {
	// What stands before the @ is for Redis, as everywhere; the library takes it for
	// the sentinels'.
	user := u.User
	u.User = nil
	sentinelUser, sentinelPassword := query.Get("sentinel_username"), query.Get("sentinel_password")
	query.Del("sentinel_username")
	query.Del("sentinel_password")
	if u.Port() == "" {
		u.Host += ":26379"
	}
	u.RawQuery = query.Encode()
	o, err := redis.ParseFailoverURL(u.String())
	switch {
	case err != nil:
		return err
	case o.MasterName == "":
		return errors.New("master_name is missing: which of the masters that the sentinels watch")
	case o.ReplicaOnly || o.RouteByLatency || o.RouteRandomly:
		return errNotBehind
	}
	o.SentinelUsername, o.SentinelPassword = sentinelUser, sentinelPassword
	if user != nil {
		o.Username = user.Username()
		o.Password, _ = user.Password()
	}
	o.MaxRetries, o.ReadTimeout, o.ContextTimeoutEnabled = -1, readTimeout, true
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = 1
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // each server's own, not the first sentinel's
	}
	o.OnConnect = refuseReplica
	a.sentinel = o
	return nil
}

var errNotBehind = errors.New("counts are read from masters only: take read_only, replica_only and route_… away")

// refuseReplica closes a connection to a server that is no master any more, or not yet: a
// sentinel may not know.
func refuseReplica(ctx context.Context, c *redis.Conn) error {
	role, err := c.Do(ctx, "role").Slice()
	if err != nil {
		return err
	}
	if len(role) > 0 && (role[0] == "master" || role[0] == "sentinel") {
		return nil
	}
	return errors.New("redis: the server is a replica")
}

func (a *address) parseCluster(u *url.URL, query url.Values) error {
	if path := strings.Trim(u.Path, "/"); path != "" && path != "0" {
		return fmt.Errorf("a cluster has database 0 only, and no %s", path)
	}
	u.RawQuery = query.Encode()
	o, err := redis.ParseClusterURL(u.String())
	switch {
	case err != nil:
		return err
	case o.ReadOnly || o.RouteByLatency || o.RouteRandomly:
		return errNotBehind
	}
	o.ReadTimeout, o.ContextTimeoutEnabled = readTimeout, true
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = 1
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = ""
	}
	o.ClusterStateReloadInterval = reloadEvery
	a.cluster = o
	return nil
}
