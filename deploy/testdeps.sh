#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, from Debian's own packages.
# Does nothing where nothing is missing. The services that come with the packages are
# not started: the tests start their own, on free ports.
set -euo pipefail
PATH=$PATH:/usr/sbin

packages=()
need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || packages+=("$2")
}
need gcc gcc # the race detector is linked by it
[[ -e /usr/include/stdlib.h ]] || packages+=(libc6-dev)
need redis-server redis-server
need clickhouse-server clickhouse-server
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
need chromium chromium
need node nodejs
need npm npm
need soffice libreoffice-calc
need pdftotext poppler-utils
need postfix postfix
need openssl openssl
need systemd-analyze systemd
need nginx nginx-light
need haproxy haproxy
need prometheus prometheus
[[ -z ${CANYU_TEST_CLICKHOUSE_CLUSTER:-} || -e /usr/share/java/zookeeper.jar ]] || packages+=(libzookeeper-java default-jre-headless)
fonts=/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc
[[ -e $fonts ]] || packages+=(fonts-noto-cjk)
[[ ${#packages[@]} -gt 0 ]] || exit 0

echo "installing for the tests: ${packages[*]}"
command -v apt-get >/dev/null || { echo "not a Debian system: install these by its own means: ${packages[*]}" >&2; exit 1; }
root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "neither root nor sudo: as root, run apt-get install ${packages[*]}" >&2; exit 1; }
  root=(sudo)
fi

policy=/usr/sbin/policy-rc.d # 101: packages may not start services
if [[ ! -e $policy ]]; then
  trap '"${root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
fi
log=$(mktemp)
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1; }
if ! { apt update && apt install -y --no-install-recommends "${packages[@]}"; }; then
  tail -n 20 "$log" >&2
  echo "cannot install ${packages[*]}" >&2
  exit 1
fi
rm -f "$log"
