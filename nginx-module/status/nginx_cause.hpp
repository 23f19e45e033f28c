// Why nginx itself refused a request to a webhook location, as far as can be told afterwards: the labels of
// runledger_edge_refused_total beside the outcomes' words.
//
// The words are part of what operators alarm on: add, never rename. Plain C++, no nginx.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace runledger::edge {

struct NginxCause {
    std::string_view word;
    unsigned status;  // 0: not told by the status.
};

// docs/metrics.md says who refuses with which.
inline constexpr std::array nginx_causes{
    NginxCause{"limit_req", 0},   NginxCause{"limit_conn", 0},  NginxCause{"nginx_400", 400},
    NginxCause{"nginx_401", 401}, NginxCause{"nginx_403", 403}, NginxCause{"nginx_404", 404},
    NginxCause{"nginx_429", 429}, NginxCause{"nginx_499", 499}, NginxCause{"nginx_500", 500},
    NginxCause{"nginx_503", 503}, NginxCause{"nginx_other", 0},
};

// An index of nginx_causes.
inline constexpr std::size_t cause_limit_req = 0;
inline constexpr std::size_t cause_limit_conn = 1;

[[nodiscard]] constexpr std::size_t cause_of_status(unsigned status) noexcept {
    const auto* found = std::ranges::find(nginx_causes, status, &NginxCause::status);
    const bool is_told = status != 0 && found != nginx_causes.end();
    return is_told ? static_cast<std::size_t>(found - nginx_causes.begin()) : nginx_causes.size() - 1;
}

static_assert(nginx_causes[cause_limit_req].word == "limit_req" && nginx_causes[cause_limit_conn].word == "limit_conn");
static_assert(nginx_causes[cause_of_status(302)].word == "nginx_other");

}  // namespace runledger::edge
