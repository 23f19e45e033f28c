#!/usr/bin/env bash
# Builds nginx, or a fork of it, from each of the given source trees, builds the module for it, and runs the edge's tests
# in it. If a server can speak HTTP/3, it is tried over that, too. Some minutes a tree, so it is no part of ./test.
#
#   tests/nginx/versions.sh [--all] [--changed] [--work DIR] TREE...
#
#   TREE        an unpacked release, or a checkout of nginx's, freenginx's or Angie's repository; nothing is written to it
#   --all       all of the edge's tests, not only those in which versions are likely to differ
#   --changed   also builds servers of which one structure was changed on purpose, and shows that the module, built with
#               the unchanged headers, notices it: 503 or a refused configuration, no crash, other sites are served
#   --work DIR  for what is built, kept for the next time; otherwise a temporary folder, which is removed
set -euo pipefail
cd "$(dirname "$0")/../.."
. config/packages/install.sh
fail() { echo "versions.sh: $*" >&2; exit 1; }

all='' changed='' work='' trees=()
while [ $# -gt 0 ]; do
    case $1 in
        --all) all=yes; shift ;;
        --changed) changed=yes; shift ;;
        --work) work=${2:?--work wants a folder}; shift 2 ;;
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) fail "'$1' is no option; see --help" ;;
        *) trees+=("$(realpath "$1")"); shift ;;
    esac
done
[ ${#trees[@]} -gt 0 ] || fail "no source tree is given; see --help"
if [ -z "$work" ]; then
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/runledger-nginx.XXXXXX")
    trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work"
work=$(realpath "$work")
chmod 755 "$work"  # The tests' servers run as another user.
mkdir -p build
install_missing_packages build/packages.log "$(package_list run)" "$(package_list test)" tests/nginx/packages.txt

tests='answers|bodies|canary|client_gone|configuration|directives|durability|http1|http2|metrics|mistakes|nginx_features'
tests+='|nginx_routing|reconfigure|status|token_masking|upgrade'
[ -z "$all" ] || tests+='|configuration_check|curve_configuration|other_sites|refusals|reload_growth|signals|spool_folder'
[ -z "$all" ] || tests+='|spool_sharing|status_workers|token_reload|token_rotation'

quietly() { # log, command…
    local log=$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 40 "$log"; fail "failed: $*"; }
}

echo "== building the tests, and a client for HTTP/3"
targets=(changed_nginx_test http3_test)
for name in ${tests//|/ }; do targets+=("edge_${name}_test"); done
quietly "$work/tests.log" cmake --preset release
quietly "$work/tests.log" cmake --build --preset release --target "${targets[@]}"
GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$work/go-cache go build -o "$work/http3_client" tests/nginx/http3_client.go
export RUNLEDGER_TEST_HTTP3_CLIENT=$work/http3_client

# Debian's build, as far as the edge's tests use it, in the folder given.
configure() {
    local configure=./configure options=()
    [ -x configure ] || configure=auto/configure
    for module in ssl v2 realip auth_request stub_status dav slice sub addition gunzip; do
        options+=("--with-http_${module}_module")
    done
    if grep -q with-http_v3_module auto/options; then options+=(--with-http_v3_module); fi
    if command -v ccache >/dev/null; then options+=("--with-cc=ccache cc"); fi
    $configure --prefix="$PWD" --with-compat --with-debug --with-pcre-jit --with-threads --with-cc-opt=-O1 "${options[@]}"
}
make_server() { # folder: leaves the program in its objs
    (
        cd "$1"
        [ -e objs/Makefile ] || configure
        make -j "$(nproc)"
    ) >"$1.log" 2>&1 || { tail -n 40 "$1.log"; fail "$1 can't be built"; }
}
server_of() { # folder
    local server
    for server in "$1"/objs/nginx "$1"/objs/freenginx "$1"/objs/angie; do
        if [ -x "$server" ]; then echo "$server"; return; fi
    done
    fail "$1/objs has no server"
}

# Passed and failed cases of the programs that have written their results into a folder.
count() {
    sed -nE 's/^<testsuites .*tests="([0-9]+)" failures="([0-9]+)".* errors="([0-9]+)".*/\1 \2 \3/p' "$1"/*.xml |
        awk '{ all += $1; failed += $2 + $3 } END { printf "%d of %d", all - failed, all }'
}

failed='' rows=()
try_tree() { # tree
    local name source server version results passed http3='not built' differences='-'
    name=$(basename "$1")
    source=$work/$name/source
    mkdir -p "$work/$name"
    [ -d "$source" ] || cp -r "$1" "$source"
    echo "== $name: the server"
    make_server "$source"
    server=$(server_of "$source")
    version=$("$server" -v 2>&1 | sed 's/^.*version: //')

    echo "== $name: the module for $version"
    quietly "$work/$name/module.log" cmake -S . -B "$work/$name/module" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DRUNLEDGER_DAEMON=OFF -DRUNLEDGER_TESTS=OFF -DRUNLEDGER_NGINX_SOURCE="$source"
    quietly "$work/$name/module.log" cmake --build "$work/$name/module" --target ngx_http_runledger_module
    if grep -A 5 -E "^($PWD|\.\./)[^ ]*nginx-module/[^ ]+ warning: " "$work/$name/module.log"; then failed=yes; fi
    export RUNLEDGER_TEST_NGINX=$server RUNLEDGER_TEST_MODULE_TREE=$work/$name/module

    echo "== $name: the edge's tests"
    results=$work/$name/results
    rm -rf "$results"
    GTEST_OUTPUT=xml:$results/ ctest --preset release -j 4 --output-on-failure -R "^edge_($tests)_test$" \
        >"$work/$name/tests.log" 2>&1 || { failed=yes; grep -aE '\[  FAILED  \]|Failure$' "$work/$name/tests.log" | sort -u | head -n 40; }
    passed=$(count "$results")
    if [ -e "$source/objs/src/http/v3/ngx_http_v3.o" ]; then
        results=$work/$name/http3
        rm -rf "$results"
        GTEST_OUTPUT=xml:$results/ build/release/tests/nginx/http3_test >"$work/$name/http3.log" 2>&1 ||
            { failed=yes; tail -n 40 "$work/$name/http3.log"; }
        http3=$(count "$results")
    fi
    if [ -n "$changed" ]; then
        differences=$(try_changes "$name" "$source")
        if [[ $differences == *'[not noticed]'* ]]; then failed=yes; fi
    fi
    rows+=("| $version | $passed | $http3 | $differences |")
}

# A member more, or a bit: structure, the line before which it is put, what, the member that the module names, the test.
changes=(
    'ngx_http_headers_in_t|src/http/ngx_http_request.h|    ngx_table_elt_t  *\*host;|void *more;|host|Answers'
    'ngx_connection_t|src/core/ngx_connection.h|    ngx_queue_t  *queue;|void *more;|read|Answers'
    'ngx_http_request_t|src/http/ngx_http_request.h|    unsigned  *pipeline:1;|unsigned more:1;||Answers'
    'ngx_http_core_loc_conf_t|src/http/ngx_http_core_module.h|    ngx_http_handler_pt  handler;|void *more;|default_type|Refuses'
)
try_changes() { # name, source: prints what came of each
    local change structure file line more member test folder words=()
    for change in "${changes[@]}"; do
        IFS='|' read -r structure file line more member test <<<"$change"
        folder=$work/$1/$structure
        echo "== $1: a server whose $structure was changed" >&2
        if [ ! -d "$folder" ]; then
            cp -r "$2" "$folder"
            sed -i "0,/^$line/s//    $more\n&/" "$folder/$file"
            if cmp -s "$2/$file" "$folder/$file"; then rm -r "$folder"; fail "$file has no line like '$line'"; fi
        fi
        make_server "$folder"
        if RUNLEDGER_TEST_NGINX=$(server_of "$folder") RUNLEDGER_TEST_DIFFERENCE="${structure}::$member" \
            build/release/tests/nginx/changed_nginx_test --gtest_filter="ChangedNginx.$test*" >"$folder-tests.log" 2>&1; then
            words+=("\`$structure\`")
        else
            tail -n 40 "$folder-tests.log" >&2
            words+=("\`$structure\` [not noticed]")
        fi
    done
    local IFS=,
    echo "${words[*]}" | sed 's/,/, /g'
}

for tree in "${trees[@]}"; do try_tree "$tree"; done
echo
echo "| server | edge tests passed | HTTP/3 tests passed | changes noticed |"
echo "| --- | --- | --- | --- |"
printf '%s\n' "${rows[@]}"
[ -z "$failed" ] || fail "see above"
