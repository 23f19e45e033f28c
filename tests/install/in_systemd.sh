#!/bin/bash
# Inside the container that systemd.sh has made, as a service of its systemd.
. /in_container.sh
dropins=/etc/systemd/system/$unit.d

systemd=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
echo "== systemd $systemd: user, folders, database"
systemd-sysusers runledger.conf
systemd-tmpfiles --create runledger.conf
chgrp runledger /etc/runledger/runledgerd.toml
stat -c '%A %U:%G %n' /run/runledger /etc/runledger
make_database

echo "== the edge"
install -d -o www-data -g www-data -m 0700 /tmp/spool
cat >/tmp/nginx.conf <<'CONF'
load_module /usr/lib/nginx/modules/ngx_http_runledger_module.so;
user www-data;
pid /run/nginx.pid;
error_log /tmp/nginx.log notice;
worker_processes 1;
events {}
http {
    access_log off;
    runledger_spool /tmp/spool max_size=64m;
    include /tmp/link.conf;
    server {
        listen 127.0.0.1:8080;
        location = /webhook { runledger_webhook; runledger_token off; }
    }
}
CONF
echo 'runledger_daemon ipc:///run/runledger/daemon.sock;' >/tmp/link.conf
/usr/sbin/nginx -c /tmp/nginx.conf
post() { curl -fsS -o /dev/null -H 'Content-Type: application/json' -d "$1" http://127.0.0.1:8080/webhook; }
number=0
is_settled() {
    [ "$(sql "SELECT count(*) FROM runledger.generations AS g JOIN runledger.notifications AS n ON n.generation_id = g.id
            WHERE g.run_id = 'run-$number' AND g.status = 'completed' AND n.state = 'logged'")" = 1 ]
}
settles_a_run() {  # From the webhook to the row and the message.
    number=$((number + 1))
    sql "INSERT INTO runledger.generations (metadata) VALUES (jsonb_build_object('run_id', 'run-$number',
        'telegramChatId', 42, 'costRate', '{\"amount\": 1, \"currency\": \"USD\", \"unit\": \"run\"}'::jsonb))"
    post "{\"run_id\": \"run-$number\", \"status\": \"running\"}"
    post "{\"run_id\": \"run-$number\", \"status\": \"success\", \"outputs\": [{\"id\": \"o\", \"data\": {\"text\": [\"hello\"]}}]}"
    eventually "run-$number is settled, and its message is written" is_settled
}

echo "== start"
toml=/etc/runledger/runledgerd.toml
printf '\n[settle]\noutputs_grace_ms = 0\n' >>$toml
systemctl start $unit
is ActiveState active || fail "it is $(shows ActiveState)"
settles_a_run
eventually "systemctl status shows that work flows" status_has "flowing: 2 events applied, 1 runs settled"
shows StatusText
stat -c '%A %U:%G %n' /run/runledger/daemon.sock

echo "== reload"
pid=$(shows MainPID)
sed -i 's/^webhook_events_days = 90/webhook_events_days = 30/' $toml
systemctl reload $unit
eventually "the new value is in use" log_has 'configuration reloaded changed="[retention]"'
eventually "systemd sees its end" is ActiveState active
sed -i 's/^webhook_events_days = 30/webhook_events_days = "many"/' $toml
if systemctl reload $unit 2>/dev/null; then fail "a reload of a faulty file succeeds"; fi
log_has '[retention] webhook_events_days (line' || fail "the log does not name the fault"
is ActiveState active && is MainPID "$pid" || fail "the daemon has ended"
kill -HUP "$pid"
eventually "the daemon itself refuses it" log_has 'the configuration is not reloaded'
eventually "systemctl status shows it" status_has "the last reload was refused"
sed -i 's/^webhook_events_days = "many"/webhook_events_days = 30/' $toml
for ((i = 0; i < 200; ++i)); do kill -HUP "$pid"; done
systemctl reload $unit
eventually "systemctl status shows that it is mended" eval '! status_has "the last reload was refused"'
is MainPID "$pid" || fail "the daemon has ended"
settles_a_run

echo "== crashes, and a hang"
pid=0
is_another_process() { [[ $(shows MainPID) != @(0|"$pid") ]]; }
begun=$SECONDS
for ((i = 0; i < 7; ++i)); do
    eventually "it is started after $i crashes" is_another_process
    pid=$(shows MainPID)
    kill -KILL "$pid"
done
took=$((SECONDS - begun))
eventually "it is active after 7 crashes" eval 'is_another_process && is ActiveState active'
settles_a_run
echo "7 crashes within $took s, $(shows NRestarts) restarts, it is $(shows ActiveState)"
[ $took -le 10 ] || echo "  systemd's default limit is 5 starts in 10 s: this says nothing of it"
pid=$(shows MainPID)
kill -STOP "$pid"
within 90 "the watchdog ends a process that has stopped" log_has 'Watchdog timeout'
eventually "it is active after the watchdog" eval 'is_another_process && is ActiveState active'
settles_a_run
echo "stopped by a signal: $(journalctl -q -o cat -u $unit | grep -m 1 -F 'Watchdog timeout')"

echo "== PostgreSQL away, and hanging"
systemctl stop pg
eventually "systemctl status shows it" status_has "PostgreSQL is away: the edges keep what comes"
is ActiveState active || fail "it is $(shows ActiveState)"
systemctl start pg
eventually "systemctl status shows that it is back" status_has flowing
settles_a_run
hanging() { runuser -u postgres -- psql -XAtqd runledger -c 'BEGIN; LOCK TABLE runledger.settle_queue; SELECT pg_sleep(600)' >/dev/null 2>&1 || true; }
hanging &
sleep 1
systemctl kill --signal=SIGSTOP pg
begun=$SECONDS
systemctl stop $unit
took=$((SECONDS - begun))
[ $took -lt 30 ] && is Result success || fail "it took $took s to stop, with the result $(shows Result)"
echo "stopped within $took s though PostgreSQL hangs, result: $(shows Result)"
systemctl kill --signal=SIGCONT pg
systemctl stop pg
mkdir -p $dropins
printf '[Service]\nTimeoutStartSec=5\n' >$dropins/short.conf
systemctl daemon-reload
systemctl start --no-block $unit
sleep 9
is ActiveState activating || fail "it waits for PostgreSQL, and is $(shows ActiveState)"
status_has "waiting for PostgreSQL: " || fail "its status is $(shows StatusText)"
echo "still waiting after 9 s with TimeoutStartSec=5"
systemctl start pg
eventually "it is active" is ActiveState active
rm $dropins/short.conf
settles_a_run
systemctl stop $unit

echo "== credentials, a password, and CURVE"
install -d -m 0700 /etc/runledger/secrets
install -m 0600 /dev/null /etc/runledger/secrets/telegram-token
install -m 0600 /dev/null /etc/runledger/secrets/comfydeploy-key
install -m 0600 /dev/null /etc/runledger/secrets/database-password
echo 1:a-token >/etc/runledger/secrets/telegram-token
echo a-key >/etc/runledger/secrets/comfydeploy-key
echo sesame >/etc/runledger/secrets/database-password
install -m 0600 /dev/null /etc/runledger/secrets/webhook-secrets
echo whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0 >/etc/runledger/secrets/webhook-secrets
install -m 0600 /dev/null /etc/runledger/secrets/page-token
echo a-token-of-the-page >/etc/runledger/secrets/page-token
runledger keygen ledger --folder /etc/runledger/secrets >/dev/null
runledger keygen edge-1 --folder /tmp >/tmp/authorized
cp /tmp/authorized /etc/runledger/authorized
cp /usr/share/doc/runledger/examples/credentials.conf $dropins/credentials.conf
cp $toml /tmp/plain.toml
cat >$toml <<'TOML'
[postgres]
uri = "host=127.0.0.1 user=runledger dbname=runledger"
password_file = "$CREDENTIALS_DIRECTORY/database-password"
[intake]
bind = ["ipc:///run/runledger/daemon.sock", "tcp://127.0.0.1:9463"]
curve_secret_key_file = "$CREDENTIALS_DIRECTORY/curve-secret"
curve_authorized_keys_file = "/etc/runledger/authorized"
[telegram]
mode = "log"
token_file = "$CREDENTIALS_DIRECTORY/telegram-token"
[comfydeploy]
api_url = "http://127.0.0.1:1"
api_key_file = "$CREDENTIALS_DIRECTORY/comfydeploy-key"
[webhooks]
secrets_file = "$CREDENTIALS_DIRECTORY/webhook-secrets"
[page]
token_file = "$CREDENTIALS_DIRECTORY/page-token"
[settle]
outputs_grace_ms = 0
TOML
printf 'runledger_daemon tcp://127.0.0.1:9463;\nrunledger_curve secret_key=/tmp/edge-1.secret server_key=/etc/runledger/secrets/ledger.public;\n' >/tmp/link.conf
/usr/sbin/nginx -c /tmp/nginx.conf -s reload
printf '[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET\n' >$dropins/families.conf
systemctl daemon-reload
if systemctl start $unit 2>/dev/null; then fail "it binds tcp:// without AF_NETLINK"; fi
log_has 'RestrictAddressFamilies= of the service needs AF_NETLINK' || fail "it does not say why it can't bind tcp://"
rm $dropins/families.conf
systemctl daemon-reload
systemctl reset-failed $unit
systemctl start $unit
settles_a_run
log_has 'reconcile=on' || fail "the key was not read"
systemctl reload $unit || fail "a reload can't read the credentials"
log_has 'edge let in name=edge-1' || fail "the edge did not come by CURVE"
systemctl stop $unit
# The same without credentials, as docs/operations.md says for files.
rm $dropins/credentials.conf
chown root:runledger /etc/runledger/secrets /etc/runledger/secrets/*
chmod 0750 /etc/runledger/secrets
chmod 0640 /etc/runledger/secrets/*
sed -i 's|\$CREDENTIALS_DIRECTORY/curve-secret|/etc/runledger/secrets/ledger.secret|; s|\$CREDENTIALS_DIRECTORY|/etc/runledger/secrets|' $toml
systemctl daemon-reload
systemctl start $unit
settles_a_run
systemctl stop $unit
cp /tmp/plain.toml $toml
echo 'runledger_daemon ipc:///run/runledger/daemon.sock;' >/tmp/link.conf
/usr/sbin/nginx -c /tmp/nginx.conf -s reload

echo "== each hardening option: bites, and lets the daemon work"
shipped=/usr/lib/systemd/system/$unit
mkdir -p /home/somebody /usr/lib/modules/any
touch /tmp/everybodys /home/somebody/file
toothless=() void=()
judge() {  # option, whether the probe succeeds without it and with it: it has to fail without
    if [ "$2" = yes ]; then
        void+=("$1")
    elif [ "$3" = no ]; then
        toothless+=("$1")
    fi
}
runs() { if systemd-run -q --wait --collect "$@" 2>/dev/null; then echo yes; else echo no; fi; }
probe() {  # option, command, options that stand before it: the command succeeds with the option and fails without it
    local option=$1 command=$2 other before=()
    for other in "${@:3}"; do before+=(-p "$other"); done
    judge "$option" "$(runs "${before[@]}" /bin/sh -c "$command")" "$(runs "${before[@]}" -p "$option" /bin/sh -c "$command")"
}
# What a service of the daemon's user leaves behind when it has ended.
leaves_nothing() {  # options
    systemd-run -q --wait --collect -p User=runledger "$@" ipcmk --shmem 4096
    sleep 1
    if ipcs --shmems | grep -q runledger; then echo no; else echo yes; fi
    ipcs --shmems | awk '$3 == "runledger" { print $2 }' | xargs -r -n 1 ipcrm --shmem-id
}
works_with() {  # the options that the unit keeps; all others are left out
    sed -n '1,/^# These lines take away/p' $shipped >/etc/systemd/system/$unit
    printf '%s\n' "$@" '[Install]' 'WantedBy=multi-user.target' >>/etc/systemd/system/$unit
    systemctl daemon-reload
    systemctl start $unit || fail "does not start with $*"
    settles_a_run
    systemctl stop $unit
    is Result success || fail "ends with $(shows Result) with $*"
}
mapfile -t options < <(sed -n '/^# These lines take away/,/^\[Install\]/p' $shipped | grep -E '^[A-Z][A-Za-z]+=')
for option in "${options[@]}"; do
    case $option in
        NoNewPrivileges=*) probe "$option" 'grep -q "^NoNewPrivs:.*1" /proc/self/status' ;;
        CapabilityBoundingSet=) probe "$option" 'grep -q "^CapBnd:.*0000000000000000" /proc/self/status' ;;
        ProtectSystem=*) probe "$option" '! touch "$(mktemp -u /etc/probe.XXXXXX)"' ;;
        ProtectHome=*) probe "$option" '! cat /home/somebody/file' ;;
        PrivateTmp=*) probe "$option" '! cat /tmp/everybodys' ;;
        PrivateDevices=*) probe "$option" '! mknod "$(mktemp -u /tmp/XXXXXX)" c 1 3' ;;
        ProtectProc=*) probe "$option" 'setpriv --reuid=runledger --regid=runledger --clear-groups sh -c "! test -d /proc/1"' ;;
        ProcSubset=*) probe "$option" '! cat /proc/meminfo' ;;
        ProtectClock=*) probe "$option" '! grep "^CapBnd" /proc/self/status | grep -q "[89a-f]........$"' ;;
        ProtectHostname=*) probe "$option" '! hostname probe' ;;
        ProtectControlGroups=*) probe "$option" '! mkdir "$(mktemp -u /sys/fs/cgroup/probe.XXXXXX)"' ;;
        ProtectKernelLogs=*) probe "$option" 'grep -q " /proc/kmsg " /proc/self/mountinfo' ;;
        ProtectKernelModules=*) probe "$option" '! ls -d /usr/lib/modules/any' ;;
        ProtectKernelTunables=*) probe "$option" 'grep -q " /proc/irq " /proc/self/mountinfo' ;;
        LockPersonality=*) probe "$option" '! setarch --addr-no-randomize true' ;;
        MemoryDenyWriteExecute=*) probe "$option" '! python3 -c "import mmap; mmap.mmap(-1, 4096, prot=7)"' ;;
        RestrictAddressFamilies=*) probe "$option" '! python3 -c "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"' ;;
        RestrictNamespaces=*) probe "$option" '! unshare --uts true' ;;
        RestrictRealtime=*) probe "$option" '! chrt --fifo 1 true' ;;
        RestrictSUIDSGID=*) probe "$option" 'touch /run/probe; ! chmod u+s /run/probe' ;;
        SystemCallArchitectures=*) probe "$option" 'grep -q "^Seccomp:.*2" /proc/self/status' ;;
        SystemCallFilter=@system-service) probe "$option" '! swapoff /nonexistent 2>&1 | grep -q "No such file"' ;;
        UMask=*) probe "$option" '[ "$(umask)" = 0077 ]' ;;
        # The second and third line of the filter take from, and give to, the first.
        SystemCallFilter=~*) probe "$option" '! python3 -c "import os; os.setpriority(os.PRIO_PROCESS, 0, 5)"' "${filter[@]}" ;;
        SystemCallFilter=sched_setscheduler)
            probe "$option" 'python3 -c "import os; os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))"' "${filter[@]}" ;;
        RemoveIPC=*) judge "$option" "$(leaves_nothing)" "$(leaves_nothing -p "$option")" ;;
        *) fail "$option is not among the options that are tried" ;;
    esac
    case $option in
        SystemCallFilter=@system-service) filter=("$option") ;;
        SystemCallFilter=~*) filter+=("$option"); continue ;;
        SystemCallFilter=*) filter+=("$option"); works_with "${filter[@]}"; continue ;;
    esac
    works_with "$option"
done
[ ${#toothless[@]} = 0 ] || fail "do not bite: ${toothless[*]}"
[ ${#void[@]} = 0 ] || fail "their probes say nothing, because they succeed without the option, too: ${void[*]}"
echo "${#options[@]} options, each by itself: the daemon starts, settles a run and stops"
rm /etc/systemd/system/$unit
systemctl daemon-reload
systemctl start $unit
settles_a_run
grep -E '^(NoNewPrivs|Seccomp|CapBnd|CapEff):' "/proc/$(shows MainPID)/status"
systemd-analyze security --no-pager $unit | tail -n 1
systemctl stop $unit
is Result success || fail "ends with $(shows Result)"
[ -z "$(journalctl -q -o cat -k 2>/dev/null | grep -F runledgerd | grep -i audit)" ] || fail "the kernel has denied the daemon a call"
echo "== done"
