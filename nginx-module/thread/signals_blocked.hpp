// Blocks all signals while it lives; a thread made meanwhile has them blocked for ever, so that nginx's signals reach
// nginx's thread. Any thread.
#pragma once

#include <csignal>

namespace runledger::edge {

class SignalsBlocked {
public:
    // Throws std::system_error.
    SignalsBlocked();
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked();

private:
    sigset_t before_{};
};

}  // namespace runledger::edge
