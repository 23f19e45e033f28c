# Sourced by the scripts that systemd.sh runs in its container, as services of its systemd: what they ask of the unit, and
# a PostgreSQL that is a service, too.
set -Eeuo pipefail
export LC_ALL=C.UTF-8
unit=runledgerd.service
fail() {
    trap - ERR
    echo "FAILED: $*" >&2
    journalctl -q -o cat -n 20 -u $unit >&2 || true
    exit 1
}
trap 'fail "line $LINENO"' ERR
within() {  # seconds, what, command
    local what=$2 until=$((SECONDS + $1))
    shift 2
    while ((SECONDS <= until)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    fail "never happened: $what"
}
eventually() { within 30 "$@"; }  # what, command
shows() { systemctl show -P "$1" $unit; }
is() { [ "$(shows "$1")" = "$2" ]; }
status_has() { [[ $(shows StatusText) == *"$1"* ]]; }
log_has() { journalctl -q -o cat -u $unit | grep -qF -- "$1"; }
sql() { runuser -u postgres -- psql -XAtqd runledger -c "$1"; }

make_database() {  # With the schema, and with the daemon's login.
    local bin
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
    install -d -o postgres -g postgres /tmp/cluster /run/postgresql
    runuser -u postgres -- "$bin/initdb" -A peer --auth-host=scram-sha-256 -D /tmp/cluster >/dev/null
    printf '%s\n' '[Service]' Type=notify User=postgres KillMode=mixed KillSignal=SIGINT \
        "ExecStart=$bin/postgres -D /tmp/cluster -k /run/postgresql -c fsync=off" >/etc/systemd/system/pg.service
    systemctl daemon-reload
    systemctl start pg
    cp /usr/share/doc/runledger/examples/owner.toml /var/lib/postgresql/owner.toml
    runuser -u postgres -- createdb --encoding UTF8 --template template0 runledger
    runuser -u postgres -- runledger --config /var/lib/postgresql/owner.toml migrate | tail -n 1
    sql "CREATE ROLE runledger LOGIN PASSWORD 'sesame'"
    sql "GRANT runledger_daemon, runledger_reader TO runledger"
}
