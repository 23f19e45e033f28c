#!/usr/bin/env bash
# Tries what is committed in Debian 12 and 13, as somebody would who has nothing but git: debootstrap makes each system in
# a folder. There ./run starts, settles a run by the commands that it prints, and ends; Debian's packages are built, and
# put into build/packages here; ./test runs. As root; needs debootstrap. An hour for each system.
#
#   tests/systems/run.sh [12] [13] [run] [packages] [test] [--folder DIR] [--keep] [--ccache DIR] [-- ARGUMENT…]
#
#   12 13           the systems; both, if none is named
#   run packages test   what is done there; all three, if none is named
#   --folder DIR    where the systems go, as DIR/debian-12; one that is there already is used again
#   --keep          leave the folder
#   --ccache DIR    compile with ccache, with this cache
#   -- ARGUMENT…    for ./test, which gives them to ctest: -- -L unit
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "systems/run.sh: $*" >&2; exit 1; }
. tests/systems/system.sh

releases=() steps=() folder='' keep='' ccache=''
while [ $# -gt 0 ]; do
    case $1 in
        12 | 13) releases+=("$1"); shift ;;
        run | packages | test) steps+=("$1"); shift ;;
        --folder) folder=$(realpath -m "${2:?--folder wants a path}"); shift 2 ;;
        --keep) keep=yes; shift ;;
        --ccache) ccache=$(realpath "${2:?--ccache wants a path}"); shift 2 ;;
        --) shift; break ;;
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no system, step or option; see --help" ;;
    esac
done
[ ${#releases[@]} -gt 0 ] || releases=(12 13)
[ ${#steps[@]} -gt 0 ] || steps=(run packages test)
[ -n "$folder" ] || folder=$(mktemp -d "${TMPDIR:-/var/tmp}/runledger-systems.XXXXXX")
mkdir -p "$folder"
chmod 755 "$folder"
end() {
    if [ -n "$keep" ]; then
        echo "kept: $folder"
    else
        rm -rf --one-file-system "$folder"
    fi
}
trap end EXIT

# Nothing of what is mounted or started outlives the command.
inside() {  # system's folder, command…
    local root=$1
    shift
    unshare --mount --pid --fork --kill-child bash -euc '
        root=$1 ccache=$2
        shift 2
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
        if [ -n "$ccache" ]; then
            mkdir -p "$root/ccache"
            mount --bind "$ccache" "$root/ccache"
        fi
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb \
            ${ccache:+CCACHE_DIR=/ccache CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache} "$@"
    ' inside "$root" "$ccache" "$@"
}

commit=$(git rev-parse HEAD)
for release in "${releases[@]}"; do
    root=$folder/debian-$release
    make_system "$release" "$root"
    inside "$root" sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates git ${ccache:+ccache}" \
        >"$root/apt.log" 2>&1 || { tail -n 20 "$root/apt.log"; fail "apt-get failed"; }
    if [ ! -d "$root/runledger/.git" ]; then
        git clone --quiet --no-hardlinks . "$root/runledger"
    else
        git -C "$root/runledger" fetch --quiet "$PWD" HEAD
    fi
    git -C "$root/runledger" checkout --quiet --detach "$commit"
    for step in "${steps[@]}"; do
        echo "== Debian $release: $step"
        begun=$SECONDS
        case $step in
            run) inside "$root" /runledger/tests/systems/try_run.sh ;;
            packages)
                inside "$root" /runledger/config/packages/build.sh
                mkdir -p "build/packages/debian-$release"
                rm -f "build/packages/debian-$release"/*
                cp "$root/runledger/build/packages/debian-$release"/* "build/packages/debian-$release/"
                ;;
            test) inside "$root" /runledger/test "$@" ;;
        esac
        echo "== Debian $release: $step took $((SECONDS - begun)) s"
    done
done
