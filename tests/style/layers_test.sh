#!/usr/bin/env bash
# common <- nginx-module, common <- daemon; the two sides share bytes, not classes, and common knows neither. The
# edge's library (core.cmake) knows nothing of nginx.
set -u
cd "$1" || exit 1
status=0
refuse() { # what may not be included, by which files, and why
    local found
    found=$(grep -nE "^#include [<\"]$1" "${@:3}") || return 0
    printf '%s:\n%s\n' "$2" "$found"
    status=1
}
refuse '(nginx-module|daemon|tests)/' 'common/ includes a side' common/*.?pp
refuse '(daemon|tests)/' 'nginx-module/ includes the daemon or tests' nginx-module/*.?pp
refuse '(nginx-module|tests)/' 'daemon/ includes the edge or tests' daemon/*.?pp daemon/tool/*.?pp
refuse '(pqxx|curl|spdlog)' 'nginx-module/ includes a library of the daemon' nginx-module/*.?pp
refuse '(ngx_|nginx\.h|nginx-module/ngx\.hpp)' 'the edge'\''s library includes nginx' \
    nginx-module/courier*.?pp nginx-module/spool*.?pp nginx-module/link*.?pp nginx-module/token*.?pp
refuse '(thread|mutex|sys/|unistd\.h|fstream|filesystem)' 'common/ has a thread, socket, file or clock of its own' common/*.?pp
exit $status
