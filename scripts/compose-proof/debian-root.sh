#!/bin/sh
# Makes the file system of a small Debian from its packages, for an image that cannot be pulled:
#
#   debian-root.sh <suite> <folder> <package>…
#
# apt works on lists and a package database of its own, so the machine's packages are not touched. Packages are unpacked and not
# configured: enough for programs that only need their files.
set -eu
suite=$1 folder=$2
shift 2
[ ! -e "$folder" ] || exit 0

apt=$(mktemp -d)
trap 'rm -rf "$apt" "$folder.new"' EXIT
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$folder.new"
: >"$apt/status"
. /etc/os-release
mirror=$(apt-get --print-uris update | sed -n "s#^'\(.*/\)dists/${VERSION_CODENAME}-updates/.*#\1#p" | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"

private() {
  apt-get -qq \
    -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
    -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" -o APT::Sandbox::User= -o Debug::NoLocking=true \
    -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false "$@"
}
private update
private --yes --download-only install base-files "$@" >/dev/null

# Programs are found in /usr alone, whichever of the two places a package names.
cd "$folder.new"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/local/bin etc tmp run var/lib
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
chmod 1777 tmp
for package in "$apt"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*'
done
# What a volume of a stand-in is made from: see stand-ins.yml. After the packages, which bring folders with modes of their own.
install -d -o 1000 -g 1000 data
install -d -m 1777 var/lib/postgresql
printf '%s\n' root:x:0:0:root:/root:/bin/sh node:x:1000:1000::/tmp:/bin/sh nobody:x:65534:65534::/tmp:/bin/sh >etc/passwd
printf '%s\n' root:x:0: node:x:1000: nogroup:x:65534: >etc/group
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >etc/nsswitch.conf
mv "$folder.new" "$folder"
