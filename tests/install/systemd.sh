#!/usr/bin/env bash
# Runs the shipped unit under a systemd of its own: a container of namespaces, in which this machine's files lie below
# an overlay. Start, reload, stop and each hardening option, with a real PostgreSQL. As root; nothing outside the
# container changes, and its network is a loopback of its own. About two minutes. With --packages, Debian's packages are
# installed, upgraded and removed there instead, while the daemon runs: half a minute.
#
#   tests/install/systemd.sh [BUILD]    BUILD: build/release, with both programs and the module built in it
#   tests/install/systemd.sh --packages [FOLDER]    the packages that config/packages/build.sh has made on this machine
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "systemd.sh: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "namespaces and mounts want root"
build='' packages=''
if [ "${1:-}" = --packages ]; then
    packages=${2:-build/packages/$(. /etc/os-release && echo "$ID-$VERSION_ID")}
    compgen -G "$packages/runledger_*.deb" >/dev/null || fail "$packages has no packages: build them first"
else
    build=${1:-build/release}
    [ -x "$build/daemon/runledgerd" ] || fail "$build has no runledgerd: build it first"
    [ -e "$build/nginx-module/ngx_http_runledger_module.so" ] || fail "$build has no module: build it first"
fi
for program in unshare setpriv python3 nginx curl /lib/systemd/systemd; do
    command -v $program >/dev/null || fail "$program is not installed"
done
cgroups=$(findmnt -rnt cgroup2 -o TARGET | head -n 1)
[ -n "$cgroups" ] || fail "no cgroup2 is mounted"

work=$(mktemp -d "${TMPDIR:-/tmp}/runledger-systemd.XXXXXX")
cgroup=$cgroups/runledger-systemd-$$
mkdir "$cgroup" "$work/files" "$work/space" "$work/share"
end() {
    echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
    sleep 0.2
    find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap end EXIT
cp tests/install/in_container.sh "$work/files/"
if [ -n "$packages" ]; then
    install -D -t "$work/files/root/packages" "$packages"/runledger_*.deb "$packages"/libnginx-mod-http-runledger_*.deb
    cp tests/install/packages_in_systemd.sh "$work/files/try.sh"
else
    for component in daemon edge; do
        DESTDIR=$work/files cmake --install "$build" --prefix /usr --component $component >"$work/log" ||
            { cat "$work/log"; exit 1; }
    done
    cp tests/install/in_systemd.sh "$work/files/try.sh"
    # The tree may be configured for another prefix than the packages'.
    install -D -m 0640 config/runledgerd.toml "$work/files/etc/runledger/runledgerd.toml"
fi

cat >"$work/begin.sh" <<'EOF_BEGIN'
# In the new namespaces: makes the container's / and becomes its systemd.
set -euo pipefail
work=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/space"  # Of this namespace: it goes with it.
mkdir "$work/space/upper" "$work/space/scratch" "$work/space/root"
cp -a "$work/files/." "$work/space/upper/"
root=$work/space/root
mount -t overlay -o "lowerdir=/,upperdir=$work/space/upper,workdir=$work/space/scratch" overlay "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"  # The kernel's settings are the machine's.
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/share"
mount --bind "$work/share" "$root/share"
ip link set lo up
rm -rf "$root"/etc/systemd/system/*.wants
cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/try.sh
StandardOutput=append:/share/out
StandardError=inherit
TimeoutStartSec=900
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/share/status; systemctl exit --force --force'
UNIT
printf '[Unit]\nRequires=basic.target try.service\nAfter=basic.target\n' >"$root/etc/systemd/system/try.target"
mkdir "$root/old"
cd "$root"
pivot_root . old
exec setpriv --bounding-set=-sys_module,-sys_time,-syslog,-sys_boot,-sys_rawio \
    env -i container=runledger PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c '
        umount -l /old
        mount --make-rshared /  # As systemd itself makes it outside a container: credentials are mounted so.
        exec /lib/systemd/systemd --unit=try.target --show-status=0 --log-level=err'
EOF_BEGIN

: >"$work/share/out"
tail -n +1 -f "$work/share/out" &
tail=$!
(
    echo 0 >"$cgroup/cgroup.procs"
    exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child bash "$work/begin.sh" "$work" </dev/null
) || true
sleep 0.5
kill "$tail"
[ "$(cat "$work/share/status" 2>/dev/null)" = 0 ] || fail "the container has ended with status $(cat "$work/share/status" 2>/dev/null || echo unknown)"
