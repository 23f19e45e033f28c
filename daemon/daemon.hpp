// The stages of runledgerd: made, started, watched and stopped in one place, in a stated order.
//
// Used by main()'s thread alone, which waits for signals and, while no stage hangs, tells systemd's watchdog so.
#pragma once

#include <csignal>

#include "daemon/base/stage.hpp"
#include "daemon/config.hpp"

namespace runledger {

// Starts all stages and returns after SIGTERM or SIGINT, when they have drained. `signals` are those two and SIGHUP,
// blocked in every thread. Throws, with a sentence for the operator, if a stage can't start (ThreadNotStarted, an
// endpoint that can't be bound, SchemaMismatch, …; Refused if PostgreSQL refuses what no waiting mends); the stages
// that had started are stopped then.
void run_daemon(const Config& config, const sigset_t& signals, const StartThread& start = start_thread);

}  // namespace runledger
