#!/usr/bin/env bash
# Only daemon/database/libpqxx.hpp names what libpqxx 6.4 and 7.10 do not both have, or what 7.10 deprecates: on one
# system alone the compiler can't tell.
set -u
cd "$1" || exit 1
only_one='\.(exec[01]|exec_n|exec_params[01]?|exec_prepared[01]?|exec_params_n|inhibit_reactivation|set_notice_handler|listen|one_row|no_rows)\('
only_one+='|pqxx::(binarystring|connection_base|error_verbosity|errorhandler|notification|notification_receiver|params|prepped|stream_to|stream_from|lazyconnection|asyncconnection|basic_connection|query_value)\b'
only_one+='|pqxx::internal::|PQXX_VERSION'
if found=$(grep -rnE "$only_one" --include='*.?pp' common nginx-module daemon tests | grep -v '^daemon/database/libpqxx.hpp:'); then
    printf 'what only one version of libpqxx has; name it in daemon/database/libpqxx.hpp:\n%s\n' "$found"
    exit 1
fi
if ! grep -qE "$only_one" daemon/database/libpqxx.hpp; then  # Otherwise the pattern finds nothing any more.
    printf 'daemon/database/libpqxx.hpp names nothing that only one version has\n'
    exit 1
fi
