// A stand-in for the edge at the other end of the wire: one batch at a time, sent until the daemon answers for it.
//
// Like the edge it sends again after silence, after `busy` and after a refusal, only sooner. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <zmq.hpp>

#include "common/wire.hpp"

namespace runledger::test {

class EdgeStandIn {
public:
    // Connects; the daemon need not be there yet.
    explicit EdgeStandIn(const std::string& endpoint);

    // Returns when the batch is committed, or the segment retired. Throws NeverHappened after the patience.
    // `meanwhile` is called between two looks for an answer.
    void deliver(std::span<const std::byte> request, std::chrono::milliseconds patience,
                 const std::function<void()>& meanwhile = {});
    // Of the next request one answer is not heard.
    void lose_an_answer() noexcept { loses_an_answer_ = true; }

    [[nodiscard]] int refusals() const noexcept { return refusals_; }
    [[nodiscard]] int repeats() const noexcept { return repeats_; }

private:
    zmq::context_t context_;
    zmq::socket_t dealer_{context_, zmq::socket_type::dealer};
    bool loses_an_answer_{false};
    int refusals_{0};
    int repeats_{0};
};

}  // namespace runledger::test
