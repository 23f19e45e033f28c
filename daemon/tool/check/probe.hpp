// One request of `check --public-url`, and who answered it.
//
// One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "daemon/net/http_client.hpp"

namespace runledger::tool {

enum class ProbeMethod : std::uint8_t { post, get };

struct ProbeAnswer {
    HttpResponse response;
    std::chrono::milliseconds took{};  // Connecting included.
    // Of runledger's own answers, which are problem documents: "token_refused". Empty: somebody else answered.
    std::string problem{};
    std::string detail{};

    [[nodiscard]] bool is_ours() const { return !problem.empty(); }
    // "HTTP 404 from nginx": who answered, as far as the answer says.
    [[nodiscard]] std::string words() const;
};

struct ProbeWay {
    std::filesystem::path ca_file{};
    std::string resolved{};  // "host:443:address": this address of the name's; empty: whichever.
};

// Sends the body once and waits for as long as the sender would.
[[nodiscard]] ProbeAnswer probe(ProbeMethod method, const std::string& url, std::string body, const ProbeWay& way);

}  // namespace runledger::tool
