#!/usr/bin/env bash
# Runs a command with servers to test against, and ends them when it is done:
#
#   deploy/testservers.sh go test ./...
#
# Redis and ClickHouse listen on free loopback ports, keep their data in a temporary
# folder, and are told to the command by CANYU_TEST_REDIS and CANYU_TEST_CLICKHOUSE.
# A variable that is set already is left as it is and no server is started for it: a
# dead server behind it is for the tests to find. CANYU_TEST_CLICKHOUSE may list
# several DSNs; CANYU_TEST_CLICKHOUSE_ALSO adds some to the server started here.
set -euo pipefail
[[ $# -gt 0 ]] || { echo "usage: $0 COMMAND [ARGUMENT…]" >&2; exit 2; }
PATH=$PATH:/usr/sbin # where Debian has clickhouse-server

# Below the ports that the kernel gives to clients, so that none is taken between
# this look and the server's start.
free_port() {
  local port
  while :; do
    port=$((10240 + RANDOM % 20000))
    [[ " ${ports:-} " != *" $port "* ]] && ! { : <>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null && break
  done
  ports="${ports:-} $port"
  printf -v "$1" %d "$port"
}

# ask PORT REQUEST: the first line of the answer.
ask() {
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" && printf '%b' "$2" >&3 && IFS= read -r -t 5 line <&3 && echo "$line"
} 2>/dev/null

answers_redis() { [[ $(ask "$redis_port" 'PING\r\n') == +PONG* ]]; }
answers_clickhouse() {
  [[ $(ask "$http_port" 'GET /ping HTTP/1.0\r\n\r\n') == *" 200 "* ]] && { : <>"/dev/tcp/127.0.0.1/$tcp_port"; } 2>/dev/null
}

# The kernel ends a server whose starter is gone, should this script be killed.
start_redis() {
  free_port redis_port
  mkdir -p "$dir/redis"
  setpriv --pdeathsig KILL redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$dir/redis" --daemonize no \
    --appendonly yes --appendfsync always --auto-aof-rewrite-min-size 1gb --save '' --maxmemory-policy noeviction \
    </dev/null >"$dir/redis.log" 2>&1 &
}

start_clickhouse() {
  free_port http_port
  free_port tcp_port
  free_port interserver_port
  mkdir -p "$dir/clickhouse/tmp"
  cat >"$dir/clickhouse/config.xml" <<XML
<yandex>
  <logger><level>warning</level><log>$dir/clickhouse/server.log</log><errorlog>$dir/clickhouse/error.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>$http_port</http_port>
  <tcp_port>$tcp_port</tcp_port>
  <interserver_http_port>$interserver_port</interserver_http_port>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <path>$dir/clickhouse/</path>
  <tmp_path>$dir/clickhouse/tmp/</tmp_path>
  <user_files_path>$dir/clickhouse/user_files/</user_files_path>
  <format_schema_path>$dir/clickhouse/format_schemas/</format_schema_path>
  <mark_cache_size>268435456</mark_cache_size>
  <timezone>UTC</timezone>
  <users_config>$dir/clickhouse/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
</yandex>
XML
  cat >"$dir/clickhouse/users.xml" <<XML
<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/>
    <networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
  </default></users>
</yandex>
XML
  setpriv --pdeathsig KILL clickhouse-server --config-file="$dir/clickhouse/config.xml" \
    </dev/null >"$dir/clickhouse.log" 2>&1 &
}

# start NAME: starts the server until it answers; somebody may take its port first.
start() {
  command -v "$1-server" >/dev/null || { echo "testservers: $1-server is not installed: run make deps" >&2; exit 1; }
  local attempt pid
  for attempt in 1 2 3; do
    "start_$1"
    pid=$!
    for _ in {1..300}; do
      kill -0 "$pid" 2>/dev/null || break
      if "answers_$1"; then
        pids+=("$pid")
        return
      fi
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  echo "testservers: $1-server does not start:" >&2
  tail -n 20 "$dir/$1.log" >&2
  exit 1
}

finish() {
  local status=$? pid
  trap - EXIT
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    for _ in {1..100}; do kill -0 "$pid" 2>/dev/null && sleep 0.1 || break; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [[ $status -eq 0 ]]; then rm -rf "$dir"; elif ! rmdir "$dir" 2>/dev/null; then echo "testservers: data and logs are kept in $dir" >&2; fi
  exit "$status"
}

pids=()
dir=$(mktemp -d "${TMPDIR:-/tmp}/canyu-test.XXXXXX")
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [[ -z ${CANYU_TEST_REDIS:-} ]]; then
  start redis
  export CANYU_TEST_REDIS=redis://127.0.0.1:$redis_port/0
fi
if [[ -z ${CANYU_TEST_CLICKHOUSE:-} ]]; then
  start clickhouse
  export CANYU_TEST_CLICKHOUSE="clickhouse://default@127.0.0.1:$tcp_port/default${CANYU_TEST_CLICKHOUSE_ALSO:+ $CANYU_TEST_CLICKHOUSE_ALSO}"
fi

"$@"
