// [postgres] of the configuration: where the database is. docs/settings.md says what each key does.
#pragma once

#include <string>

namespace runledger {

struct PostgresSettings {
    std::string uri;         // libpq's connection URI or key=value string.
    std::string direct_uri;  // Past a pooler, for migrate; the same as uri unless given.
    unsigned appliers{2};    // Connections that apply batches, 1 to 64.
};

}  // namespace runledger
