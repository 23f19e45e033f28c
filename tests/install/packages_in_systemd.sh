#!/bin/bash
# Inside the container that `systemd.sh --packages` has made: installs, upgrades, removes and purges both packages while
# the daemon runs as a service.
. /in_container.sh
export DEBIAN_FRONTEND=noninteractive
rm -f /usr/sbin/policy-rc.d  # A container image's own: with it no package may start or stop a service.
dpkg_does() { dpkg "$@" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail "dpkg $*"; }; }
daemons() { pgrep --exact runledgerd || true; }

echo "== systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'): a first installation"
dpkg_does --install /root/packages/*.deb
is ActiveState inactive || fail "it is $(shows ActiveState)"
is UnitFileState disabled || fail "it is $(shows UnitFileState)"
make_database
systemctl enable -q --now $unit
is ActiveState active || fail "it is $(shows ActiveState)"
echo "inactive and disabled, then started"

echo "== an upgrade, which brings another unit"
package=$(echo /root/packages/runledger_*.deb)
dpkg-deb --raw-extract "$package" /tmp/newer
sed -i 's/^Version: .*/&+newer/' /tmp/newer/DEBIAN/control
shipped=$(find /tmp/newer -name $unit)
sed -i 's/^\[Service\]$/&\nEnvironment=UNIT=newer/' "$shipped"
dpkg-deb --build /tmp/newer /tmp/newer.deb >/dev/null
pid=$(shows MainPID)
dpkg_does --install /tmp/newer.deb
is ActiveState active || fail "it is $(shows ActiveState)"
is MainPID "$pid" && fail "the old process goes on"
is NeedDaemonReload no || fail "systemd has not read the new unit"
tr '\0' '\n' <"/proc/$(shows MainPID)/environ" | grep -qx UNIT=newer || fail "the new process was started by the old unit"
echo "restarted by the new unit"

echo "== a removal"
dpkg_does --remove runledger
[ -z "$(daemons)" ] || fail "a daemon still runs: $(daemons)"
[ -s /etc/runledger/runledgerd.toml ] || fail "the configuration is gone"
echo "stopped; the configuration is still there"

echo "== another installation, and a purge while the daemon runs"
dpkg_does --install "$package"
systemctl start $unit
[ -n "$(daemons)" ] || fail "no daemon runs"
dpkg_does --purge runledger libnginx-mod-http-runledger
[ -z "$(daemons)" ] || fail "a daemon still runs: $(daemons)"
left=$(find /etc /usr /var/lib /run -cnewer /root/packages -path '*runledger*')
[ -z "$left" ] || fail "left behind: $left"
[ "$(sql 'SELECT count(*) FROM runledger.runs')" = 0 ] || fail "the database is not as it was"
getent passwd runledger >/dev/null || fail "the user is gone"
echo "stopped; left behind: the user, the database, no file"
echo "== done"
