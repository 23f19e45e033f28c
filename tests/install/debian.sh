#!/usr/bin/env bash
# Installs both packages into a minimal Debian that debootstrap makes in a folder, follows docs/operations.md to a settled
# run, upgrades them while webhooks come, purges them, and says what stays behind. As root; nothing outside the folder is
# changed, and the network inside is a loopback of its own once the packages are there. A few minutes.
#
#   tests/install/debian.sh [12|13] [--folder DIR] [--keep]    the release; this machine's, if none is named
#
# Packages: those that config/packages/build.sh has made on a machine of this release, or `tests/systems/run.sh 13
# packages` in such a system.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "debian.sh: $*" >&2; exit 1; }
. tests/systems/system.sh
release='' folder='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        12 | 13) release=$1; shift ;;
        --folder) folder=${2:?--folder wants a path}; shift 2 ;;
        --keep) keep=yes; shift ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
release=${release:-$(. /etc/os-release && echo "${VERSION_ID:-}")}
packages=build/packages/debian-$release
compgen -G "$packages/runledger_*.deb" >/dev/null || fail "$packages has no packages: see --help"
[ -z "$folder" ] || mkdir -p "$folder"
root=${folder:-$(mktemp -d "${TMPDIR:-/var/tmp}/runledger-debian.XXXXXX")}
end() {
    while umount --lazy "$root/proc" 2>/dev/null; do :; done
    if [ -z "$keep" ]; then
        rm -rf --one-file-system "$root"
    else
        echo "kept: $root"
    fi
}
trap end EXIT

make_system "$release" "$root"
mount -t proc proc "$root/proc"
mkdir -p "$root/root/packages"
cp "$packages"/*.deb "$root/root/packages/"
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
