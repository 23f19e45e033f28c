// `runledger check --public-url`: probes the webhook from where this runs, as ComfyDeploy sends (docs/sender.md,
// "Delivery"): a connection for each request, POST and GET with a body, no redirects.
//
// Invariant: no probe is an event. Each body's run_id is longer than one can be, and has no status beside it. So the
// module, whatever the token, stores nothing. With the right token it answers 400, run_id_too_long, if the body has
// arrived to its last byte; of a body that was cut it says that it is no JSON.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

struct PublicUrlOptions {
    std::string url{};
    std::filesystem::path token_file{};    // Empty: only what needs no token is tried.
    std::string token_name{};              // Empty: the file's first.
    std::filesystem::path ca_file{};       // Empty: the system's authorities.
    std::vector<std::string> addresses{};  // That the name has, or is to have, besides those of DNS.
    bool masks_token{false};               // In what is printed.
};

// Returns the URL to register; empty if something has failed, or the token is not known. Throws Misused if the
// URL is none, std::runtime_error if the token file can't be used.
[[nodiscard]] std::string check_public_url(const PublicUrlOptions& options, Findings& findings);

// What to write into each request for a run, so that its `running` arrives.
[[nodiscard]] std::string registration_of(std::string_view url);

// A body of so many bytes, at least 200, that holds no event and never could.
[[nodiscard]] std::string make_probe_body(std::size_t bytes);

}  // namespace runledger::tool
