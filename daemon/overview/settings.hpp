// [page] of the configuration: what the page and `runledger status` read, and who may see the page. docs/settings.md
// says what each key does.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/secret.hpp"

namespace runledger {

struct PageSettings {
    std::string token_file;          // Empty: there is no page.
    Secret token;                    // What the file holds, without white space around it.
    std::string uri;                 // Of a login that may read the views; [postgres] uri unless given.
    std::vector<std::string> edges;  // URLs of runledger_status locations.
};

}  // namespace runledger
