#include "tests/unit/nginx-module/daemon_stand_in.hpp"

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
    while (router_) {
        zmq::message_t peer;
        zmq::message_t request;
        if (!router_->recv(peer, zmq::recv_flags::dontwait) || !router_->recv(request, zmq::recv_flags::dontwait)) {
            return;
        }
        (void)ledger.take(std::as_bytes(std::span(request.data<char>(), request.size())));
        while (const auto answer = ledger.next_answer()) {
            // Not taken: the edge has gone, and it sends again when it comes back.
            (void)router_->send(zmq::const_buffer(peer.data(), peer.size()),
                                zmq::send_flags::sndmore | zmq::send_flags::dontwait);
            (void)router_->send(zmq::const_buffer(answer->data(), answer->size()), zmq::send_flags::dontwait);
        }
    }
}

}  // namespace runledger::edge::test
