// The courier's loop: waits, commits, sends, takes answers, tends the spool; and its end.
//
// Everything in here lives and dies in the courier's thread, the ZeroMQ context included.
#pragma once

#include "nginx-module/courier/shared.hpp"

namespace runledger::edge {

// The thread's whole life, until a stop is asked for. Survives every exception: it logs it and goes on.
void run_courier(CourierShared& shared) noexcept;

}  // namespace runledger::edge
