# Sourced by ./run and ./test: installs what is missing of debian-12.txt, as root or with sudo, and says so.
#
# A nginx or PostgreSQL that Debian's packages would start as a service is kept from starting: ours are private.

install_missing_packages() {
    local list=$1 package missing=()
    while read -r package; do
        case $package in '' | '#'*) continue ;; esac
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done <"$list"
    [ ${#missing[@]} -eq 0 ] && return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing from Debian: ${missing[*]}"
    # policy-rc.d tells the packages' scripts not to start services; it is put back as it was.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        made_policy=yes
    fi
    local status=0
    "${as_root[@]}" apt-get update -qq || status=$?
    # postgresql-common would make a cluster of its own beside ours.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    [ $status -ne 0 ] || "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}" || status=$?
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
    return $status
}
