#!/usr/bin/env bash
# files_test.sh SOURCE BUILD: installs BUILD into a temporary folder. What the unit and this list name is there, in its
# component, and no file is outside our folders.
set -u
source_dir=$1
build_dir=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
status=0
complain() {
    echo "$1"
    status=1
}
for component in edge daemon; do
    DESTDIR=$root/$component cmake --install "$build_dir" --prefix /usr --component $component >"$root/log" 2>&1 || {
        cat "$root/log"
        exit 1
    }
done

expect() {  # component, path
    [ -s "$root/$1$2" ] || complain "component $1 lacks $2"
}
expect edge /usr/lib/nginx/modules/ngx_http_runledger_module.so
expect edge /usr/share/nginx/modules-available/mod-http-runledger.conf
expect edge /usr/share/doc/libnginx-mod-http-runledger/examples/runledger.conf
expect edge /usr/lib/tmpfiles.d/runledger-edge.conf
expect daemon /usr/bin/runledger
expect daemon /usr/share/runledger/queries/01_one_run.sql
expect daemon /usr/lib/sysusers.d/runledger.conf
expect daemon /usr/lib/tmpfiles.d/runledger.conf
expect daemon /usr/share/doc/runledger/examples/owner.toml
expect daemon /usr/share/doc/runledger/examples/credentials.conf
expect daemon /usr/share/bash-completion/completions/runledger
expect daemon /usr/share/runledger/prometheus/runledger.rules.yml
for dashboard in runledger-flow runledger-costs; do
    expect daemon /usr/share/runledger/grafana/dashboards/$dashboard.json
done
expect daemon /usr/share/runledger/grafana/provisioning/datasources/runledger.yml
# Where Grafana is told to find the dashboards.
provider=$root/daemon/usr/share/runledger/grafana/provisioning/dashboards/runledger.yml
[ -d "$root/daemon$(sed -nE 's/^ *path: (.*)$/\1/p' "$provider")" ] || complain "$provider names another folder"
# What the unit starts, and the document that it names.
unit=$root/daemon/usr/lib/systemd/system/runledgerd.service
expect daemon "$(sed -nE 's/^ExecStart=([^ ]+) .*/\1/p' "$unit")"
expect daemon "$(sed -nE 's/^Documentation=.*file:\/\/([^ ]+).*/\1/p' "$unit")"
[ "$(grep -cE '^Exec(Start|Reload)=/usr/bin/runledgerd .*--config /etc/runledger/runledgerd.toml$' "$unit")" = 2 ] ||
    complain "the unit's configuration is not /etc/runledger/runledgerd.toml"
find "$root" -name runledgerd.toml -size +0 | grep -q . || complain "no runledgerd.toml is installed"
others=$(cd "$root" && find edge daemon -type f | grep -vE '/(doc|runledger|nginx|systemd|sysusers\.d|tmpfiles\.d|bin|completions)/')
[ -z "$others" ] || complain "unexpected: $others"

# A link in an installed document leads to one that is installed, too.
documents=$root/daemon/usr/share/doc/runledger links=0
while read -r document link; do
    links=$((links + 1))
    [ -e "$documents/$(dirname "$document")/$link" ] || complain "$document is installed, and links to $link, which is not"
done < <(cd "$documents" && find . -name '*.md' -exec perl -0777 -ne \
    's/^```.*?^```//gms; s/`[^`]*`//g; print "$ARGV $1\n" while /\]\(([^)#:]+)[)#]/g' {} +)
[ $links -gt 200 ] || complain "only $links links are found in the installed documents"

# Completion gives what the program's help lists.
PATH=$root/daemon/usr/bin:$PATH
. "$root/daemon/usr/share/bash-completion/completions/runledger"
complete_words() {  # the command line's words; prints what may follow
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _runledger
    printf '%s\n' "${COMPREPLY[@]}"
}
lists() {  # a help's text, a pattern of words at the beginning of a line; a group's options are indented twice
    sed '/^Exit codes:/,$d' <<<"$1" | grep -oE "^ {2,4}(-[a-z],)?$2" | grep -oE -e "$2"
}
[ "$(complete_words runledger mig)" = migrate ] || complain "completion does not know migrate"
lists "$(runledger forget --help)" '--[a-z-]+' | grep -qx -- --chat || complain "the test does not see a group's options"
all_options() {  # words of the line; $options are those that may follow
    local lacks
    lacks=$(comm -13 <(complete_words runledger "$@" | sort -u) <(echo "$options"))
    [ -z "$lacks" ] || complain "completion: 'runledger $*' lacks ${lacks//$'\n'/ }"
}
# Every command, and what stands below it: all its words are completed, and each that does something speaks JSON.
walk() {  # words of a command
    local help below word options
    help=$(runledger "$@" --help)
    below=$(lists "$help" '[a-z][a-z-]+')
    options=$(printf '%s\n' $(lists "$help" '--[a-z-]+') --config | sort -u)
    all_options "$@" --
    # What stands on the line already changes nothing: options with values, the configuration, and, where no command
    # follows, an operand.
    # shellcheck disable=SC2046  # A word each.
    all_options "$@" $(sed 's/$/ a-value/' <<<"$options") --
    all_options --config runledgerd.toml "$@" --
    all_options --config = runledgerd.toml "$@" --  # As bash splits --config=runledgerd.toml.
    if [ -z "$below" ]; then
        all_options "$@" an-operand --
        all_options "$@" no/such/folder --
        grep -qE '^  --json ' <<<"$help" || complain "$* has no --json"
    fi
    for word in $below; do
        complete_words runledger "$@" "" | grep -qx -- "$word" || complain "completion: $* lacks $word"
        walk "$@" "$word"
    done
}
walk
grep -q '^Subcommands:' <<<"$(runledger --help)" && complain "a command is in no chapter of the help"

# The manual pages are made from the help, and have all of it.
"$source_dir/config/man/make.sh" "$root/daemon/usr/bin" "$root/man" || complain "the manual pages can't be made"
see_page() {  # words of a command
    local page word option name=runledger
    for word in "$@"; do name+=-$word; done
    page=$(sed 's/\\//g' "$root/man/$name.1") || { complain "$name has no manual page"; return; }
    for option in $(lists "$(runledger "$@" --help)" '--[a-z-]+'); do
        grep -qF -- "$option" <<<"$page" || complain "$name.1 lacks $option"
    done
    for word in $(lists "$(runledger "$@" --help)" '[a-z][a-z-]+'); do
        see_page "$@" "$word"
    done
}
see_page
[ -s "$root/man/runledgerd.8" ] || complain "runledgerd has no manual page"
runledger --version | grep -qE '^runledger [0-9]+\.[0-9]+\.[0-9]+( \([0-9A-Za-z._-]+\))?$' ||
    complain "--version says $(runledger --version)"
if git -C "$source_dir" rev-parse HEAD >/dev/null 2>&1; then
    runledger --version | grep -q ' (.*)$' || complain "--version does not say which commit was built"
fi
exit $status
