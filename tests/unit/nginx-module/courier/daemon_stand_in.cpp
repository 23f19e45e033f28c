#include "tests/unit/nginx-module/courier/daemon_stand_in.hpp"

#include <vector>

namespace runledger::edge::test {

void DaemonStandIn::start() {
    router_.emplace(context_, zmq::socket_type::router);
    router_->set(zmq::sockopt::linger, 0);
    router_->set(zmq::sockopt::rcvhwm, 100'000);
    router_->set(zmq::sockopt::sndhwm, 100'000);
    // Its predecessor's address can stay in use for a moment after it was closed.
    runledger::test::eventually("the stand-in binds", [&] {
        router_->bind(endpoint_);
        return true;
    });
}

void DaemonStandIn::stop() { router_.reset(); }

void DaemonStandIn::serve() {
    struct Message {
        zmq::message_t peer;
        zmq::message_t request;
        [[nodiscard]] std::span<const std::byte> bytes() const {
            return std::as_bytes(std::span(request.data<char>(), request.size()));
        }
    };
    std::vector<Message> messages;
    while (router_) {
        Message message;
        if (!router_->recv(message.peer, zmq::recv_flags::dontwait) ||
            !router_->recv(message.request, zmq::recv_flags::dontwait)) {
            break;
        }
        messages.push_back(std::move(message));
    }
    for (const Message& message : messages) {
        const auto request = wire::decode_request(message.bytes());
        const auto* batch = std::get_if<wire::Batch>(&request);
        if (batch != nullptr && dies_of && dies_of(*batch)) {
            stop();
            return;
        }
    }
    for (Message& message : messages) {
        (void)ledger.take(message.bytes());
        while (const auto answer = ledger.next_answer()) {
            // Not taken: the edge has gone, and it sends again when it comes back.
            (void)router_->send(zmq::const_buffer(message.peer.data(), message.peer.size()),
                                zmq::send_flags::sndmore | zmq::send_flags::dontwait);
            (void)router_->send(zmq::const_buffer(answer->data(), answer->size()), zmq::send_flags::dontwait);
        }
    }
}

}  // namespace runledger::edge::test
