// The scheduling of the courier's thread.
#pragma once

namespace runledger::edge {

// Asks the kernel for short scheduling slices for the calling thread. Changes nothing where the operator has chosen a
// scheduler, before Linux 6.12, and under a seccomp filter.
void ask_for_short_slices();

}  // namespace runledger::edge
