#!/bin/bash
# Inside the Debian that debian.sh has made, with nginx and PostgreSQL and without the network: installs both packages,
# sets them up as docs/operations.md says, settles a run, upgrades under load, removes, purges.
set -euo pipefail
fail() { echo "FAILED: $*" >&2; exit 1; }
mount -t proc proc /proc
ip link set lo up 2>/dev/null || true
cd /
as() { local user=$1; shift; setpriv --reuid="$user" --regid="$user" --init-groups "$@"; }
eventually() {  # what, command: within half a minute
    local what=$1 i
    shift
    for ((i = 0; i < 150; ++i)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    fail "never happened: $what"
}

echo "== installing the packages"
apt-get install -y -qq --no-install-recommends /root/packages/*.deb >/root/install.log 2>&1 || { cat /root/install.log; fail apt; }
systemd-tmpfiles --create runledger.conf runledger-edge.conf  # At boot systemd does it.
stat -c '%A %U:%G %n' /run/runledger /etc/runledger /var/lib/runledger/spool /var/lib/runledger/refused
nginx -t 2>&1 | tail -n 1
[ -s /usr/share/doc/runledger/docs/operations.md ] || fail "the document that the unit names is not there"

echo "== the database"
cluster=$(pg_lsclusters -h | head -n 1 | cut -d" " -f1,2)
[ -n "$cluster" ] || fail "Debian made no cluster"
pg_ctlcluster $cluster start
eventually "PostgreSQL takes connections" as postgres psql -qc 'SELECT 1'
as postgres createdb runledger
cp /usr/share/doc/runledger/examples/owner.toml /tmp/owner.toml
as postgres runledger --config /tmp/owner.toml migrate | tail -n 1
as postgres psql -qd runledger -c 'CREATE ROLE runledger LOGIN' -c 'GRANT runledger_daemon, runledger_reader TO runledger'

echo "== the daemon, as its unit starts it"
start_daemon() {
    setpriv --reuid=runledger --regid=runledger --init-groups \
        runledgerd --config /etc/runledger/runledgerd.toml >>/root/daemon.log 2>&1 &
    daemon=$!
    eventually "the daemon's socket is there" test -S /run/runledger/daemon.sock
}
start_daemon
stat -c '%A %U:%G %n' /run/runledger/daemon.sock

echo "== the edge"
install -m 0600 /dev/null /etc/nginx/runledger.tokens
echo "studio a-long-random-word-of-this-test" >/etc/nginx/runledger.tokens
sed -e 's/listen 443 ssl;/listen 127.0.0.1:8080;/' -e '/listen \[::\]:443/d' -e '/ssl_certificate/d' \
    /usr/share/doc/libnginx-mod-http-runledger/examples/runledger.conf >/etc/nginx/conf.d/runledger.conf
/usr/sbin/nginx  # By its path, as systemd does: a binary upgrade starts the same word.
url='http://127.0.0.1:8080/api/webhook/comfydeploy?token=a-long-random-word-of-this-test'
post() { curl -sS -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d "$1" "$url"; }
sql() { as postgres psql -XAtqd runledger -c "$1"; }
sql "INSERT INTO runledger.generations (metadata) VALUES ('{\"run_id\": \"first\", \"costRate\": {\"amount\": 0.001, \"currency\": \"USD\", \"unit\": \"second\"}}')"
post '{"run_id": "first", "status": "running"}'
sleep 1
post '{"run_id": "first", "status": "success"}'
settled() { [ "$(sql "SELECT status FROM runledger.generations WHERE run_id = 'first'")" = completed ]; }
eventually "the run is settled" settled
sql "SELECT run_id, status, duration_ms, cost_usd FROM runledger.generations"

echo "== upgrading while webhooks come"
: >/root/answers
(for ((i = 0; i < 400; ++i)); do post "{\"run_id\": \"load-$i\", \"status\": \"running\"}" >>/root/answers; done) &
load=$!
sleep 0.5
apt-get install -y -qq --reinstall --no-install-recommends /root/packages/*.deb >/root/upgrade.log 2>&1 ||
    { cat /root/upgrade.log; fail "the upgrade"; }
# As systemd would restart it, and nginx's binary upgrade, which takes the new module without closing a socket.
kill "$daemon"
wait "$daemon" || true
start_daemon
kill -USR2 "$(cat /run/nginx.pid)"
eventually "the new master is there" test -s /run/nginx.pid.oldbin
sleep 1
kill -QUIT "$(cat /run/nginx.pid.oldbin)"
wait $load
[ "$(sort /root/answers | uniq -c | tr -s ' ')" = " 400 200" ] || fail "answers: $(sort /root/answers | uniq -c)"
all_there() { [ "$(sql "SELECT count(*) FROM runledger.runs WHERE run_id LIKE 'load-%'")" = 400 ]; }
eventually "all 400 are in the ledger" all_there
as postgres runledger --config /tmp/owner.toml audit | tail -n 3

echo "== removing, then purging"
kill "$daemon"
wait "$daemon" || true
rm /etc/nginx/conf.d/runledger.conf /etc/nginx/runledger.tokens
nginx -s stop
sleep 1
apt-get remove -y -qq runledger libnginx-mod-http-runledger >/root/remove.log 2>&1 || { cat /root/remove.log; fail "the removal"; }
nginx -t 2>&1 | tail -n 1
[ -s /etc/runledger/runledgerd.toml ] || fail "a removal removes the configuration"
apt-get purge -y -qq runledger libnginx-mod-http-runledger >/root/purge.log 2>&1 || { cat /root/purge.log; fail "the purge"; }
nginx -t 2>&1 | tail -n 1
pg_ctlcluster $cluster stop
find / -xdev \( -path /proc -o -path /root -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg \
    -o -path /tmp \) -prune -o -print | sort >/root/files-after
# By their names, or by whose they are: dependencies stay, too.
left=$(comm -13 /root/files-before /root/files-after | grep -i runledger || true)
owned=$(find / -xdev -path /proc -prune -o \( -user runledger -o -group runledger \) -print)
[ -z "$owned" ] || fail "the user runledger still owns: $owned"
getent passwd runledger >/dev/null || fail "docs/operations.md says that the user stays"
echo "left behind: the spool, $(grep -c '\.seg$' <<<"$left") segments"
[ -z "$(grep -v '^/var/lib/runledger' <<<"$left")" ] || fail "left behind: $left"
