#!/usr/bin/env bash
# Builds the release of the commit that is checked out, for each platform an archive and
# their sums:
#
#   deploy/release.sh bin/release
#   deploy/release.sh --twice      builds it twice, elsewhere, and compares the sums
#
# The same commit and the same Go give the same bytes wherever and whenever it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
platforms=(amd64 arm64)

# build SOURCE TARGET: archives of SOURCE into TARGET.
build() (
  mkdir -p "$2"
  target=$(cd "$2" && pwd)
  cd "$1"
  version=$(git describe --tags --always --abbrev=12 --dirty | sed 's/^v//')
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  for arch in "${platforms[@]}"; do
    name=canyu-$version-linux-$arch
    mkdir -p "$stage/$name"
    env CGO_ENABLED=0 GOOS=linux GOARCH="$arch" GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= \
      go build -trimpath -ldflags="-s -w -X main.version=$version" -o "$stage/$name/canyu" ./cmd/canyu
    # Of the commit, not of the folder: an operator's may have secrets in it.
    git archive HEAD LICENSE README.md README.zh.md CHANGELOG.md SECURITY.md deploy | tar -xC "$stage/$name"
    rm -rf "$stage/$name/deploy/validate" "$stage/$name"/deploy/*_test.* "$stage/$name"/deploy/test*.sh
    chmod -R u=rwX,go=rX "$stage/$name"
    tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -cf - "$name" | gzip -9n >"$target/$name.tar.gz"
  done
  cd "$target" && sha256sum canyu-"$version"-*.tar.gz | tee SHA256SUMS
)

if [[ ${1:-} != --twice ]]; then
  build . "${1:?usage: $0 FOLDER, or $0 --twice}"
  exit
fi

# Elsewhere, and the second time with nothing of the first to go by.
dir=$(mktemp -d "${TMPDIR:-/tmp}/canyu-release.XXXXXX")
trap 'GOCACHE=$dir/cache go clean -cache; rm -rf "$dir"' EXIT
git clone -q . "$dir/one"
git clone -q . "$dir/another place"
build "$dir/one" "$dir/first"
GOCACHE=$dir/cache build "$dir/another place" "$dir/second"
cmp "$dir/first/SHA256SUMS" "$dir/second/SHA256SUMS"
echo "twice the same"
