// Whether this process can have what ZeroMQ takes for granted.
//
// libzmq 4.3.4 aborts the process where it can't start one of its threads or open an epoll descriptor. So the courier
// asks the system before it asks libzmq.
#pragma once

namespace runledger::edge {

// Returns if the threads and descriptors for a ZeroMQ context could be had a moment ago, with some to spare for others
// that take theirs at the same time. Throws std::system_error if not; nothing is kept in either case. May take a few
// milliseconds. Precondition: all signals are blocked.
void check_resources_for_zeromq();

}  // namespace runledger::edge
