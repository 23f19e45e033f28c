#!/usr/bin/env bash
# package_scripts_test.sh SOURCE: what installing, upgrading and removing the package `runledger` does to the daemon.
# debhelper makes the package's scripts as debian/rules says; they run with stand-ins for systemd's programs, which write
# down how they are called.
set -u
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/bin" "$tree/booted"
cp -r "$1/debian" "$tree/"
rm -rf "$tree/debian/runledger" "$tree"/debian/*.debhelper
install -D -m 0644 -t "$tree/debian/runledger/lib/systemd/system" "$1/config/systemd/runledgerd.service"
cd "$tree" || exit 1
{ make -f debian/rules override_dh_installsystemd && dh_installdeb -prunledger; } >log 2>&1 || { cat log; exit 1; }
# The machine may have no systemd, and deb-systemd-helper would write to its /etc and /var/lib.
sed -i "s|/run/systemd/system|$tree/booted|" debian/runledger/DEBIAN/*
for program in systemctl deb-systemd-invoke; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n' $program "$tree" >bin/$program
done
printf '#!/bin/sh\nexit 1\n' >bin/deb-systemd-helper
chmod 755 bin/*

status=0
calls() {  # when, expected calls, script, arguments
    local when=$1 expected=$2 script=debian/runledger/DEBIAN/$3
    shift 3
    : >calls
    if [ -e "$script" ]; then PATH=$tree/bin:$PATH sh "$script" "$@" || echo "exit code $?" >>calls; fi
    if [ "$(cat calls)" != "$expected" ]; then
        printf '%s, %s calls:\n%s\nexpected:\n%s\n' "$when" "${script##*/}" "$(cat calls)" "$expected"
        status=1
    fi
}
reload='systemctl --system daemon-reload'
calls "at the first installation" "$reload" postinst configure ''
calls "before an upgrade" '' prerm upgrade 0.2.0
# With the unit that came with the new package.
calls "after an upgrade" "$reload"$'\n''deb-systemd-invoke try-restart runledgerd.service' postinst configure 0.1.0
# Or the old process would go on, with its socket's folder removed by a purge.
calls "before a removal" 'deb-systemd-invoke stop runledgerd.service' prerm remove
exit $status
