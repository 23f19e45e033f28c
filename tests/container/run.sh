#!/usr/bin/env bash
# Builds both images of config/container/Containerfile with buildah, without a container engine, and starts a daemon and
# an edge from them that share their socket's volume: a webhook is answered 200 and is in the spool, one with a wrong
# token is kept for a second try, the daemon waits for PostgreSQL. The images' base is a Debian 12 that debootstrap makes
# here. As root; some minutes. Nothing outside a temporary folder is changed, but packages that are missing are
# installed.
#
#   tests/container/run.sh [--keep]    packages: those that config/packages/build.sh has made on a Debian 12
set -euo pipefail
cd "$(dirname "$0")/../.."
. config/packages/install.sh
fail() { echo "container: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "debootstrap and buildah want root"
compgen -G 'build/packages/debian-12/runledger_*.deb' >/dev/null ||
    fail "build/packages/debian-12 has no packages: run config/packages/build.sh on a Debian 12"
install_missing_packages build/packages.log tests/container/packages.txt
mirror=$(sed -nE 's/^URIs: ([^ ]+\/debian\/?)$/\1/p; s/^deb ([^ ]+\/debian\/?) .*/\1/p' /etc/apt/sources.list \
    /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
[ -n "$mirror" ] || fail "/etc/apt names no mirror of Debian's to take packages from"

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/runledger-container.XXXXXX")
chmod 755 "$folder"
pids=()
end() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    # buildah leaves what it has started. Whoever has a mount of this folder is of this test.
    for pid in $(grep -lsF "$folder/" /proc/[0-9]*/mountinfo | cut -d/ -f3); do kill -KILL "$pid" 2>/dev/null || true; done
    if [ "${1:-}" = --keep ]; then
        echo "kept: $folder"
    else
        buildah_here rm --all >/dev/null 2>&1 || true
        rm -rf --one-file-system "$folder"
    fi
}
keep=${1:-}
trap 'end $keep' EXIT
buildah_here() { buildah --storage-driver vfs --root "$folder/images" --runroot "$folder/run" "$@"; }

echo "== compose.yaml is YAML and mounts what the images have"
python3 - <<'PY'
import yaml
compose = yaml.safe_load(open("config/container/compose.yaml"))
recipe = open("config/container/Containerfile").read()
for name, service in compose["services"].items():
    assert service["image"] == "runledger-" + name, service["image"]
    assert f"AS {name}\n" in recipe, name
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2]
        assert source.startswith("./") or source in compose["volumes"], volume
        if source in compose["volumes"]:
            assert target in recipe, target
PY

echo "== the base image"
debootstrap --variant=minbase bookworm "$folder/base" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
    { tail -n 20 "$folder/debootstrap.log"; fail "debootstrap failed"; }
base=$(buildah_here from scratch)
buildah_here add -q "$base" "$folder/base" / >/dev/null
buildah_here commit -q "$base" docker.io/library/debian:12-slim >/dev/null
rm -rf --one-file-system "$folder/base"

for target in daemon edge; do
    echo "== the image of the $target"
    buildah_here build --isolation chroot --pull=never -f config/container/Containerfile --target $target \
        -t runledger-$target . >"$folder/$target.log" 2>&1 || { tail -n 30 "$folder/$target.log"; fail "no image"; }
done

socket=$folder/socket spool=$folder/spool refused=$folder/refused
declare -A container mounted
for target in daemon edge; do
    container[$target]=$(buildah_here from --pull=never runledger-$target)
    mounted[$target]=$(buildah_here mount "${container[$target]}")
done
# As an engine fills a new volume: with what the image has at its place.
cp -a "${mounted[daemon]}/run/runledger" "$socket"
cp -a "${mounted[edge]}/var/lib/runledger/spool" "$spool"
cp -a "${mounted[edge]}/var/lib/runledger/refused" "$refused"
stat -c '%a %u:%G %n' "$socket" | sed "s#$folder/##"
[ "$(stat -c %u:%g "$socket")" = "$(stat -c %u:%g "${mounted[edge]}/run/runledger")" ] || fail "the images disagree on the socket's owner"
printf '[postgres]\nuri = "host=127.0.0.1 port=1 user=runledger dbname=runledger"\n[metrics]\nlisten = ""\n' \
    >"${mounted[daemon]}/etc/runledger/runledgerd.toml"
printf 'studio a-long-random-word-of-this-test\n' >"${mounted[edge]}/etc/nginx/runledger.tokens"
chmod 400 "${mounted[edge]}/etc/nginx/runledger.tokens"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -e "s/listen 443 ssl;/listen 127.0.0.1:$port;/" -e '/listen \[::\]:443/d' -e '/ssl_certificate/d' \
    -e 's/listen 127.0.0.1:9145;/listen unix:\/run\/status.sock;/' -e 's/max_size=1g;/max_size=64m host=edge-1;/' \
    config/nginx/runledger.conf >"${mounted[edge]}/etc/nginx/conf.d/runledger.conf"

start() {  # target, volumes…: as its CMD says
    local target=$1 command
    shift
    mapfile -t command < <(buildah_here inspect --type container --format '{{range .OCIv1.Config.Cmd}}{{.}}{{"\n"}}{{end}}' \
        "${container[$target]}" | sed '/^$/d')
    buildah_here run --isolation chroot "$@" "${container[$target]}" -- "${command[@]}" >"$folder/$target.out" 2>&1 &
    pids+=($!)
}
eventually() {
    local what=$1 i
    shift
    for ((i = 0; i < 150; ++i)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    tail -n 5 "$folder"/*.out
    fail "never happened: $what"
}
echo "== both started"
start daemon -v "$socket:/run/runledger"
eventually "the daemon says that it waits for PostgreSQL" grep -q 'PostgreSQL is away' "$folder/daemon.out"
start edge -v "$socket:/run/runledger" -v "$spool:/var/lib/runledger/spool" -v "$refused:/var/lib/runledger/refused"
answer() {  # run, token
    curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d "{\"run_id\": \"$1\", \"status\": \"success\"}" \
        "http://127.0.0.1:$port/api/webhook/comfydeploy?token=$2"
}
answers() { [ "$(answer r-1 a-long-random-word-of-this-test)" = 200 ]; }
eventually "the edge answers with 200" answers
# buildah may put the image's own volume at its place.
grep -aqrs --include='*.seg' '"run_id": "r-1"' "$spool" "$folder/images" || fail "the webhook is not in the spool"
echo "a webhook was answered 200 and is in the spool; the daemon waits for PostgreSQL"
[ "$(answer r-2 a-wrong-word)" = 401 ] || fail "a wrong token is not answered 401"
eventually "the refused body is kept" grep -aqrs '"run_id": "r-2"' "$refused" "$folder/images"
echo "a webhook with a wrong token was answered 401 and is kept for a second try"
