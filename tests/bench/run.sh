#!/usr/bin/env bash
# Measures runledger beside its peers and limits, prints a table with ratios, and writes docs/benchmarks.md with its plots.
# Installs the peers from Debian and npm, builds, and runs everything privately: own folders, loopback, free ports, own
# PostgreSQL. Takes some 25 to 30 minutes; nothing else should run meanwhile.
#
#   tests/bench/run.sh                              everything
#   tests/bench/run.sh --only keep_alive --rounds 1 --seconds 1    a trial of one part, in seconds
#   tests/bench/run.sh --report                     docs/benchmarks.md again, from the numbers of the last run
#   tests/bench/run.sh --help                       all options
set -euo pipefail
cd "$(dirname "$0")/../.."
. config/packages/install.sh

case " $* " in
    *' --report '* | *' --help '* | *' -h '*) exec /usr/bin/python3 -B tests/bench/compare/bench.py "$@" ;;
esac
mkdir -p build
run_packages=$(package_list run) test_packages=$(package_list test)
install_missing_packages build/packages.log "$run_packages" "$test_packages" tests/bench/packages.txt
if ! command -v npm >/dev/null; then  # Node.js from elsewhere brings its own.
    install_missing_packages build/packages.log <(echo npm)
fi
# nchan has nginx make it whatever client_body_temp_path says, and only root may. Debian's service makes it, too.
if [ ! -d /var/lib/nginx/body ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" mkdir -p /var/lib/nginx/body
fi
[ -d tests/bench/express/node_modules/pg ] ||
    npm install --prefix tests/bench/express --no-package-lock --no-audit --no-fund --silent
cmake --preset release >build-bench.log 2>&1 || { cat build-bench.log; exit 1; }
cmake --build --preset release --target runledgerd runledger ngx_http_runledger_module runledger_bench \
    >>build-bench.log 2>&1 || { tail -n 100 build-bench.log; exit 1; }
rm -f build-bench.log
exec /usr/bin/python3 -B tests/bench/compare/bench.py "$@"
