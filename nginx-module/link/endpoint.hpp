// Is a text an endpoint of a daemon? Plain C++, pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace runledger::edge {

// Nothing for ipc://PATH and tcp://HOST:PORT that ZeroMQ can connect to; else what is wrong with it.
[[nodiscard]] std::optional<std::string> find_endpoint_fault(std::string_view endpoint);

}  // namespace runledger::edge
