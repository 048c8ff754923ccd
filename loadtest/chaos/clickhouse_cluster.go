package chaos

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Added to the configuration of each server of a cluster.
const clusterConfig = `  <zookeeper><node><host>127.0.0.1</host><port>%[1]s</port></node><session_timeout_ms>10000</session_timeout_ms></zookeeper>
  <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
  <macros><shard>1</shard><replica>%[2]d</replica></macros>
  <remote_servers><canyu><shard><internal_replication>true</internal_replication>%[3]s</shard></canyu></remote_servers>
</yandex>
`

// clickhouses starts ClickHouse and returns addresses, and a database for an address.
func (w *world) clickhouses(ctx context.Context, topology Topology) (addrs []string, database string, err error) {
	if topology == Cluster {
		addrs, err = w.newClickHouses(ctx)
		return addrs, "canyu?cluster=canyu", err
	}
	n, addr, err := w.newClickHouse("clickhouse", "/ping")
	if err == nil {
		err = w.begin(ctx, n)
	}
	return []string{addr}, "canyu", err
}

// newClickHouses starts two replicas of one shard, and the ZooKeeper they agree by.
func (w *world) newClickHouses(ctx context.Context) (addrs []string, err error) {
	keeper, port, err := w.newZooKeeper()
	if err != nil {
		return nil, err
	}
	var nodes []*node
	var replicas strings.Builder
	for i := range 2 {
		n, addr, err := w.newClickHouse(fmt.Sprint("clickhouse-", i+1), "/?query="+url.QueryEscape(ddlBegun))
		if err != nil {
			return nil, err
		}
		nodes, addrs = append(nodes, n), append(addrs, addr)
		_, port, _ := net.SplitHostPort(addr)
		fmt.Fprintf(&replicas, "<replica><host>127.0.0.1</host><port>%s</port></replica>", port)
	}
	for i, n := range nodes {
		config := filepath.Join(w.dir, n.name, "config.xml")
		text, err := os.ReadFile(config)
		if err != nil {
			return nil, err
		}
		alone, _ := strings.CutSuffix(string(text), "</yandex>\n")
		if err := os.WriteFile(config, []byte(alone+fmt.Sprintf(clusterConfig, port, i+1, replicas.String())), 0o600); err != nil {
			return nil, err
		}
	}
	if err := w.begin(ctx, keeper); err != nil {
		return nil, err
	}
	return addrs, w.begin(ctx, nodes...)
}

func (w *world) newZooKeeper() (n *node, port string, err error) {
	java, err := exec.LookPath("java")
	if err == nil {
		_, err = os.Stat(zookeeperJar)
	}
	if err != nil {
		return nil, "", fmt.Errorf("ZooKeeper is not installed: apt-get install libzookeeper-java default-jre-headless: %w", err)
	}
	if port, err = freePort(); err != nil {
		return nil, "", err
	}
	dir := filepath.Join(w.dir, "zookeeper")
	config := filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=1000\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n", dir, port)
	if err = os.MkdirAll(dir, 0o700); err == nil {
		err = os.WriteFile(config, []byte(text), 0o600)
	}
	if err != nil {
		return nil, "", err
	}
	n = w.node("zookeeper", "zookeeper", java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", zookeeperJar,
		"org.apache.zookeeper.server.ZooKeeperServerMain", config)
	n.ready = func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		return c.Close()
	}
	return n, port, nil
}

// Before, 18.16 crashes at ON CLUSTER.
const ddlBegun = "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse/task_queue/ddl'"

const zookeeperJar = "/usr/share/java/zookeeper.jar"
