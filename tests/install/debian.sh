#!/usr/bin/env bash
# Installs both packages into a minimal Debian that debootstrap makes in a folder, follows docs/operations.md to a settled
# run, upgrades them while webhooks come, purges them, and says what stays behind. As root; nothing outside the folder is
# changed, and the network inside is a loopback of its own once the packages are there. A few minutes.
#
#   tests/install/debian.sh [--folder DIR] [--keep]    packages: those that config/packages/build.sh has made
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "debian.sh: $*" >&2; exit 1; }
folder='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --folder) folder=${2:?--folder wants a path}; shift 2 ;;
        --keep) keep=yes; shift ;;
        -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
[ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot want root"
for program in debootstrap unshare; do
    command -v $program >/dev/null || fail "$program is not installed"
done
compgen -G 'build/packages/runledger_*.deb' >/dev/null || fail "build/packages has no packages: run config/packages/build.sh"
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(sed -nE 's/^URIs: ([^ ]+\/debian\/?)$/\1/p; s/^deb ([^ ]+\/debian\/?) .*/\1/p' /etc/apt/sources.list \
    /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
[ -n "$mirror" ] || fail "/etc/apt names no mirror of Debian's to take packages from"
[ -z "$folder" ] || mkdir -p "$folder"
root=${folder:-$(mktemp -d "${TMPDIR:-/var/tmp}/runledger-debian.XXXXXX")}
chmod 755 "$root"  # It is / to the users inside.
end() {
    while umount --lazy "$root/proc" 2>/dev/null; do :; done
    if [ -z "$keep" ]; then
        rm -rf --one-file-system "$root"
    else
        echo "kept: $root"
    fi
}
trap end EXIT

if [ ! -x "$root/usr/bin/apt-get" ]; then
    echo "== a minimal Debian ($suite) in $root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log"; fail "debootstrap failed"; }
    rm -f "$root.log"
fi
mount -t proc proc "$root/proc"
# Its packages start no service.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/root/packages"
cp build/packages/*.deb "$root/root/packages/"
rm -f "$root"/root/packages/*-dbgsym_*.deb
cp tests/install/in_debian.sh "$root/root/"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
echo "== installing nginx, PostgreSQL and curl in it"
inside sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx postgresql curl \
    iproute2 && apt-get install -y -qq --no-install-recommends --download-only /root/packages/*.deb' >"$root/root/apt.log" 2>&1 || { tail -n 20 "$root/root/apt.log"; fail "apt-get failed"; }
inside sh -c 'find / -xdev \( -path /proc -o -path /root -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /tmp \) -prune -o -print | sort' >"$root/root/files-before"
begun=$SECONDS
unshare --net --pid --fork --kill-child chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive /root/in_debian.sh
echo "== all of it took $((SECONDS - begun)) s"
