#!/usr/bin/env bash
# Builds Debian's packages of the commit that is checked out, on and for a release that config/packages has a list for:
# libnginx-mod-http-runledger and runledger, with their debug symbols beside them, in a folder of build/packages that is
# called by the release, as debian-12. Installs what is missing for it and says so.
#
#   config/packages/build.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. config/packages/install.sh
packages=build/packages/$(. /etc/os-release && echo "${ID:-unknown}-${VERSION_ID:-unknown}")
rm -rf "$packages"
mkdir -p "$packages"
run_packages=$(package_list run)
install_missing_packages build/packages.log "$run_packages" \
    <(printf '%s\n' build-essential debhelper dpkg-dev help2man lintian lowdown)
# What is committed, so that nothing else is in the packages.
release=$(dpkg-parsechangelog --show-field Version)
version=$release
# A commit that is no release has a version of its own, below the release's: apt tells builds apart by nothing else.
if [ "$(git tag --points-at HEAD --list "v$release")" = "" ]; then
    version=$release~git$(TZ=UTC git show --no-patch --format=%cd --date=format-local:%Y%m%d%H%M%S HEAD).$(
        git rev-parse --short=12 HEAD)
fi
source_dir=$PWD/$packages/runledger-$version
mkdir "$source_dir"
git archive HEAD | tar -x -C "$source_dir"
sed -i "1s/($release)/($version)/" "$source_dir/debian/changelog"
echo "== building packages (dpkg-buildpackage's words: $packages/build.log)"
(cd "$source_dir" && dpkg-buildpackage --build=binary --no-sign) >"$packages/build.log" 2>&1 || {
    tail -n 40 "$packages/build.log"
    exit 1
}
rm -rf "$source_dir"
lintian --fail-on error "$packages"/*.changes
ls -1sh "$packages"/*.deb
