// The checks of the clock: whether the kernel counts it as synchronised, and how far PostgreSQL's is from it.
#pragma once

#include <chrono>

#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

// Asks the kernel (adjtimex), which needs no right.
void check_clock(Findings& findings);

// `difference`: how far the server's clock is ahead of ours; `doubt`: half of the time that the question took.
void judge_clock_difference(std::chrono::milliseconds difference, std::chrono::milliseconds doubt, Findings& findings);

}  // namespace runledger::tool
