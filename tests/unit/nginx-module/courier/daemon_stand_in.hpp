// What a courier's tests have in the daemon's place: a ROUTER that the test serves itself, with a Ledger's answers.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <zmq.hpp>

#include "tests/support/eventually.hpp"
#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {

class DaemonStandIn {
public:
    explicit DaemonStandIn(std::string endpoint) : endpoint_(std::move(endpoint)) {}

    void start();
    // As when the process dies: what it has not read is gone.
    void stop();
    // Takes all that waits and answers it; does nothing when stopped.
    void serve();

    [[nodiscard]] bool is_running() const noexcept { return router_.has_value(); }

    Ledger ledger;
    // Where it says true, the daemon stops without an answer to anything that it has read with this batch.
    std::function<bool(const wire::Batch&)> dies_of;

private:
    std::string endpoint_;
    zmq::context_t context_;
    std::optional<zmq::socket_t> router_;
};

}  // namespace runledger::edge::test
