// The bodies by which `runledger check --public-url` probes a webhook: an edge refuses them behind any token, and keeps
// none of them for a second try.
#pragma once

#include <string_view>

namespace runledger {

// The rest of a probe makes its run_id too long for an event.
inline constexpr std::string_view probe_body_begin = R"({"event_type":"run.updated","run_id":"runledger-check-)";

[[nodiscard]] constexpr bool is_probe(std::string_view body) noexcept { return body.starts_with(probe_body_begin); }

}  // namespace runledger
