// Which boot of the kernel the boottime of a stamp belongs to. Any thread.
#pragma once

#include "common/identity.hpp"
#include "nginx-module/log/edge_log.hpp"

namespace runledger::edge {

// From /proc. If it can't be read, logs that, and returns a random one: boottimes then compare within its user's own
// stamps only, which is still true.
[[nodiscard]] BootId read_boot_id(EdgeLog& log);

}  // namespace runledger::edge
