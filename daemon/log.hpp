// Where log lines go: standard error, one line each, as text or JSON. journald or the operator keeps them.
#pragma once

#include "daemon/config.hpp"

namespace runledger {

// Sets up spdlog's default logger. Called once, before other threads.
void start_log(const Config::Log& config);

}  // namespace runledger
