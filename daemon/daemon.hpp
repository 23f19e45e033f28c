// The stages of runledgerd: made, started, watched and stopped in one place, in a stated order.
//
// Used by main()'s thread alone, which waits for signals, reloads the configuration, and tells systemd in which state
// the daemon is and, while no stage hangs, that none does.
#pragma once

#include <csignal>
#include <filesystem>

#include "daemon/base/stage.hpp"
#include "daemon/config.hpp"

namespace runledger {

// Starts all stages and returns after SIGTERM or SIGINT, when they have drained. SIGHUP has it read `config_file`
// again, of which `config` is what main() has read. `signals` are these three, blocked in every thread. Throws, with a
// sentence for the operator, if a stage can't start (ThreadNotStarted, an endpoint that can't be bound, SchemaMismatch,
// …; Refused if PostgreSQL refuses what no waiting mends); the stages that had started are stopped then.
void run_daemon(const std::filesystem::path& config_file, const Config& config, const sigset_t& signals,
                const StartThread& start = start_thread);

}  // namespace runledger
