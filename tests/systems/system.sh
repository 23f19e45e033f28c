# Sourced by tests/systems/run.sh and tests/install/debian.sh, which define fail: a Debian in a folder, by debootstrap.

suite_of() {  # release: 12 or 13
    case $1 in
        12) echo bookworm ;;
        13) echo trixie ;;
        *) return 1 ;;
    esac
}

# The mirror that this machine's apt uses, which has every suite.
mirror_of_apt() {
    sed -nE 's/^URIs: ([^ ]+\/debian\/?)$/\1/p; s/^deb ([^ ]+\/debian\/?) .*/\1/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true
}

# A minimal Debian in the folder, unless one is there already. None of its packages starts a service.
make_system() {  # release, folder
    local release=$1 root=$2 suite mirror
    suite=$(suite_of "$release") || fail "Debian '$release' is not supported"
    [ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot want root"
    for program in debootstrap unshare; do
        command -v $program >/dev/null || fail "$program is not installed"
    done
    if [ ! -x "$root/usr/bin/apt-get" ]; then
        mirror=$(mirror_of_apt)
        [ -n "$mirror" ] || fail "/etc/apt names no mirror of Debian's to take packages from"
        echo "== a minimal Debian $release ($suite) in $root"
        mkdir -p "$root"
        debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
            { tail -n 20 "$root.log"; fail "debootstrap failed"; }
        rm -f "$root.log"
    fi
    chmod 755 "$root"  # It is / to the users inside.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
}
