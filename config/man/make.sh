#!/usr/bin/env bash
# Makes the manual pages of the programs from their own help, so that there is one text: runledgerd.8, runledger.1, and a
# page for each command, such as runledger-events.1 and runledger-spool-list.1. Needs help2man.
#
#   config/man/make.sh FOLDER_OF_PROGRAMS FOLDER_OF_PAGES
set -euo pipefail
programs=$1 pages=$2
mkdir -p "$pages"
page() {  # section, file's name, what it is, command line
    help2man --no-info --section="$1" --name="$3" --output="$pages/$2.$1" "$4"
}
# The name and the sentence of each command below the one that is given, separated by a tab.
commands_below() {
    $1 --help | sed -nE '/^Exit codes:/q; s/^  ([a-z][a-z-]*) +([^ ].*)$/\1\t\2/p'
}
pages_below() {  # command line, page's name
    local name sentence
    while IFS=$'\t' read -r name sentence; do
        page 1 "$2-$name" "$sentence" "$1 $name"
        pages_below "$1 $name" "$2-$name"
    done < <(commands_below "$1")
}
page 8 runledgerd "runledger's daemon" "$programs/runledgerd"
page 1 runledger "set up, show and mend runledger's ledger" "$programs/runledger"
pages_below "$programs/runledger" runledger
