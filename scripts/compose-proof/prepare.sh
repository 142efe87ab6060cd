#!/usr/bin/env bash
# What compose-check needs on a machine without Docker and without a registry of images, from Debian's packages and npm's alone:
# an engine, the file systems of base images, and a store of our packages. Everything lies in one folder and is made once.
#
#   prepare.sh <folder>
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
mkdir -p "$folder/debs" "$folder/config/cli-plugins"

made() { [ -e "$folder/$1" ] && return 0; printf '• %s\n' "$2" >&2; return 1; }

# Debian's engine is younger in the next release, and asks for no more of the C library than this one has.
made engine "unpacking an engine" || {
  apt-get -qq update
  mirror=$(apt-get --print-uris update | sed -n "s#^'\(.*/\)dists/[a-z]*-updates/.*#\1#p" | head -n 1)
  curl --silent --fail "${mirror}dists/trixie/main/binary-amd64/Packages.xz" | xz --decompress >"$folder/debs/Packages"
  pushd "$folder/debs" >/dev/null
  for package in docker.io docker-cli docker-compose docker-buildx containerd; do
    read -r path sum < <(awk -v RS= -v name="$package" '$2 == name && $1 == "Package:"' Packages |
      awk '/^Filename:/ { path = $2 } /^SHA256:/ { sum = $2 } END { print path, sum }')
    curl --silent --fail --output "$package.deb" "$mirror$path"
    echo "$sum  $package.deb" | sha256sum --check --quiet
  done
  apt-get -qq -o APT::Sandbox::User= download runc tini iptables libip4tc2 libip6tc2 libxtables12 libnfnetlink0 libnetfilter-conntrack3 libnftnl11 libmnl0
  mkdir "$folder/engine.new"
  for package in *.deb; do dpkg-deb --extract "$package" "$folder/engine.new"; done
  for name in iptables iptables-restore iptables-save ip6tables ip6tables-restore ip6tables-save; do
    ln -sf xtables-legacy-multi "$folder/engine.new/usr/sbin/$name"
  done
  popd >/dev/null
  mv "$folder/engine.new" "$folder/engine"
}
ln -sf "$folder"/engine/usr/libexec/docker/cli-plugins/* "$folder/config/cli-plugins/"

"$here/debian-root.sh" bookworm "$folder/node" dash coreutils findutils grep sed libc-bin libstdc++6 ca-certificates
cp --update "$(readlink -f "$(command -v node)")" "$folder/node/usr/local/bin/node"
"$here/debian-root.sh" forky "$folder/postgres" dash bash coreutils sed grep postgresql-18
# As in the official image: a container that starts again gets a new /var/run/postgresql with the mode that the image's has.
install -d -m 1777 "$folder/postgres/var/run/postgresql"
"$here/debian-root.sh" forky "$folder/nginx" dash coreutils nginx
"$here/debian-root.sh" forky "$folder/prometheus" dash coreutils prometheus
# As in the official image: what a new volume is made from.
install -d -o 65534 -g 65534 "$folder/prometheus/prometheus"

# The stage `tools` of the Dockerfile: Node with pnpm, and the packages of our lockfile.
lockfile=$(cksum <pnpm-lock.yaml | tr ' ' -)
made "tools-$lockfile" "fetching our packages" || {
  rm -rf "$folder"/tools-* "$folder/fetched"
  mkdir "$folder/fetched"
  cp pnpm-lock.yaml pnpm-workspace.yaml package.json "$folder/fetched/"
  cp --archive --link "$folder/node" "$folder/tools.new"
  cp "$(readlink -f "$(command -v pnpm)")" "$folder/tools.new/usr/local/bin/pnpm"
  (cd "$folder/fetched" && pnpm fetch --silent --store-dir="$folder/tools.new/pnpm/store")
  rm -rf "$folder/fetched"
  mv "$folder/tools.new" "$folder/tools-$lockfile"
}
ln -sfn "tools-$lockfile" "$folder/tools"

# The double of MongoDB, readable by the user its container runs as.
made documentdb "copying the development double of MongoDB" || {
  node --conditions=tollgate "$here/install-double.ts" "$folder/install-double"
  cp --archive "${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/documentdb-1" "$folder/documentdb.new"
  chown -R 1000:1000 "$folder/documentdb.new"
  mv "$folder/documentdb.new" "$folder/documentdb"
}
