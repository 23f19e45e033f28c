// The routes of the page, behind the login: they read and change nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/overview/overview.hpp"
#include "daemon/web/login.hpp"
#include "daemon/web/routes.hpp"

namespace runledger::web {

struct PageOptions {
    Overview::Options overview;
    Login::Options login;
    std::string version;
};

// /, /numbers, /search, /overview.json, /login, /logout and the static files. `refused` counts wrong tokens; it
// outlives the routes.
[[nodiscard]] std::vector<Route> page_routes(PageOptions options, AskHealth facts, AskRates rates,
                                             std::atomic<std::uint64_t>& refused);
// Where the page is not configured: / says how to.
[[nodiscard]] Route no_page_route();

}  // namespace runledger::web
