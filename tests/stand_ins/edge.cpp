#include "tests/stand_ins/edge.hpp"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds silence_max{1500};
constexpr milliseconds look_interval{20};
constexpr milliseconds refused_delay{200};

BatchName name_of(std::span<const std::byte> request) {
    const auto decoded = wire::decode_request(request);
    if (const auto* batch = std::get_if<wire::Batch>(&decoded)) {
        return batch->name;
    }
    const auto& retirement = std::get<wire::Retire>(decoded);
    return {retirement.segment, retirement.batch_count};
}

}  // namespace

EdgeStandIn::EdgeStandIn(const std::string& endpoint) {
    dealer_.set(zmq::sockopt::linger, 0);
    dealer_.set(zmq::sockopt::reconnect_ivl, 20);
    dealer_.set(zmq::sockopt::reconnect_ivl_max, 100);
    dealer_.connect(endpoint);
}

void EdgeStandIn::deliver(std::span<const std::byte> request, milliseconds patience,
                          const std::function<void()>& meanwhile) {
    const BatchName name = name_of(request);
    const auto until = steady_clock::now() + patience;
    steady_clock::time_point send_at{};
    bool is_first = true;
    while (true) {
        const auto now = steady_clock::now();
        if (now >= until) {
            throw NeverHappened(
                fmt::format("the daemon did not answer for {}/{}: sent again {} times, refused {} times",
                            name.segment.hex(), name.number, repeats_, refusals_));
        }
        if (now >= send_at) {
            repeats_ += std::exchange(is_first, false) ? 0 : 1;
            // Not sent while the daemon is away and the queue is full: the next time.
            (void)dealer_.send(zmq::const_buffer(request.data(), request.size()), zmq::send_flags::dontwait);
            send_at = now + silence_max;
        }
        zmq::pollitem_t poll{dealer_.handle(), 0, ZMQ_POLLIN, 0};
        if (zmq::poll(&poll, 1, look_interval) > 0) {
            zmq::message_t message;
            (void)dealer_.recv(message, zmq::recv_flags::dontwait);  // It waits: poll said so.
            const auto answer = wire::decode_answer(std::as_bytes(std::span(message.data<char>(), message.size())));
            const auto* heard = std::get_if<wire::Answer>(&answer);
            if (heard != nullptr && heard->batch == name && !std::exchange(loses_an_answer_, false)) {
                switch (heard->verdict) {
                    case wire::Verdict::committed:
                    case wire::Verdict::retired:
                        return;
                    case wire::Verdict::busy:
                        send_at = steady_clock::now() + refused_delay;
                        break;
                    case wire::Verdict::refused:
                        ++refusals_;
                        send_at = steady_clock::now() + refused_delay;
                        break;
                }
            }
        }
        if (meanwhile) {
            meanwhile();
        }
    }
}

}  // namespace runledger::test
