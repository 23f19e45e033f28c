// The checks of what the daemon listens on: the edges' endpoints and the metrics' port. Each is looked at as the daemon
// would find it: a place that is free, that the daemon itself has, or that somebody else has.
//
// A connection is made and closed; nothing is sent that anybody acts on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "daemon/ingest/settings.hpp"
#include "daemon/tool/check/account.hpp"
#include "daemon/tool/check/edge.hpp"
#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

struct SocketsContext {
    std::filesystem::path config_file;     // A daemon with another one is another daemon.
    const Account& daemon;                 // Who has to make the sockets,
    const std::optional<LocalEdge>& edge;  // and who has to connect.
};

void check_sockets(const IntakeSettings& intake, const SocketsContext& context, Findings& findings);

// `listen`: [metrics] listen; empty: none.
void check_metrics_port(const std::string& listen, Findings& findings);

}  // namespace runledger::tool
