package clickhousearchive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// process is a server that can be ended and started again.
type process struct {
	t       *testing.T
	args    []string
	log     string
	serves  func() error
	running *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(p.t, err)
	defer log.Close()
	p.running = exec.Command(p.args[0], p.args[1:]...)
	p.running.Stdout, p.running.Stderr = log, log
	p.running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(p.t, p.running.Start())
	eventually(p.t, p.args[0]+" serves", p.serves)
}

func (p *process) kill() {
	if p.running != nil {
		_ = p.running.Process.Kill()
		_ = p.running.Wait()
		p.running = nil
	}
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// clickhouses are servers of a ClickHouse cluster named canyu, with a ZooKeeper.
type clickhouses struct {
	zookeeper *process
	servers   []*process
	addresses []string
}

// dsn is the address of a database, with the servers in this order.
func (c *clickhouses) dsn(database string, order ...int) string {
	var hosts []string
	for _, i := range order {
		hosts = append(hosts, c.addresses[i])
	}
	return "clickhouse://default@" + strings.Join(hosts, ",") + "/" + database + "?cluster=canyu"
}

// sql is a connection to one server.
func (c *clickhouses) sql(t *testing.T, i int, database string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{c.addresses[i]}, Auth: clickhouse.Auth{Database: database, Username: "default"}})
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

const zookeeperConfig = `tickTime=1000
dataDir=%[1]s
clientPort=%[2]s
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
`

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
  <zookeeper><node><host>127.0.0.1</host><port>%[5]s</port></node><session_timeout_ms>5000</session_timeout_ms></zookeeper>
  <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
  <macros><shard>%[6]d</shard><replica>%[7]d</replica></macros>
  <remote_servers><canyu>%[8]s</canyu></remote_servers>
</yandex>
`

const clickhouseUsers = `<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</yandex>
`

// startCluster starts Debian's servers: the replicas of the first shard, of the second…
func startCluster(t *testing.T, shards, replicas int) *clickhouses {
	t.Helper()
	path, err := exec.LookPath("clickhouse-server")
	if err != nil {
		path = "/usr/sbin/clickhouse-server" // where Debian has it
	}
	ports := freePorts(t, 1+3*shards*replicas)
	dir := t.TempDir()
	c := &clickhouses{zookeeper: zookeeper(t, filepath.Join(dir, "zookeeper"), ports[0])}
	var remote strings.Builder
	for shard := range shards {
		remote.WriteString("<shard><internal_replication>true</internal_replication>")
		for replica := range replicas {
			fmt.Fprintf(&remote, "<replica><host>127.0.0.1</host><port>%s</port></replica>", ports[2+3*(shard*replicas+replica)])
		}
		remote.WriteString("</shard>")
	}
	for i := range shards * replicas {
		p, at := ports[1+3*i:], filepath.Join(dir, fmt.Sprint("clickhouse-", i+1))
		check(t, os.MkdirAll(filepath.Join(at, "tmp"), 0o700))
		check(t, os.WriteFile(filepath.Join(at, "users.xml"), []byte(clickhouseUsers), 0o600))
		config := fmt.Sprintf(clickhouseConfig, at, p[0], p[1], p[2], ports[0], i/replicas+1, i%replicas+1, remote.String())
		check(t, os.WriteFile(filepath.Join(at, "config.xml"), []byte(config), 0o600))
		c.addresses = append(c.addresses, "127.0.0.1:"+p[1])
		c.servers = append(c.servers, &process{t: t, args: []string{path, "--config-file=" + filepath.Join(at, "config.xml")}, log: filepath.Join(at, "out.log"),
			serves: func() error { return errors.Join(answers(p[0]), dial(p[1])) }})
	}
	for _, s := range c.servers {
		s.start()
		t.Cleanup(s.kill)
	}
	return c
}

func zookeeper(t *testing.T, dir, port string) *process {
	t.Helper()
	const jar = "/usr/share/java/zookeeper.jar" // names all that it needs itself
	if _, err := os.Stat(jar); err != nil {
		t.Fatalf("needs ZooKeeper (Debian's packages libzookeeper-java and default-jre-headless): %v", err)
	}
	check(t, os.MkdirAll(dir, 0o700))
	config := filepath.Join(dir, "zoo.cfg")
	check(t, os.WriteFile(config, fmt.Appendf(nil, zookeeperConfig, dir, port), 0o600))
	p := &process{t: t, log: filepath.Join(dir, "out.log"), serves: func() error { return dial(port) },
		args: []string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jar,
			"org.apache.zookeeper.server.ZooKeeperServerMain", config}}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func dial(port string) error {
	c, err := net.DialTimeout("tcp4", "127.0.0.1:"+port, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

// answers: and what works for ON CLUSTER has begun, without which 18.16 crashes.
func answers(port string) error {
	r, err := http.Get("http://127.0.0.1:" + port + "/?query=" + url.QueryEscape("SELECT count() FROM system.zookeeper WHERE path = '/clickhouse/task_queue/ddl'"))
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return errors.New(r.Status)
	}
	return nil
}

// freePorts are below those that the kernel gives to clients.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for len(ports) < n {
		port := fmt.Sprint(10240 + rand.IntN(20000))
		l, err := net.Listen("tcp4", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer l.Close() // all at once: none twice
		ports = append(ports, port)
	}
	return ports
}

// newDatabase is a name that nobody else has; what is in it goes with the servers.
func newDatabase() string { return fmt.Sprintf("canyu_test_%d", rand.Uint64()) }
