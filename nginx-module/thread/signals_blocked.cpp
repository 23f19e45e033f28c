#include "nginx-module/thread/signals_blocked.hpp"

#include <pthread.h>

#include <system_error>

namespace runledger::edge {

SignalsBlocked::SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    const int error = pthread_sigmask(SIG_SETMASK, &all, &before_);
    if (error != 0) {
        throw std::system_error(error, std::generic_category(), "pthread_sigmask");
    }
}

SignalsBlocked::~SignalsBlocked() {
    (void)pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}  // Fails only for a bad argument.

}  // namespace runledger::edge
