package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// freePort is below the ports that the kernel gives to clients, so that a server
// that is killed finds its port free again.
func freePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(10240 + rand.IntN(20000))
		l, err := net.Listen("tcp4", "127.0.0.1:"+port)
		if err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("cannot find a free port")
}

// program finds a server also where Debian keeps clickhouse-server.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run make deps", name)
}

const fsyncAlways = "always"

// newRedis is a Redis that keeps what it acknowledges, unless fsync says otherwise.
func (w *world) newRedis() (n *node, addr string, err error) {
	path, err := program("redis-server")
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	addr = "127.0.0.1:" + port
	n = w.node("redis", "redis", path, "--bind", "127.0.0.1", "--port", port, "--daemonize", "no", "--save", "",
		"--appendonly", "yes", "--appendfsync", w.fsync, "--maxmemory-policy", "noeviction",
		// Rewriting happens under load too.
		"--auto-aof-rewrite-min-size", "16mb")
	if n.disk, err = w.host.newDisk(w.dir, n.name); err != nil {
		return nil, "", err
	}
	n.args = append(n.args, "--dir", n.disk.dir)
	if w.clock, err = newClock(w.dir); err != nil {
		return nil, "", err
	}
	if w.clock != nil {
		n.env = w.clock.env()
	}
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	w.redis = client
	n.ready = func(ctx context.Context) error { return client.Ping(ctx).Err() }
	return n, addr, nil
}

const clickhouseConfig = `<yandex>
  <logger><level>warning</level><log>%[1]s/server.log</log><errorlog>%[1]s/error.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>%[2]s</http_port>
  <tcp_port>%[3]s</tcp_port>
  <interserver_http_port>%[4]s</interserver_http_port>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <path>%[1]s/</path>
  <tmp_path>%[1]s/tmp/</tmp_path>
  <user_files_path>%[1]s/user_files/</user_files_path>
  <format_schema_path>%[1]s/format_schemas/</format_schema_path>
  <mark_cache_size>268435456</mark_cache_size>
  <timezone>UTC</timezone>
  <users_config>%[1]s/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
</yandex>
`

const clickhouseUsers = `<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</yandex>
`

// newClickHouse has a plain folder: 18.16 knows no fsync, and nobody promises what
// such a server keeps when the power fails.
func (w *world) newClickHouse(name, ping string) (n *node, addr string, err error) {
	path, err := program("clickhouse-server")
	if err != nil {
		return nil, "", err
	}
	var ports [3]string
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, "", err
		}
	}
	dir := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, "", err
	}
	config := filepath.Join(dir, "config.xml")
	if err := errors.Join(
		os.WriteFile(config, fmt.Appendf(nil, clickhouseConfig, dir, ports[0], ports[1], ports[2]), 0o600),
		os.WriteFile(filepath.Join(dir, "users.xml"), []byte(clickhouseUsers), 0o600),
	); err != nil {
		return nil, "", err
	}
	n = w.node(name, "clickhouse", path, "--config-file="+config)
	ping = "http://127.0.0.1:" + ports[0] + ping
	n.ready = func(ctx context.Context) error {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp4", "127.0.0.1:"+ports[1])
		if err != nil {
			return err
		}
		nc.Close()
		return answers200(ctx, ping)
	}
	return n, "127.0.0.1:" + ports[1], nil
}

var probe = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}

func answers200(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := probe.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, response.StatusCode)
	}
	return nil
}
