# Sourced by ./run, ./test, tests/bench/run.sh and config/packages/build.sh.
#
# install_missing_packages LOG LIST…: installs what is missing of the lists, as root or with sudo, and says so; apt's own
# words go to LOG. A list is a file with one package a line. package_list KIND names the list of KIND (run, test) for this
# release of Debian.
# A nginx or PostgreSQL that Debian's packages would start as a service is kept from starting: ours are private.

package_list() {
    local list
    list=config/packages/$(. /etc/os-release && echo "${ID:-unknown}-${VERSION_ID:-unknown}")-$1.txt
    if [ ! -e "$list" ]; then
        echo "there is no $list: this release of the system is not supported" >&2
        return 1
    fi
    echo "$list"
}

install_missing_packages() {
    local log=$1 package missing=() begun=$SECONDS
    shift
    while read -r package; do
        case $package in '' | '#'*) continue ;; esac
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done < <(cat "$@")
    [ ${#missing[@]} -eq 0 ] && return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "== installing ${#missing[@]} packages from Debian (apt's words: $log)"
    echo "installing: ${missing[*]}" >>"$log"
    # policy-rc.d tells the packages' scripts not to start services; it is put back as it was.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        made_policy=yes
    fi
    local status=0
    "${as_root[@]}" apt-get update -qq >>"$log" 2>&1 || status=$?
    # postgresql-common would make a cluster of its own beside ours.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    [ $status -ne 0 ] || "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}" >>"$log" 2>&1 || status=$?
    [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
    if [ $status -ne 0 ]; then
        tail -n 20 "$log" >&2
        echo "apt could not install what is missing: see $log" >&2
        return $status
    fi
    echo "== installed in $((SECONDS - begun)) s"
}
