#!/usr/bin/env bash
# configure_test.sh SOURCE: who only builds the product needs nothing of the tests'. As a packager or an operator
# configures it, without a preset, and with two of the tests' libraries missing.
set -u
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
configure() {
    cmake -S "$1" -B "$tree" -G Ninja -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON -DCMAKE_DISABLE_FIND_PACKAGE_rapidcheck=ON \
        "${@:2}" >"$tree/log" 2>&1
}
if ! configure "$1"; then
    cat "$tree/log"
    echo "configuring the product needs what only tests need"
    exit 1
fi
if ! grep -q nginx-module "$tree/compile_commands.json" || grep -q '/tests/' "$tree/compile_commands.json"; then
    echo "without a preset, something else than the product is built"
    exit 1
fi
if configure "$1" -DRUNLEDGER_TESTS=ON; then
    echo "this test sees nothing: the tests are configured without GoogleTest"
    exit 1
fi
