// [postgres] of the configuration: where the database is. docs/settings.md says what each key does.
#pragma once

#include <string>

#include "daemon/base/secret.hpp"

namespace runledger {

struct PostgresSettings {
    std::string uri;         // libpq's connection URI or key=value string, with the password below.
    std::string direct_uri;  // Past a pooler, for migrate; the same as uri unless given.
    std::string password_file;
    Secret password;       // Of password_file; empty: there is none.
    unsigned appliers{2};  // Connections that apply batches, 1 to 64.

    bool operator==(const PostgresSettings&) const = default;
};

}  // namespace runledger
